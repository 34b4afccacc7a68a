"""The pytest plugin, used as its users do: projects of their own, run by pytest in processes."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests.support.pytests import pytest_command
from tests.support.snippets import snippets_of

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).resolve().parent.parent.parent

SCHEMA = """
create table notes (id int generated always as identity, owner uuid default auth.uid(), body text);
alter table notes enable row level security;
create policy own on notes using (owner = auth.uid());
create table board (text text);
"""
TESTS = """
import os

import pytest

from aerodb import AeroDBClient


@pytest.fixture(autouse=True)
def seen(aerodb_server):
    [row] = aerodb_server.execute_sql("select pg_postmaster_start_time()::text as t")
    with open(os.environ["SEEN"], "a") as file:
        file.write(os.environ.get("PYTEST_XDIST_WORKER", "alone") + "|" + row["t"] + "\\n")


@pytest.mark.parametrize("number", range(4))
def test_nothing_is_left_of_other_tests(aerodb, number):
    assert aerodb.from_("board").count().unwrap() == 0
    aerodb.from_("board").insert({"text": str(number)}).execute().unwrap()


def test_people_see_their_own(aerodb_user, aerodb_service):
    alice, bob = aerodb_user("alice"), aerodb_user("bob")
    assert aerodb_user("alice") is alice
    alice.from_("notes").insert({"body": "mine"}).execute().unwrap()
    assert alice.from_("notes").scalars("body").unwrap() == ["mine"]
    assert bob.from_("notes").count().unwrap() == 0
    assert aerodb_service.from_("notes").count().unwrap() == 1


def test_the_server_is_at_hand(aerodb_server):
    assert aerodb_server.execute_sql("select count(*) as n from board") == [{"n": 0}]
    with AeroDBClient(aerodb_server.url, aerodb_server.anon_key) as client:
        assert client.health().unwrap().status == "ok"


@pytest.mark.asyncio
async def test_async(async_aerodb):
    assert (await async_aerodb.from_("board").count()).unwrap() == 0


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_async_by_anyio(async_aerodb):
    assert (await async_aerodb.from_("board").count()).unwrap() == 0
"""
SETTINGS = """
import pytest


@pytest.fixture(scope="session")
def aerodb_settings(aerodb_settings):
    more = "create table t as select 1 as a from generate_series(1, 5)"
    schema = [*aerodb_settings["schema"], more]
    return {**aerodb_settings, "db_max_rows": 2, "schema": schema}


def test_settings_can_be_overridden(aerodb):
    assert len(aerodb.from_("t").select("*").execute().unwrap()) == 2
"""


def run(folder: Path, *words: str, tests: str = TESTS, code: int = 0) -> str:
    (folder / "schema.sql").write_text(SCHEMA)
    (folder / "test_it.py").write_text(textwrap.dedent(tests))
    ini = [
        "[pytest]",
        "aerodb_schema = schema.sql",
        "asyncio_default_fixture_loop_scope = function",
    ]
    (folder / "pytest.ini").write_text("\n".join(ini))
    done = subprocess.run(
        pytest_command(*words),
        cwd=folder, capture_output=True, text=True, check=False, timeout=250,
        env={**os.environ, "SEEN": str(folder / "seen"), "TMPDIR": str(folder)},
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def processes_below(folder: Path) -> list[str]:
    """The command lines of processes that have to do with a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            environment = (entry / "environ").read_bytes().decode("utf-8", "replace")
        except OSError:
            continue
        if str(folder) in arguments or f"TMPDIR={folder}" in environment:
            found.append(arguments)
    return found


def all_gone(folder: Path) -> bool:
    for _ in range(600):
        if not processes_below(folder):
            return True
        time.sleep(0.1)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="looks for left-over processes in /proc")
def test_every_test_has_a_database_of_its_own_on_one_postgresql(tmp_path: Path) -> None:
    """Two workers, both of which have had tests; a single process is what the guide's tests run in.
    Settings of the project come on top of those of the ini file."""
    assert "9 passed" in run(tmp_path, "-n", "2", tests=SETTINGS + TESTS)
    seen = [line.split("|") for line in (tmp_path / "seen").read_text().splitlines()]
    assert len(seen) == 9
    assert {worker for worker, _ in seen} == {"gw0", "gw1"}
    assert len({started for _, started in seen}) == 1
    assert all_gone(tmp_path), processes_below(tmp_path)


def test_a_killed_run_leaves_nothing_behind(tmp_path: Path) -> None:
    tests = """
    import os, signal

    def test_it(aerodb):
        os.kill(os.getpid(), signal.SIGKILL)
    """
    run(tmp_path, "-n", "0", tests=tests, code=-9)
    assert all_gone(tmp_path), processes_below(tmp_path)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"schema": ["create tabel oops ()"]}, "tabel"),
        ({"schema": ["nowhere.sql"]}, "nowhere.sql"),
        ({"migrations": "nowhere"}, "nowhere"),
        ({"shcema": []}, "shcema"),
    ],
)
def test_what_is_wrong_with_the_settings_is_said_by_each_test(
    tmp_path: Path, settings: dict[str, object], reason: str
) -> None:
    tests = f"""
    import pytest

    @pytest.fixture(scope="session")
    def aerodb_settings():
        return {settings!r}

    @pytest.mark.parametrize("number", range(2))
    def test_it(aerodb, number):
        pass
    """
    done = run(tmp_path, "-n", "0", "--show-capture=no", tests=tests, code=1)
    said = "\nthe AeroDB of the tests did not start: "
    assert done.count(said) == 2
    assert reason in done.partition(said)[2].partition("\n\n")[0]
    assert "sharing.py" not in done  # no traceback of ours
    assert "2 errors" in done


def test_without_the_extra_it_is_named(tmp_path: Path) -> None:
    tests = """
    import sys

    sys.modules["psycopg"] = None

    def test_it(aerodb):
        pass
    """
    done = run(tmp_path, "-n", "0", tests=tests, code=1)
    assert "pip install 'aerodb[local]'" in done
    assert "plugin.py" not in done


@pytest.mark.parametrize(
    "order", [("test_it.py", "test_other.py"), ("test_other.py", "test_it.py")]
)
def test_settings_of_a_module_are_for_its_tests(tmp_path: Path, order: tuple[str, str]) -> None:
    (tmp_path / "test_other.py").write_text(
        "def test_other(aerodb):\n"
        "    assert aerodb.from_('board').count().unwrap() == 0\n"
        "    assert aerodb.from_('t').count().error is not None\n"
    )
    assert "2 passed" in run(tmp_path, "-n", "0", "-p", "no:randomly", *order, tests=SETTINGS)


def test_the_guide_as_pasted(tmp_path: Path) -> None:
    """With a test more, of what the override of the settings adds."""
    names = {"sql": "schema.sql", "text": "pytest.ini", "python": "test_visits.py"}
    for snippet in snippets_of(ROOT / "docs" / "testing.md"):
        if snippet.code.startswith("# conftest.py"):
            (tmp_path / "conftest.py").write_text(snippet.code)
        elif snippet.language in names:
            (tmp_path / names.pop(snippet.language)).write_text(snippet.code)
    assert names == {}
    (tmp_path / "test_unseen.py").write_text(
        "def test_unseen(aerodb):\n    assert aerodb.from_('unseen').count().unwrap() == 0\n"
    )
    command = [sys.executable, "-m", "pytest", "-W", "error"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed" in done.stdout


def test_loading_the_plugin_loads_nothing_heavy() -> None:
    code = (
        "import sys, aerodb.testing.plugin;"
        "print([m for m in ('aerodb.local', 'aerodb.sync', 'psycopg', 'httpx')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
