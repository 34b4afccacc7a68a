"""`aerodb db` and `aerodb status`, on a data folder whose instance runs, and does not."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aerodb.local import LocalError, LocalServer
from aerodb.local.db_command import db
from aerodb.local.programs import environment_for, find_program
from aerodb.local.status_command import status

Run = Callable[..., Result]
CATS = "create table cats (id int primary key); insert into cats values (1);"
DOGS = "create table dogs (id int primary key);"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    for name in ("AERODB_DATA", "AERODB_DATABASE_URL", "PGRST_DB_URI"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "cats.sql").write_text(CATS)
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations/001.sql").write_text(DOGS)

    def command(*words: str, code: int = 0) -> Result:
        called, rest = (status, words[1:]) if words[0] == "status" else (db, words)
        done = CliRunner().invoke(called, [*rest], catch_exceptions=False)
        assert done.exit_code == code, done.output
        return done

    return command


def tables(server: LocalServer) -> list[str]:
    rows = server.execute_sql(
        "select tablename as t from pg_tables where schemaname = 'public' order by 1"
    )
    return [row["t"] for row in rows]


def test_push_dump_and_reset_without_an_instance(run: Run, tmp_path: Path) -> None:
    """Then what `aerodb dev` finds is what they have made, with the same keys."""
    assert "no instance" in run("dump", code=1).output
    applied = run("push", "--schema", "cats.sql", "--migrations", "migrations", "--json").stdout
    assert json.loads(applied) == {"applied": ["cats.sql", "001.sql"]}
    assert "everybody may read and write cats" in run("push", "--schema", "cats.sql").stderr
    assert "is a folder" in run("push", "--schema", ".", code=1).output
    keys = (tmp_path / ".aerodb/secrets.json").read_text()
    run("dump", "--output", "dump.sql", "--", "--schema=public")
    assert "CREATE TABLE public.cats" in (tmp_path / "dump.sql").read_text()
    assert stat.S_IMODE((tmp_path / "dump.sql").stat().st_mode) == 0o600
    assert "Aborted" in run("reset", code=1).output
    assert "cannot be read" in run("reset", "--yes", "--schema", "gone.sql", code=1).output
    run("reset", "--yes", "--migrations", "migrations")
    assert (tmp_path / ".aerodb/secrets.json").read_text() == keys
    with LocalServer(data=tmp_path / ".aerodb") as server:
        assert tables(server) == ["dogs"]


def test_next_to_an_instance_that_runs(run: Run, tmp_path: Path) -> None:
    assert json.loads(run("status", "--json", code=1).stdout)["running"] is False
    with LocalServer(data=tmp_path / ".aerodb") as server:
        file = tmp_path / ".aerodb/running.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert json.loads(file.read_text()) == {"url": server.url, "pid": os.getpid()}
        told = json.loads(run("status", "--json").stdout)
        assert (told["url"], told["status"]) == (server.url, "ok")
        assert told["services"]["rest"] == "ok"
        assert server.url in run("status").stdout
        run("push", "--schema", "cats.sql")
        assert tables(server) == ["cats"]
        assert run("push", "--schema", "cats.sql").stdout == "nothing to apply\n"
        assert "Another AeroDB" in run("reset", "--yes", code=1).output
        assert tables(server) == ["cats"]
        said = run("push", "--database-url", server.database_url, "--migrations", "migrations")
        assert said.stdout == "applied: 001.sql\n"
    assert not file.exists()
    assert "no AeroDB runs" in run("status", code=1).output


def test_status_names_tables_that_are_open_and_such_that_nobody_sees(
    run: Run, tmp_path: Path
) -> None:
    """Whoever has made them, and when: nothing but a start and a push has told of them so far."""
    with LocalServer(data=tmp_path / ".aerodb", services=["rest"]) as server:
        told = json.loads(run("status", "--json").stdout)
        assert (told["without_row_security"], told["without_policies"]) == ([], [])
        assert "secret key" not in run("status").stdout
        made = """
            create table opened (id int);
            create table closed (id int);
            create table kept (id int);
            create table revoked (id int);
            create schema own create table hidden (id int);
            revoke all on revoked from anon;
            alter table closed enable row level security;
            alter table kept enable row level security;
            create policy everybody on kept using (true);
        """
        server.execute_sql(made)
        told = json.loads(run("status", "--json").stdout)
        assert told["without_row_security"] == ["opened"]
        assert told["without_policies"] == ["closed"]
        shown = run("status").stdout.splitlines()[-2:]
        assert shown == [
            "without row-level security, open to everybody: opened",
            "without a policy, empty to everybody but the secret key: closed",
        ]


def test_an_instance_that_was_killed_runs_no_more(run: Run, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "aerodb.local", "--port", "0", "--services", "rest"]
    with subprocess.Popen(
        [*command, "--data", str(tmp_path / ".aerodb")], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        while "Ctrl-C" not in process.stdout.readline():
            assert process.poll() is None
        assert json.loads(run("status", "--json").stdout)["pid"] == process.pid
        process.send_signal(signal.SIGKILL)
    assert (tmp_path / ".aerodb/running.json").exists()
    for _ in range(100):  # its lock is the system's to take, when all of it has ended
        if "no AeroDB runs" in CliRunner().invoke(status, []).output:
            return
        time.sleep(0.1)
    raise AssertionError("a killed instance is said to run")


def test_programs_are_told_by_the_environment(run: Run, tmp_path: Path) -> None:
    """The password, and all else, reaches psql without being an argument."""
    run("push", "--schema", "cats.sql")
    shown = subprocess.run(
        [sys.executable, "-W", "error", "-m", "aerodb.cli", "db", "psql", "--", "-X", "-At",
         "-c", "select count(*) from cats", "-c", r"\! tr '\0' ' ' < /proc/$PPID/cmdline"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True, text=True, check=True, timeout=100,
    ).stdout  # fmt: skip
    assert shown.startswith("1\n")
    password = json.loads((tmp_path / ".aerodb/secrets.json").read_text())["superuser_password"]
    assert "select count" in shown
    assert password not in shown


def test_the_environment_names_one_database_only() -> None:
    base = {"PATH": "/bin", "PGHOST": "elsewhere", "PGSERVICE": "other", "PGPASSWORD": "old"}
    made = environment_for("postgresql://me:p%20w@db:5433/x?sslmode=require", base)
    assert made == {
        "PATH": "/bin", "PGHOST": "db", "PGPORT": "5433", "PGUSER": "me", "PGPASSWORD": "p w",
        "PGDATABASE": "x", "PGSSLMODE": "require",
    }  # fmt: skip
    with pytest.raises(LocalError, match="keepalives"):
        environment_for("host=db keepalives=1", base)


def test_a_program_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AERODB_PG_BIN", "/nowhere")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(LocalError, match="pg_dump is not there"):
        find_program("pg_dump")


def test_a_file_that_was_changed_is_told_how_to_begin_anew(run: Run, tmp_path: Path) -> None:
    run("push", "--schema", "cats.sql")
    (tmp_path / "cats.sql").write_text(CATS + DOGS)
    told = run("push", "--schema", "cats.sql", code=1).output
    assert "cats.sql was changed" in told
    assert "aerodb db reset" in told
    run("reset", "--yes", "--schema", "cats.sql")
    assert run("push", "--schema", "cats.sql").stdout == "nothing to apply\n"


def test_push_says_what_is_missing(run: Run) -> None:
    assert "--schema FILE.sql" in run("push", code=2).output
