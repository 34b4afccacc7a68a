"""Settings that live in the database itself: `ALTER ROLE authenticator SET pgrst.jwt_aud = '...'`.

PostgREST documentation, "In-Database Configuration". Those of the role in this database win over
those of the role, and both over what the pre-config function sets.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from aerodb.local.options import IN_DATABASE, parse_texts

_PREFIX = "pgrst."


def read_in_database_settings(
    connection: psycopg.Connection[Any], role: str | None = None, pre_config: str | None = None
) -> dict[str, Any]:
    """Return the settings of `role` (None: the one that is logged in)."""
    texts = _from_pre_config(connection, pre_config) if pre_config else {}
    rows = connection.execute(
        "select split_part(entry, '=', 1), substr(entry, strpos(entry, '=') + 1) "
        "from pg_db_role_setting s join pg_roles r on r.oid = s.setrole, unnest(s.setconfig) entry "
        "where r.rolname = coalesce(%s::text, current_user) and s.setdatabase in "
        "(0, (select oid from pg_database where datname = current_database())) "
        "order by s.setdatabase",
        [role],
    ).fetchall()
    for key, value in rows:
        name = key.removeprefix(_PREFIX)
        if key.startswith(_PREFIX) and name in IN_DATABASE:
            texts[name] = value
    return parse_texts(texts, "in-database configuration")


def _from_pre_config(connection: psycopg.Connection[Any], function: str) -> dict[str, str]:
    with connection.transaction(force_rollback=True):
        connection.execute(sql.SQL("select {}()").format(sql.Identifier(*function.split(".", 1))))
        rows = connection.execute(
            "select name, current_setting(%s || name, true) from unnest(%s::text[]) name",
            [_PREFIX, list(IN_DATABASE)],
        ).fetchall()
    return {name: value for name, value in rows if value}
