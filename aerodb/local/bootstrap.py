"""What an instance puts into its own database before anybody uses it (`sql/*.sql`).

The scripts can be run again on a database that has them, and are, when a newer version of this
package changed one; otherwise a start costs one query.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from importlib import resources
from typing import Any

import psycopg
from psycopg import sql

from aerodb.local.keys import Keys
from aerodb.local.migrations import Migration, run_script

AUTHENTICATOR = "authenticator"
AUTH_LOGIN = "aerodb_auth"
REALTIME_LOGIN = "aerodb_realtime"
STORAGE_LOGIN = "aerodb_storage"
_STAMP = "aerodb_internal"
_STORAGE_SCRIPTS = ("010_internal.sql", "020_roles.sql", "030_auth.sql", "080_storage.sql")
_AUTH_SCRIPTS = ("010_internal.sql", "020_roles.sql", "030_auth.sql", "070_auth_tables.sql")
_REALTIME_SCRIPTS = ("010_internal.sql", "020_roles.sql", "080_realtime.sql")


def bootstrap(
    connection: psycopg.Connection[Any], keys: Keys, exposed_schemas: Sequence[str]
) -> bool:
    """Bring the database up to date; tell whether that took any work."""
    scripts = _scripts()
    stamp = _fingerprint(scripts, keys)
    fresh = _stamp(connection) != stamp
    if fresh:
        with connection.transaction():
            for script in scripts:
                run_script(connection, script)
            _set_password(connection, AUTHENTICATOR, keys.authenticator_password)
            _set_password(connection, AUTH_LOGIN, keys.auth_password)
            _set_password(connection, REALTIME_LOGIN, keys.realtime_password)
            _set_password(connection, STORAGE_LOGIN, keys.storage_password)
            connection.execute(
                sql.SQL("comment on schema {} is {}").format(
                    sql.Identifier(_STAMP), sql.Literal(stamp)
                )
            )
    exposed = _expose(connection, exposed_schemas)
    attach_realtime(connection)
    return exposed or fresh


def prepare_foreign(connection: psycopg.Connection[Any]) -> None:
    """Put only the record of migrations into a database that is not the instance's own."""
    run_script(connection, _scripts()[0])


def install_auth(connection: psycopg.Connection[Any]) -> None:
    """Put what the auth part needs into a database that is not the instance's own."""
    with connection.transaction():
        for script in _scripts():
            if script.name in _AUTH_SCRIPTS:
                run_script(connection, script)


def install_realtime(connection: psycopg.Connection[Any], exposed_schemas: Sequence[str]) -> None:
    """Put what the realtime part needs into a database that is not the instance's own."""
    with connection.transaction():
        for script in _scripts():
            if script.name in _REALTIME_SCRIPTS:
                run_script(connection, script)
        connection.execute(
            "insert into aerodb_internal.exposed_schemas (name) select unnest(%s::text[]) "
            "on conflict do nothing",
            [list(exposed_schemas)],
        )
    attach_realtime(connection)


def attach_realtime(connection: psycopg.Connection[Any]) -> None:
    """Put the triggers of the change log on the exposed tables that lack them."""
    connection.execute(
        "select aerodb_internal.realtime_attach(c.oid) "
        "from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        "join aerodb_internal.exposed_schemas e on e.name = n.nspname "
        "where c.relkind in ('r', 'p') and not exists (select from pg_trigger t "
        "where t.tgrelid = c.oid and t.tgname = 'aerodb_realtime_truncate')"
    )


def install_storage(connection: psycopg.Connection[Any]) -> str:
    """Do the same for the storage part; return the key that URLs are signed with.

    It is kept in the database, so that all copies of the server know it, and none has a file.
    """
    with connection.transaction():
        for script in _scripts():
            if script.name in _STORAGE_SCRIPTS:
                run_script(connection, script)
        connection.execute(
            "insert into storage.signing_keys (id, secret) values (1, %s) on conflict do nothing",
            [secrets.token_urlsafe(48)],
        )
        row = connection.execute("select secret from storage.signing_keys").fetchone()
    assert row is not None
    return str(row[0])


def _scripts() -> list[Migration]:
    folder = resources.files("aerodb.local") / "sql"
    return [
        Migration(entry.name, entry.read_text(encoding="utf-8"))
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".sql")
    ]


def _fingerprint(scripts: Sequence[Migration], keys: Keys) -> str:
    """A hash over the scripts and the password that they leave behind, in the open afterwards."""
    digest = hashlib.sha256()
    for script in scripts:
        digest.update(f"{script.name}\0{script.source}\0".encode())
    # 256 random bits cannot be guessed back from a hash.
    digest.update(keys.authenticator_password.encode())
    return f"aerodb.local {digest.hexdigest()}"


def _stamp(connection: psycopg.Connection[Any]) -> str | None:
    row = connection.execute(
        "select obj_description(oid, 'pg_namespace') from pg_namespace where nspname = %s",
        [_STAMP],
    ).fetchone()
    return row[0] if row else None


def _set_password(connection: psycopg.Connection[Any], role: str, password: str) -> None:
    """Send only the SCRAM verifier: the statement may end up in a log, the password must not."""
    verifier = connection.pgconn.encrypt_password(
        password.encode(), role.encode(), b"scram-sha-256"
    )
    connection.execute(
        sql.SQL("alter role {} password {}").format(
            sql.Identifier(role), sql.Literal(verifier.decode())
        )
    )


def _expose(connection: psycopg.Connection[Any], schemas: Sequence[str]) -> bool:
    """Grant the API roles their rights on schemas that are exposed for the first time.

    Only then: what the owner revoked later stays revoked. A schema that does not exist yet gets
    them when it is created, by an event trigger.
    """
    rows = connection.execute(
        "insert into aerodb_internal.exposed_schemas (name) select unnest(%s::text[]) "
        "on conflict do nothing returning name",
        [list(schemas)],
    ).fetchall()
    for (name,) in rows:
        connection.execute(
            "select aerodb_internal.expose_schema(nspname) from pg_namespace where nspname = %s",
            [name],
        )
    return bool(rows)


def tables_without_row_security(
    connection: psycopg.Connection[Any], schemas: Sequence[str]
) -> list[str]:
    """Return the tables that every caller may read and write, for a warning (reliability C8)."""
    return [name for name, secured, _ in _tables_of_anon(connection, schemas) if not secured]


def tables_without_policies(
    connection: psycopg.Connection[Any], schemas: Sequence[str]
) -> list[str]:
    """Return the tables that are empty to every caller but the secret key: row-level security is
    on, and no policy says who may see what."""
    found = _tables_of_anon(connection, schemas)
    return [name for name, secured, has_policy in found if secured and not has_policy]


def _tables_of_anon(
    connection: psycopg.Connection[Any], schemas: Sequence[str]
) -> list[tuple[str, bool, bool]]:
    """The tables that only row-level security could keep from anybody: name, whether they have
    it, and whether they have a policy."""
    return connection.execute(
        "select c.oid::regclass::text, c.relrowsecurity, "
        "exists (select from pg_policy where polrelid = c.oid) "
        "from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        "where c.relkind in ('r', 'p') and n.nspname = any(%s) "
        "and has_table_privilege('anon', c.oid, 'select, insert, update, delete') order by 1",
        [list(schemas)],
    ).fetchall()
