"""SQL files are applied in order, once, by the owner; and what a new database holds."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from aerodb.local.bootstrap import bootstrap, tables_without_row_security
from aerodb.local.errors import LocalError
from aerodb.local.keys import Keys, new_keys
from aerodb.local.migrations import apply, collect
from aerodb.local.postgres import Cluster
from aerodb.local.sqltext import Include, Statement, split_statements

Connection = psycopg.Connection[Any]
_numbers = itertools.count()


@pytest.fixture(scope="module")
def keys() -> Keys:
    return new_keys()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, keys: Keys) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    running = Cluster(
        folder / "postgres",
        log=folder / "log",
        password=keys.superuser_password,
        throwaway=True,
    )
    running.start()
    yield running
    running.stop()


@pytest.fixture
def database(cluster: Cluster) -> str:
    """The name of a new, empty database."""
    name = f"d{next(_numbers)}"
    with psycopg.connect(cluster.conninfo(), autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    return name


@pytest.fixture
def owner(cluster: Cluster, database: str, keys: Keys) -> Iterator[Connection]:
    """The owner's connection to a database that has been prepared, `public` and `api` exposed."""
    with psycopg.connect(cluster.conninfo(dbname=database), autocommit=True) as connection:
        bootstrap(connection, keys, ["public", "api"])
        yield connection


@pytest.fixture
def caller(cluster: Cluster, database: str, keys: Keys, owner: Connection) -> Iterator[Connection]:
    """A connection as the login role of requests."""
    conninfo = cluster.conninfo(
        user="authenticator", password=keys.authenticator_password, dbname=database
    )
    with psycopg.connect(conninfo, autocommit=True) as connection:
        yield connection


def run_as(caller: Connection, role: str, query: str, claims: str = "") -> list[Any]:
    with caller.transaction():
        caller.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
        caller.execute("select set_config('request.jwt.claims', %s, true)", [claims])
        return caller.execute(query.encode()).fetchall()


def tables(connection: Connection) -> set[str]:
    rows = connection.execute("select tablename from pg_tables where schemaname = 'public'")
    return {name for (name,) in rows.fetchall()}


# --- files ------------------------------------------------------------------------------------


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.sql").write_text(text)
    return folder


def test_files_are_applied_in_order_and_once(owner: Connection, tmp_path: Path) -> None:
    folder = write(
        tmp_path / "migrations",
        b_second="insert into t values (1);",
        a_first="create table t (a int);",
    )
    assert apply(owner, collect(folder=folder)) == ["a_first.sql", "b_second.sql"]
    assert apply(owner, collect(folder=folder)) == []
    write(folder, c_third="insert into t values (2);")
    assert apply(owner, collect(folder=folder)) == ["c_third.sql"]
    assert owner.execute("select a from t order by a").fetchall() == [(1,), (2,)]


def test_schema_may_be_paths_and_text(owner: Connection, tmp_path: Path) -> None:
    write(tmp_path, one="create table one ();", two="create table two ();")
    schema = [tmp_path / "one.sql", str(tmp_path / "two.sql"), "create table three ()"]
    assert apply(owner, collect(schema))[:2] == ["one.sql", "two.sql"]
    assert apply(owner, collect(schema)) == []
    assert {"one", "two", "three"} <= tables(owner)


def test_a_changed_file_is_an_error_that_names_it(owner: Connection, tmp_path: Path) -> None:
    folder = write(tmp_path / "m", one="create table t (a int);", two="create table u ();")
    apply(owner, collect(folder=folder))
    write(folder, one="create table t (a bigint);", three="create table v ();")
    with pytest.raises(LocalError, match=r"one\.sql was changed"):
        apply(owner, collect(folder=folder))
    assert "v" not in tables(owner)


def test_line_ends_and_a_mark_do_not_change_a_file(owner: Connection, tmp_path: Path) -> None:
    path = tmp_path / "a.sql"
    path.write_bytes(b"create table t (\n a int);\n")
    apply(owner, collect([path]))
    path.write_bytes(b"\xef\xbb\xbfcreate table t (\r\n a int);\r\n")
    assert apply(owner, collect([path])) == []


def test_a_failing_file_leaves_nothing_behind_and_says_where(
    owner: Connection, tmp_path: Path
) -> None:
    folder = write(tmp_path / "m", a="create table good ();", b="create table x ();\n\nselect 1/0;")
    with pytest.raises(LocalError, match=r"b\.sql, line 3: division by zero"):
        apply(owner, collect(folder=folder))
    assert "x" not in tables(owner)
    assert "good" in tables(owner)
    write(folder, b="create table x ();")
    assert apply(owner, collect(folder=folder)) == ["b.sql"]


def test_a_file_can_do_without_a_transaction(owner: Connection, tmp_path: Path) -> None:
    index = "create table t (a int); create index concurrently i on t (a);"
    write(tmp_path, bad=index, good=f"-- aerodb: no transaction\n{index}")
    with pytest.raises(LocalError, match="CONCURRENTLY cannot run inside a transaction block"):
        apply(owner, collect([tmp_path / "bad.sql"]))
    assert apply(owner, collect([tmp_path / "good.sql"])) == ["good.sql"]


def test_a_dump_is_read_as_psql_reads_it(owner: Connection, tmp_path: Path) -> None:
    dump = r"""
\restrict abc
SELECT pg_catalog.set_config('search_path', '', false);
SET client_encoding = 'UTF8';
CREATE TABLE public.rows (id integer, body text);
COPY public.rows (id, body) FROM stdin;
1	a;b
2	\N
3	tab\there
\.
CREATE FUNCTION public.f() RETURNS integer LANGUAGE sql BEGIN ATOMIC
 SELECT 1; SELECT CASE WHEN true THEN 2 END; END;
\unrestrict abc
"""
    write(tmp_path, dump=dump, after="insert into rows values (4, 'x');")
    assert apply(owner, collect([tmp_path / "dump.sql", tmp_path / "after.sql"]))
    found = owner.execute("select body from rows order by id").fetchall()
    assert [body for (body,) in found] == ["a;b", None, "tab\there", "x"]
    assert owner.execute("select f()").fetchone() == (2,)


def test_a_file_can_include_another(owner: Connection, tmp_path: Path) -> None:
    write(tmp_path, main="\\ir part.sql\ncreate table b ();", part="create table a ();")
    apply(owner, collect([tmp_path / "main.sql"]))
    assert {"a", "b"} <= tables(owner)
    write(tmp_path, loop="\\i loop.sql")
    with pytest.raises(LocalError, match="too many nested includes"):
        apply(owner, collect([tmp_path / "loop.sql"]))


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"missing\.sql cannot be read"):
        collect([tmp_path / "missing.sql"])
    with pytest.raises(LocalError, match="nowhere does not exist"):
        collect(folder=tmp_path / "nowhere")
    for text in (str(tmp_path), "./nowhere", "schema.sq"):
        with pytest.raises(LocalError, match="no such SQL file"):
            collect([text])
    long = "create table t (" + ", ".join(f"c{n} text" for n in range(100)) + ")"
    for texts in (["checkpoint", "select 1.5"], [long], ["select '\0'"]):
        assert [one.source for one in collect(texts)] == texts
    write(tmp_path / "x", a="")
    write(tmp_path / "y", a="")
    with pytest.raises(LocalError, match=r"Two SQL files are called a\.sql"):
        collect([tmp_path / "x" / "a.sql", tmp_path / "y" / "a.sql"])


def test_instances_that_start_together_take_turns(
    cluster: Cluster, database: str, owner: Connection
) -> None:
    wanted = collect(["create table once (); select pg_sleep(0.2)"])
    applied: list[list[str]] = []

    def start() -> None:
        with psycopg.connect(cluster.conninfo(dbname=database), autocommit=True) as connection:
            applied.append(apply(connection, wanted))

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, applied)) == [0, 0, 0, 1]


# --- statements -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ("", []),
        (" ;; -- nothing\n/* at all */;", []),
        ("select 1; select 2", ["select 1", "select 2"]),
        ("select ';'; select \";\"", ["select ';'", 'select ";"']),
        ("select 'it''s;'; select 2", ["select 'it''s;'", "select 2"]),
        (r"select e'\';'; select '\'; select 3", [r"select e'\';'", r"select '\'", "select 3"]),
        ("do $$ begin; end $$; select 1", ["do $$ begin; end $$", "select 1"]),
        ("do $a$ ; $$ ; $b$ $a$; select 1", ["do $a$ ; $$ ; $b$ $a$", "select 1"]),
        ("select a$b$c from t; select 1", ["select a$b$c from t", "select 1"]),
        ("select 1 -- a;b\n + 1; select 2", ["select 1 -- a;b\n + 1", "select 2"]),
        ("select /* ; /* ; */ ; */ 1; select 2", ["select /* ; /* ; */ ; */ 1", "select 2"]),
        (
            "create rule r as on insert to t do (select 1; select 2); select 3",
            ["create rule r as on insert to t do (select 1; select 2)", "select 3"],
        ),
        ("begin; select 1; end; select 2", ["begin", "select 1", "end", "select 2"]),
        ("select $1 + 2; select 3", ["select $1 + 2", "select 3"]),
        ("\\set ON_ERROR_STOP on\nselect 1", ["select 1"]),
        ("select 'é', \"Ünï\"; select 1", ["select 'é', \"Ünï\"", "select 1"]),
    ],
)
def test_statements_end_where_psql_ends_them(source: str, texts: list[str]) -> None:
    found = list(split_statements(source))
    assert [entry.text for entry in found if isinstance(entry, Statement)] == texts


def test_statements_know_their_line() -> None:
    found = list(split_statements("-- head\nselect 1;\n\nselect\n2;\n\\ir x.sql\n"))
    assert [entry.line for entry in found] == [2, 4, 6]
    assert isinstance(found[2], Include)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("select 1;\nselect 'x", r"f\.sql, line 2: a quote is opened"),
        ("/* x", "a comment is opened"),
        ("do $x$ begin", r"\$x\$ is opened"),
        ("\\connect other", r"\\connect is a command of psql"),
        ("copy t from stdin;\n1\n2\n", "not followed by rows"),
    ],
)
def test_what_is_cut_off_is_told(source: str, message: str) -> None:
    with pytest.raises(LocalError, match=message):
        list(split_statements(source, "f.sql"))


# --- what a new database holds ----------------------------------------------------------------


def test_a_second_start_changes_nothing(owner: Connection, keys: Keys) -> None:
    assert bootstrap(owner, keys, ["public", "api"]) is False
    assert bootstrap(owner, keys, ["public", "api", "more"]) is True


def test_the_login_role_becomes_the_three_and_no_other(caller: Connection) -> None:
    for role in ("anon", "authenticated", "service_role"):
        assert run_as(caller, role, "select current_user") == [(role,)]
    for role in ("postgres", "pg_read_server_files", "pg_execute_server_program"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            run_as(caller, role, "select 1")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        caller.execute("select * from aerodb_internal.migrations")


def test_tables_of_exposed_schemas_can_be_used_at_once(
    owner: Connection, caller: Connection
) -> None:
    owner.execute("create schema api")
    owner.execute("create schema hidden")
    for name in ("public.t", "api.t", "hidden.t"):
        owner.execute(f"create table {name} (id serial, a int)".encode())
    for name in ("public.t", "api.t"):
        query = f"insert into {name} (a) values (7) returning a"
        assert run_as(caller, "anon", query) == [(7,)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        run_as(caller, "service_role", "select * from hidden.t")
    assert tables_without_row_security(owner, ["public", "api"]) == ["api.t", "t"]


def test_what_the_owner_revokes_stays_revoked(
    owner: Connection, caller: Connection, keys: Keys
) -> None:
    owner.execute("create table t (a int)")
    owner.execute("revoke all on t from anon")
    bootstrap(owner, keys, ["public", "api"])
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        run_as(caller, "anon", "select * from t")


def test_row_security_can_ask_who_is_calling(owner: Connection, caller: Connection) -> None:
    one, two = (f"00000000-0000-0000-0000-00000000000{n}" for n in (1, 2))
    owner.execute("create table notes (owner uuid, body text)")
    owner.execute("alter table notes enable row level security")
    owner.execute("create policy own on notes using (owner = auth.uid())")
    owner.execute("insert into notes values (%s, 'one'), (%s, 'two')", [one, two])
    claims = f'{{"sub": "{one}", "role": "authenticated", "email": "a@b.c"}}'
    assert run_as(caller, "authenticated", "select body from notes", claims) == [("one",)]
    assert run_as(caller, "anon", "select body from notes") == []
    assert len(run_as(caller, "service_role", "select body from notes")) == 2
    asked = "select auth.uid()::text, auth.role(), auth.email(), auth.jwt() ->> 'sub'"
    assert run_as(caller, "anon", asked, claims) == [(one, "authenticated", "a@b.c", one)]
    assert run_as(caller, "anon", asked) == [(None, None, None, None)]


@pytest.mark.parametrize(
    ("ddl", "told"),
    [
        ("create table t (a int)", True),
        ("create schema s; drop schema s", True),
        ("comment on schema public is 'x'", True),
        ("create temporary table t (a int); drop table t", False),
        ("select 1", False),
    ],
)
def test_changes_of_the_schema_are_announced(
    owner: Connection, caller: Connection, ddl: str, told: bool
) -> None:
    caller.execute("listen pgrst")
    for statement in ddl.split(";"):
        owner.execute(statement.encode())
    owner.execute("notify pgrst, 'the end'")
    heard: list[str] = []
    for notice in caller.notifies(timeout=10):
        heard.append(notice.payload)
        if notice.payload == "the end":
            break
    assert ("reload schema" in heard) is told


def test_the_roles_have_their_time_limits(owner: Connection) -> None:
    rows = owner.execute(
        "select rolname, rolconfig from pg_roles where rolname in "
        "('anon', 'authenticated', 'service_role')"
    ).fetchall()
    assert dict(rows) == {
        "anon": ["statement_timeout=3s"],
        "authenticated": ["statement_timeout=8s"],
        "service_role": ["statement_timeout=60s"],
    }


def test_no_password_is_stored_in_the_clear(owner: Connection, keys: Keys) -> None:
    rows = owner.execute("select rolpassword from pg_authid where rolpassword is not null")
    stored = [password for (password,) in rows.fetchall()]
    assert len(stored) == 5  # the owner, and the logins of REST, auth, realtime and storage
    assert all(password.startswith("SCRAM-SHA-256$") for password in stored)
