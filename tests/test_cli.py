"""`aerodb`, run as a command against a real AeroDB."""

from __future__ import annotations

import csv
import io
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from aerodb.local import LocalServer

SCHEMA = """
create table pets (id int primary key, name text not null, born date);
insert into pets values (1, 'Rex', '2020-02-03'), (2, E'evil \\x1b[2J', null), (3, 'Ada', null);
create function add(a int, b int) returns int language sql immutable as 'select a + b';
create function greet(who text) returns text language sql immutable as $$ select 'Hello ' || who $$;
create table secrets (id int);
alter table secrets enable row level security;
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


def test_rpc_reads_values_as_json_or_text(run: Run) -> None:
    assert run("rpc", "add", "a=1", "b=2").stdout.strip() == "3"
    assert json.loads(run("rpc", "greet", "who=you", "--json").stdout) == "Hello you"


def test_tables_and_types(run: Run) -> None:
    listed = json.loads(run("tables", "--json").stdout)
    assert [table["name"] for table in listed] == ["pets"]
    assert "id integer" in run("tables").stdout or "id int32" in run("tables").stdout
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
    assert "BAD  AERODB_URL is not set" in run("doctor", code=1, AERODB_URL="").stdout
    with socket.create_server(("127.0.0.1", 0)) as listener:
        away = f"http://127.0.0.1:{listener.getsockname()[1]}"
    assert "NETWORK_ERROR" in run("doctor", code=1, AERODB_URL=away).stdout


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["select", "nothing"], 1, "PGRST205"),
        (["select", "pets", "--where", "nonsense"], 2, "COLUMN=OP.VALUE"),
        (["select", "pets", "--where", "id=eq.x"], 1, "22P02"),
        (["select", "secrets"], 1, "42501"),
        (["rpc", "add", "a"], 2, "NAME=VALUE"),
        (["select", "pets", "--url", "http://db.example.com"], 1, "https"),
        (["dance"], 2, "no command 'dance'"),
    ],
)
def test_mistakes_are_named(run: Run, words: list[str], code: int, text: str) -> None:
    assert text in run(*words, code=code).stderr


def test_without_a_url_the_variable_is_named(run: Run) -> None:
    assert "AERODB_URL" in run("health", code=1, AERODB_URL="").stderr


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
        "print([m for m in ('httpx', 'psycopg', 'starlette', 'uvicorn', 'asyncio', 'argon2', 'ssl')"
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
