"""`aerodb`, run as a command against a real AeroDB."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aerodb.local import LocalServer

SCHEMA = """
create table pets (id int primary key, name text not null, born date);
insert into pets values (1, 'Rex', '2020-02-03'), (2, E'evil \\x1b[2J', null), (3, 'Ada', null);
create function add(a int, b int) returns int language sql immutable as 'select a + b';
create function greet(who text) returns text language sql immutable as $$ select 'Hello ' || who $$;
create function wide() returns table (t text) language sql as $$ select repeat('y', 100) $$;
create table secrets (id int);
alter table secrets enable row level security;
create table many (id bigint primary key, word text not null, n numeric(10, 2));
insert into many select i, E'a,"b"\n' || i, i / 7.0 from generate_series(1, 2345) i;
create view words as select word from many;
create function all_of_them() returns setof many language sql stable as 'select * from many';
revoke all on secrets from anon;
"""
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer(schema=[SCHEMA]) as running:
        yield running


@pytest.fixture
def run(server: LocalServer) -> Run:
    def command(*words: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        known = {"AERODB_URL": server.url, "AERODB_KEY": server.anon_key, "NO_COLOR": "1"}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "aerodb.cli", *words],
            env={**os.environ, **known, **environment}, capture_output=True, text=True, check=False,
            timeout=100,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert server.anon_key not in done.stdout + done.stderr
        return done

    return command


def test_select_prints_a_table(run: Run) -> None:
    lines = run("select", "pets", "--order", "id").stdout.splitlines()
    assert lines[0].split() == ["id", "name", "born"]
    assert lines[2].split() == ["1", "Rex", "2020-02-03"]
    assert "\x1b" not in "".join(lines)


def test_select_filters_orders_and_limits(run: Run) -> None:
    rows = json.loads(
        run("select", "pets", "--columns", "id,name", "--where", "id=gt.1", "--where",
            "name=not.like.evil*", "--order", "id.desc", "--limit", "5", "--json").stdout
    )  # fmt: skip
    assert rows == [{"id": 3, "name": "Ada"}]
    text = run("select", "pets", "--csv", "--where", "id=eq.1").stdout
    assert list(csv.DictReader(io.StringIO(text))) == [
        {"id": "1", "name": "Rex", "born": "2020-02-03"}
    ]


def test_select_prints_every_row_where_no_person_reads_it(run: Run) -> None:
    """The server gives 1000 at once; a file with 1000 of 2345 rows would look complete."""
    ids = [*range(1, 2346)]
    done = run("select", "many", "--json")
    assert [row["id"] for row in json.loads(done.stdout)] == ids
    assert done.stderr == ""
    rows = list(csv.DictReader(io.StringIO(run("select", "many", "--csv").stdout)))
    assert [int(row["id"]) for row in rows] == ids
    assert {row["word"] for row in rows} == {f'a,"b"\n{number}' for number in ids}
    assert len(run("select", "many").stdout.splitlines()) == len(ids) + 2
    for how in ("--json", "--csv"):
        least = run("select", "many", "--order", "word.desc", "--limit", "1234", how).stdout
        read = json.loads(least) if how == "--json" else [*csv.DictReader(io.StringIO(least))]
        assert len({row["id"] for row in read}) == len(read) == 1234
        nothing = run("select", "many", "--where", "id=lt.0", how)
        assert nothing.stdout.strip() in ("[]", "")


def test_long_values_are_whole_where_no_person_reads_them(run: Run) -> None:
    who = "x" * 3000
    assert f"Hello {who}" in run("rpc", "greet", f"who={who}").stdout
    assert "y" * 100 in run("rpc", "wide").stdout


def test_rows_without_a_key_are_told_of(run: Run) -> None:
    for how in ("--json", "--csv"):
        done = run("select", "words", how)
        assert "primary key" in done.stderr
        read = (
            json.loads(done.stdout)
            if how == "--json"
            else [*csv.reader(io.StringIO(done.stdout))][1:]
        )
        assert len(read) == 2345
    assert run("select", "words", "--limit", "100", "--csv").stderr == ""
    assert "there may be more" in run("rpc", "all_of_them", "--json").stderr


def test_a_terminal_is_shown_the_first_rows_and_told_of_the_others(server: LocalServer) -> None:
    environment = {"AERODB_URL": server.url, "AERODB_KEY": server.anon_key}
    for words, lines, said in (
        (["many"], 102, "first 100 rows"),
        (["many", "--all"], 2347, ""),
        (["many", "--limit", "150"], 152, ""),
        (["pets"], 5, ""),
    ):
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            [sys.executable, "-m", "aerodb.cli", "select", *words],
            env={**os.environ, **environment}, stdout=theirs, stderr=subprocess.PIPE, text=True,
        ) as running:  # fmt: skip
            os.close(theirs)
            shown = _until_hangup(ours)
            assert running.stderr is not None
            told = running.stderr.read()
        os.close(ours)
        assert shown.count(b"\n") == lines
        assert said in told
        assert bool(said) == bool(told)


def _until_hangup(screen: int) -> bytes:
    shown = b""
    while True:
        try:
            part = os.read(screen, 65536)
        except OSError:  # what Linux says when the other end of a terminal is closed
            return shown
        if not part:
            return shown
        shown += part


def test_a_reader_that_leaves_is_no_error(server: LocalServer) -> None:
    environment = {"AERODB_URL": server.url, "AERODB_KEY": server.anon_key}
    for table, read in (("many", 10), ("pets", 0)):
        with subprocess.Popen(
            [sys.executable, "-m", "aerodb.cli", "select", table, "--json"],
            env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as running:  # fmt: skip
            assert running.stdout is not None
            assert running.stderr is not None
            running.stdout.read(read)
            running.stdout.close()
            assert running.stderr.read() == b""


def test_with_json_errors_are_json(run: Run) -> None:
    def error_of(*words: str, code: int, **environment: str) -> dict[str, Any]:
        done = run(*words, "--json", code=code, **environment)
        assert done.stdout == ""
        error: dict[str, Any] = json.loads(done.stderr)["error"]
        return error

    wrong = error_of("select", "pets", "--where", "nome=eq.x", code=1)
    assert (wrong["code"], wrong["status"]) == ("42703", 400)
    assert "nome" in wrong["message"]
    assert "COLUMN=OP.VALUE" in error_of("select", "pets", "--where", "x", code=2)["message"]
    assert "AERODB_URL" in error_of("tables", code=1, AERODB_URL="")["message"]
    assert "no instance in" in error_of("users", "--data", "nowhere", "list", code=1)["message"]


def test_rpc_reads_values_as_json_or_text(run: Run) -> None:
    assert run("rpc", "add", "a=1", "b=2").stdout.strip() == "3"
    assert json.loads(run("rpc", "greet", "who=you", "--json").stdout) == "Hello you"


def test_tables_and_types(run: Run) -> None:
    listed = json.loads(run("tables", "--json").stdout)
    assert [table["name"] for table in listed] == ["many", "pets", "words"]
    assert [line.split() for line in run("tables").stdout.splitlines()[:4]] == [
        ["many"],
        ["id", "bigint", "primary", "key"],
        ["word", "text", "not", "null"],
        ["n", "numeric"],
    ]
    source = run("types", "--style", "msgspec").stdout
    assert "class PetsRow(msgspec.Struct" in source
    assert "there is no table cats" in run("types", "--table", "cats", code=1).stderr


def test_health(run: Run, server: LocalServer) -> None:
    assert "ok" in run("health").stdout
    assert json.loads(run("health", "--json").stdout)["status"] == "ok"
    assert run("health", "--url", server.url, AERODB_URL="http://127.0.0.1:1").returncode == 0


def test_doctor(run: Run, server: LocalServer) -> None:
    assert "BAD" not in run("doctor").stdout
    found = json.loads(run("doctor", "--json").stdout)
    assert {one["ok"] for one in found} == {True, None}
    assert {"ok": True, "text": "AERODB_KEY is set"} in found
    wrong = json.loads(run("doctor", "--json", code=1, AERODB_KEY="aero_pk_wrong").stdout)
    assert next(one["text"] for one in wrong if one["ok"] is False).startswith("the key")
    assert "BAD  the key" in run("doctor", code=1, AERODB_KEY="aero_pk_wrong").stdout
    assert "white space" in run("doctor", code=1, AERODB_KEY=f" {server.anon_key}").stdout
    assert "BAD  AERODB_URL is empty" in run("doctor", code=1, AERODB_URL="").stdout
    bare = run("doctor", AERODB_KEY="").stdout
    assert "AERODB_KEY is empty" in bare
    assert "there is no key; " in bare
    assert "key is taken" not in bare
    misnamed = run("doctor", code=1, AERODB_KEY="", AERODB_API_KEY="x").stdout
    assert "BAD  AERODB_API_KEY is set, but the key is read from AERODB_KEY" in misnamed
    with socket.create_server(("127.0.0.1", 0)) as listener:
        away = f"http://127.0.0.1:{listener.getsockname()[1]}"
    assert "NETWORK_ERROR" in run("doctor", code=1, AERODB_URL=away).stdout


PYTHON = ["=True", "client.", "url=", "ClientOptions", "order()", "timeout="]


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["select", "nothing"], 1, "PGRST205"),
        (["select", "pets", "--where", "nonsense"], 2, "COLUMN=OP.VALUE"),
        (["select", "pets", "--where", "id=eq.x"], 1, "22P02"),
        (["select", "secrets"], 1, "42501"),
        (["select", "pets", "--order", "id desc"], 2, "such as id.desc"),
        (["select", "pets", "--order", "id.down"], 2, "such as id.desc"),
        (["select", "pets", "--json", "--csv"], 2, "--json and --csv"),
        (["select", "pets", "--all", "--limit", "5"], 2, "--all and --limit"),
        (["rpc", "add", "a"], 2, "NAME=VALUE"),
        (["select", "pets", "--url", "http://db.example.com"], 1, "https"),
        (["select", "pets", "--url", "http://127.0.0.1:9/rest/v1"], 1, "use 'http://127.0.0.1:9'"),
        (["select", "public.pets"], 1, "pets --schema public"),
        (["rpc", "public.add"], 1, "add --schema public"),
        (["dance"], 2, "no command 'dance'"),
    ],
)
def test_mistakes_are_named(run: Run, words: list[str], code: int, text: str) -> None:
    told = run(*words, code=code).stderr
    assert text in told
    assert [word for word in PYTHON if word in told] == []


def test_without_a_url_the_variable_is_named(run: Run) -> None:
    told = run("health", code=1, AERODB_URL="").stderr
    assert "AERODB_URL" in told
    assert "--url URL" in told
    assert "url=" not in told


COMMANDS = ["dev", "users", "db", "status", "health", "tables", "select", "rpc", "types", "storage",
            "listen", "doctor"]  # fmt: skip


def test_every_command_is_listed(run: Run) -> None:
    listed = run("--help").stdout
    assert [name for name in COMMANDS if f"\n  {name} " not in listed] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(run: Run, command: str) -> None:
    assert run(command, "--help").stdout.startswith(f"Usage: aerodb {command}")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_loads_nothing_that_does_its_work(command: str) -> None:
    """It is printed before one could wonder: no database driver, server or event loop is there."""
    code = (
        "import sys, aerodb.cli\n"
        f"try: aerodb.cli.main(['{command}', '--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('httpx', 'psycopg', 'starlette', 'uvicorn', 'asyncio', 'argon2', 'ssl',"
        " 'aerodb.sync.client')"
        " if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=100
    )
    assert done.stdout.startswith("Usage: ")
    assert done.stdout.endswith("\n[]\n")


@pytest.mark.parametrize(
    "words", [["dev", "--temporary"], ["users", "list"], ["db", "push", "--schema", "a.sql"]]
)
def test_what_the_local_instance_misses_is_told_in_a_line(words: list[str]) -> None:
    code = f"import sys; sys.modules['psycopg'] = None\nimport aerodb.cli; aerodb.cli.main({words})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 1
    assert "pip install 'aerodb[local]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_loads_next_to_nothing() -> None:
    """It is printed at once: nothing of the client, of click or of the local instance is there."""
    code = (
        "import sys, aerodb.cli; aerodb.cli.main(['--help']);"
        "print([m for m in ('click', 'httpx', 'psycopg', 'asyncio', 'aerodb.sync', 'ssl')"
        " if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=100
    )
    assert done.stdout.endswith("[]\n")
