"""Reading functions from the system catalog.

The statement runs with an empty search path, so that types are printed with their schemas.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any, Literal

from psycopg import AsyncCursor

from aerodb.local.rest.ast import Name
from aerodb.local.rest.catalog import Parameter, ReturnType, Routine

ROUTINES = """
with recursive base (domain, type) as (
  select oid, typbasetype from pg_type where typtype = 'd'
  union all
  select base.domain, inner_domain.typbasetype
  from base
  join pg_type inner_domain on inner_domain.oid = base.type and inner_domain.typtype = 'd'
)
select
  ns.nspname,
  fn.proname,
  obj_description(fn.oid, 'pg_proc'),
  fn.provolatile::text,
  fn.proretset,
  fn.provariadic <> 0,
  result_ns.nspname,
  coalesce(result_rel.relname, result.typname),
  result.typtype = 'c' or coalesce(fn.proargmodes::text[] && '{t,b,o}', false),
  result.oid <> fn.prorettype,
  coalesce(fn.proconfig, '{}'),
  fn.pronargs::int4,
  fn.pronargdefaults::int4,
  coalesce(fn.proargnames, '{}'),
  fn.proargmodes::text[],
  array(
    select given.type::regtype::text
    from unnest(fn.proargtypes::oid[]) with ordinality as given (type, position)
    order by given.position
  )
from pg_proc fn
join pg_namespace ns on ns.oid = fn.pronamespace
join pg_type result on result.oid = coalesce(
  (
    select base.type
    from base
    join pg_type under on under.oid = base.type and under.typtype <> 'd'
    where base.domain = fn.prorettype
  ),
  fn.prorettype
)
join pg_namespace result_ns on result_ns.oid = result.typnamespace
left join pg_class result_rel on result_rel.oid = result.typrelid
where ns.nspname = any(%(schemas)s)
  and fn.prokind = 'f'
  and result.oid <> 'trigger'::regtype
"""

EXECUTABLE = " and has_function_privilege(fn.oid, 'execute')"
"""Only what the current role may call; for the description of the API."""

_BODY_TYPES = frozenset({"bytea", "json", "jsonb", "text", "xml"})

# Character and bit types without a length mean length one: a cast to them would cut the value.
_UNBOUNDED = {
    "bit": "bit varying",
    "bit[]": "bit varying[]",
    "character": "character varying",
    "character[]": "character varying[]",
}

_VOLATILITIES: dict[str, Literal["volatile", "stable", "immutable"]] = {
    "v": "volatile",
    "s": "stable",
    "i": "immutable",
}

_INPUT_MODES = frozenset({"i", "b", "v"})


async def read_routines(
    cursor: AsyncCursor[tuple[Any, ...]],
    schemas: list[str],
    hoisted_settings: Collection[str] = (),
    *,
    only_executable: bool = False,
) -> dict[Name, tuple[Routine, ...]]:
    """Return the callable functions of `schemas`, overloads with fewest parameters first."""
    await cursor.execute(
        ROUTINES + EXECUTABLE if only_executable else ROUTINES, {"schemas": schemas}
    )
    found: dict[Name, list[Routine]] = defaultdict(list)
    async for row in cursor:
        routine = _routine(row, hoisted_settings)
        if _callable(routine.parameters):
            found[routine.name].append(routine)
    return {name: tuple(sorted(found[name], key=_sort_key)) for name in sorted(found, key=str)}


def _routine(row: tuple[Any, ...], hoisted_settings: Collection[str]) -> Routine:
    schema, name, description, volatility, set_of, variadic = row[:6]
    result_schema, result, composite, alias, settings = row[6:11]
    pairs = [_setting(text) for text in settings]
    return Routine(
        name=Name(schema, name),
        parameters=parameters_of(*row[11:]),
        returns=ReturnType(
            type=Name(result_schema, result),
            set_of=set_of,
            composite=composite,
            composite_alias=alias,
        ),
        volatility=_VOLATILITIES[volatility],
        has_variadic=variadic,
        isolation_level=_isolation_level(pairs),
        settings=tuple(pair for pair in pairs if pair[0] in hoisted_settings),
        description=description,
    )


def parameters_of(
    count: int, defaults: int, names: list[str], modes: list[str] | None, types: list[str]
) -> tuple[Parameter, ...]:
    """Return the input parameters of a function from the columns of `pg_proc`.

    `names` and `modes` cover output parameters too, `types` only the inputs; the last `defaults`
    inputs have a default.
    """
    every_mode = modes or ["i"] * count
    every_name = names or [""] * len(every_mode)
    inputs = [
        (name, mode)
        for name, mode in zip(every_name, every_mode, strict=True)
        if mode in _INPUT_MODES
    ]
    return tuple(
        Parameter(
            name=name,
            type=type_name,
            type_max_length=_UNBOUNDED.get(type_name, type_name),
            required=position < count - defaults,
            variadic=mode == "v",
        )
        for position, ((name, mode), type_name) in enumerate(zip(inputs, types, strict=True))
    )


def _callable(parameters: tuple[Parameter, ...]) -> bool:
    """Every parameter has a name, or one has none and can take a whole body."""
    unnamed = sum(not parameter.name for parameter in parameters)
    return unnamed == 0 or (unnamed == 1 and parameters[0].type in _BODY_TYPES)


def _setting(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def _isolation_level(settings: Iterable[tuple[str, str]]) -> str | None:
    """Return the level that the function's `SET default_transaction_isolation` asks for."""
    level = dict(settings).get("default_transaction_isolation")
    if level is None:
        return None
    return (
        level.lower() if level.lower() in ("repeatable read", "serializable") else "read committed"
    )


def _sort_key(routine: Routine) -> tuple[object, ...]:
    """Order as PostgREST lists overloads in the message of PGRST203."""
    parameters = tuple(
        (one.name, one.type, one.type_max_length, one.required, one.variadic)
        for one in routine.parameters
    )
    return (len(parameters), routine.description is not None, routine.description or "", parameters)
