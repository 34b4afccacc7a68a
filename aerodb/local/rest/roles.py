"""Settings of the roles that requests run as.

`SET ROLE` does not apply what `ALTER ROLE ... SET` says, so each transaction does (wire contract
§1.4, §1.7). Only settings that the login role may set are taken.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import tuple_row

ROLE_SETTINGS = """
with stated as (
  select role.rolname as role, pair.setdatabase as database,
         pg_catalog.unnest(pair.setconfig) as setting
  from pg_catalog.pg_db_role_setting pair
  join pg_catalog.pg_roles role on role.oid = pair.setrole
  where pg_catalog.pg_has_role(current_user, role.oid, 'member')
    and pair.setdatabase in (
      0, (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
    )
), pairs as (
  select role, database,
         pg_catalog.substr(setting, 1, pg_catalog.strpos(setting, '=') - 1) as key,
         pg_catalog.substr(setting, pg_catalog.strpos(setting, '=') + 1) as value
  from stated
)
select distinct on (role, key) role, key, value
from pairs
join pg_catalog.pg_settings known on known.name = pairs.key
where known.context = 'user' or {may_set}
order by role, key, database desc
"""
MAY_SET = "pg_catalog.has_parameter_privilege(current_user, known.name, 'set')"
BYPASSING = "select rolname from pg_catalog.pg_roles where rolbypassrls or rolsuper"

_ISOLATION = "default_transaction_isolation"


@dataclass(frozen=True, slots=True)
class Roles:
    """What is stated for roles by name."""

    settings: dict[str, tuple[tuple[str, str], ...]] = field(
        default_factory=dict[str, tuple[tuple[str, str], ...]]
    )
    isolation: dict[str, str] = field(default_factory=dict[str, str])
    bypassing: frozenset[str] = frozenset()
    """Roles that row-level security does not hold for."""


async def load_roles(connection: AsyncConnection[Any]) -> Roles:
    """Read the settings of every role that the login role can become."""
    # has_parameter_privilege came with PostgreSQL 15.
    may_set = MAY_SET if connection.info.server_version >= 150000 else "false"
    settings: dict[str, list[tuple[str, str]]] = {}
    isolation: dict[str, str] = {}
    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(ROLE_SETTINGS.format(may_set=may_set).encode())
        for role, key, value in await cursor.fetchall():
            if key == _ISOLATION:
                isolation[role] = value
            else:
                settings.setdefault(role, []).append((key, value))
        await cursor.execute(BYPASSING)
        bypassing = frozenset(name for (name,) in await cursor.fetchall())
    return Roles({role: tuple(pairs) for role, pairs in settings.items()}, isolation, bypassing)
