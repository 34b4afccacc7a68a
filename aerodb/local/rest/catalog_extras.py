"""Reading the rest from the system catalog: computed relationships, casts, media type handlers."""

from __future__ import annotations

from typing import Any

from psycopg import AsyncCursor

from aerodb.local.rest.ast import Name
from aerodb.local.rest.catalog import ComputedRelationship, MediaHandler, Representation

COMPUTED_RELATIONSHIPS = """
select
  fn_ns.nspname,
  fn.proname,
  near_ns.nspname,
  near.relname,
  far_ns.nspname,
  far.relname,
  not fn.proretset or fn.prorows = 1
from pg_proc fn
join pg_namespace fn_ns on fn_ns.oid = fn.pronamespace
join pg_class near on near.reltype = fn.proargtypes[0] and near.reltype <> 0
join pg_namespace near_ns on near_ns.oid = near.relnamespace
join pg_class far on far.reltype = fn.prorettype and far.reltype <> 0
join pg_namespace far_ns on far_ns.oid = far.relnamespace
where fn.pronargs = 1
  and near.relkind in ('r', 'p', 'v', 'm', 'f')
  and far.relkind in ('r', 'p', 'v', 'm', 'f')
  and near_ns.nspname = any(%(schemas)s)
  and far_ns.nspname = any(%(schemas)s)
order by fn_ns.nspname, fn.proname, fn.oid
"""
"""`prorows = 1` is how a function says `ROWS 1`: a set of at most one row."""

REPRESENTATIONS = """
select castsource::regtype::text, casttarget::regtype::text, ns.nspname, fn.proname
from pg_cast
join pg_type source on source.oid = castsource
join pg_type target on target.oid = casttarget
join pg_proc fn on fn.oid = castfunc
join pg_namespace ns on ns.oid = fn.pronamespace
where castcontext = 'i'
  and castmethod = 'f'
  and has_function_privilege(fn.oid, 'execute')
  and (
    (source.typtype = 'd' and casttarget in ('json'::regtype, 'text'::regtype))
    or (target.typtype = 'd' and castsource in ('json'::regtype, 'text'::regtype))
  )
"""
"""Implicit casts between a domain and json or text (PostgreSQL itself ignores casts of domains)."""

MEDIA_HANDLERS = """
with media as (
  select typ.oid, typ.typname, ns.nspname
  from pg_type typ
  join pg_namespace ns on ns.oid = typ.typnamespace
  where typ.typtype = 'd'
    and (typ.typname = '*/*' or typ.typname ~* '^[a-z0-9.-]+/[a-z0-9.+-]+$')
)
select
  media.typname,
  media.nspname,
  fn.prokind = 'a',
  fn_ns.nspname,
  fn.proname,
  arg.oid = 'anyelement'::regtype,
  arg_ns.nspname,
  arg.typname
from media
join pg_proc fn on fn.prorettype = media.oid
join pg_namespace fn_ns on fn_ns.oid = fn.pronamespace
left join pg_type arg on fn.prokind = 'a' and fn.pronargs = 1 and arg.oid = fn.proargtypes[0]
left join pg_namespace arg_ns on arg_ns.oid = arg.typnamespace
where fn_ns.nspname = any(%(schemas)s)
  and (
    (fn.prokind = 'f' and not fn.proretset)
    or (
      fn.prokind = 'a'
      and (
        arg.oid = 'anyelement'::regtype
        or exists (
          select
          from pg_class rel
          where rel.oid = arg.typrelid and rel.relkind in ('r', 'p', 'v', 'm', 'f')
        )
      )
    )
  )
order by fn_ns.nspname, fn.proname
"""

ANY_MEDIA_TYPE = "*/*"
OCTET_STREAM = "application/octet-stream"


async def read_computed_relationships(
    cursor: AsyncCursor[tuple[Any, ...]], schemas: list[str]
) -> list[ComputedRelationship]:
    """Return the functions that lead from a row of a relation to rows of another."""
    await cursor.execute(COMPUTED_RELATIONSHIPS, {"schemas": schemas})
    found: list[ComputedRelationship] = []
    async for function_schema, function, schema, table, far_schema, far, to_one in cursor:
        near, foreign = Name(schema, table), Name(far_schema, far)
        found.append(
            ComputedRelationship(
                function=Name(function_schema, function),
                table=near,
                foreign_table=foreign,
                table_alias=Name("", ""),
                to_one=to_one,
                is_self=near == foreign,
            )
        )
    return found


async def read_representations(
    cursor: AsyncCursor[tuple[Any, ...]],
) -> dict[tuple[str, str], Representation]:
    """Return the casts that show or read a domain differently, by (source, target)."""
    await cursor.execute(REPRESENTATIONS)
    return {
        (source, target): Representation(source, target, Name(schema, function))
        async for source, target, schema, function in cursor
    }


async def read_media_handlers(
    cursor: AsyncCursor[tuple[Any, ...]], schemas: list[str]
) -> tuple[MediaHandler, ...]:
    """Return the aggregates and functions that produce a domain named like a media type.

    An aggregate renders rows of its argument's relation, or of any. A function renders its own
    result, and the domain is what its value is cast to.
    """
    await cursor.execute(MEDIA_HANDLERS, {"schemas": schemas})
    return tuple([_media_handler(*row) async for row in cursor])


def _media_handler(
    domain: str,
    domain_schema: str,
    is_aggregate: bool,
    schema: str,
    function: str,
    any_element: bool | None,
    target_schema: str | None,
    target: str | None,
) -> MediaHandler:
    own = Name(schema, function)
    if is_aggregate:
        rows = None if any_element else Name(target_schema or "", target or "")
        renderer = own
    else:
        rows, renderer = own, Name(domain_schema, domain)
    return MediaHandler(
        media_type=domain.lower(),
        function=renderer,
        target=rows,
        is_scalar=not is_aggregate,
        resolved_media_type=OCTET_STREAM if domain == ANY_MEDIA_TYPE else domain,
    )


async def read_timezones(cursor: AsyncCursor[tuple[Any, ...]]) -> frozenset[str]:
    """Return the names that `SET timezone` takes."""
    await cursor.execute("select name from pg_timezone_names")
    return frozenset([name async for (name,) in cursor])
