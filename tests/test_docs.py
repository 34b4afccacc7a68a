"""What the documentation shows works: snippets run, commands exist, links lead somewhere."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django
import httpx
import pytest
from click.testing import CliRunner
from django.conf import settings as django_settings
from django.core.signals import setting_changed
from django.http import JsonResponse
from django.test import RequestFactory
from starlette.types import Receive, Scope, Send

from aerodb import AeroDBClient
from aerodb.cli import _COMMANDS
from aerodb.contrib.django import AeroDBMiddleware
from aerodb.local import LocalServer
from aerodb.local import server as local_server
from aerodb.local.commands import serve
from tests.support.pytests import pytest_command
from tests.support.pythons import SUPPORTED
from tests.support.quick_server import quick_server
from tests.support.snippets import Runner, Snippet, commands_of, snippets_of

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SNIPPETS = [snippet for document in DOCUMENTS for snippet in snippets_of(document)]
PAGES = "".join(document.read_text(encoding="utf-8") for document in DOCUMENTS)
LANGUAGES = {"python", "console", "sql", "mermaid", "text", "js"}
OWN_SCHEMA = {"README.md", "auth.md", "database.md", "cli.md"}
"""Begin with the SQL that all the rest of them needs, and run over that alone."""
by_name = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


def chosen(language: str, document: Path | None = None) -> list[Snippet]:
    """The snippets of a language that are run."""
    return [
        snippet
        for snippet in SNIPPETS
        if snippet.language == language
        and document in (None, snippet.document)
        and not snippet.marker.startswith("not run")
    ]


# --- where they run ------------------------------------------------------------------------------

SOME_FLIGHTS = """
insert into airlines values ('UA', 'United Air Lines Inc.');
insert into airports (faa, name) values ('JFK', 'John F Kennedy Intl'), ('SFO', 'San Francisco');
insert into flights (time_hour, carrier, flight, origin, dest, month, day, sched_dep_time,
                     sched_arr_time, dep_delay, distance)
values ('2013-01-01 05:00:00+00', 'UA', 15, 'JFK', 'SFO', 1, 1, 600, 900, 90, 2586);
"""


@pytest.fixture(scope="module")
def todos() -> str:
    """The schema that the quickstart has its reader write."""
    return chosen("sql", ROOT / "docs" / "quickstart.md")[0].code


@pytest.fixture(scope="module")
def server(todos: str) -> Iterator[LocalServer]:
    """One AeroDB with all that the documents speak of."""
    schema = [ROOT / "examples" / "flights.sql", ROOT / "tests" / "live_schema.sql", todos]
    with LocalServer(
        schema=[*schema, SOME_FLIGHTS], db_schemas="public, archive", db_plan_enabled=True
    ) as running:
        yield running


@pytest.fixture
def at_hand(
    server: LocalServer, todos: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A working directory and an environment as a reader has them."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "todos.sql").write_text(todos, encoding="utf-8")
    (tmp_path / "migrations").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AERODB_URL", server.url)
    monkeypatch.setenv("AERODB_KEY", server.anon_key)
    if not django_settings.configured:
        django_settings.configure()
        django.setup()
    server.execute_sql("select empty_written(); truncate todos restart identity")
    return tmp_path


@pytest.fixture(scope="module")
def quick() -> Iterator[type[LocalServer]]:
    with quick_server() as made:
        yield made


@pytest.fixture
def play(
    server: LocalServer,
    at_hand: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Iterator[Callable[[Path], Runner]]:
    """Run all Python snippets of a document; what they have made stays to be looked at.

    README.md and test files start an instance from nothing, which takes seconds; where others start
    one, it is over a cluster that they share.
    """
    runners: list[Runner] = []
    instances = ExitStack()

    def run(document: Path) -> Runner:
        asked = server
        if document.name in OWN_SCHEMA and document.name != "cli.md":
            asked = instances.enter_context(own_instance(document))
        own = any("LocalServer(" in one.code for one in chosen("python", document))
        if own and document.name != "README.md":
            monkeypatch.setattr(local_server, "LocalServer", request.getfixturevalue("quick"))
        name = f"docs_{document.stem}"
        runner = Runner(name, asked.url, asked.anon_key, asked.service_key)
        runners.append(runner.__enter__())
        for snippet in chosen("python", document):
            if snippet.marker == "pytest":
                run_by_pytest(snippet, at_hand)
            else:
                runner.run(snippet)
        return runner

    yield run
    for runner in runners:
        runner.__exit__()
    instances.close()
    setting_changed.send(None, setting="AERODB", value=None, enter=False)  # closes its client


def own_instance(document: Path) -> LocalServer:
    """What a reader has who did what the page begins with."""
    schemas = "public, archive" if document.name == "database.md" else "public"
    schema = chosen("sql", document)[0].code
    return LocalServer(schema=[schema], db_schemas=schemas, db_plan_enabled=True)


def run_by_pytest(snippet: Snippet, folder: Path) -> None:
    file = folder / "test_snippet.py"
    file.write_text(snippet.code, encoding="utf-8")
    scope = "asyncio_default_fixture_loop_scope=function"
    done = subprocess.run(
        pytest_command("-o", scope, "--rootdir", str(folder), str(file)),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{snippet}\n{done.stdout}{done.stderr}"


# --- Python --------------------------------------------------------------------------------------


def test_every_snippet_has_a_language_that_is_checked() -> None:
    assert [str(snippet) for snippet in SNIPPETS if snippet.language not in LANGUAGES] == []
    assert len(chosen("python")) > 20
    assert len(chosen("console")) > 5


@by_name
def test_python_runs(document: Path, play: Callable[[Path], Runner]) -> None:
    play(document)


def test_the_readme_shows_rows(
    play: Callable[[Path], Runner], capsys: pytest.CaptureFixture[str]
) -> None:
    play(ROOT / "README.md")
    assert capsys.readouterr().out.splitlines() == [
        "JetBlue Airways 181 853",
        "JetBlue Airways 523 71",
        "[2, 1]",
        "[{'id': 1, 'title': 'Hello'}]",
    ]


def test_the_commands_that_ask_a_server_run(monkeypatch: pytest.MonkeyPatch) -> None:
    document = ROOT / "docs" / "cli.md"
    asked = set()
    with own_instance(document) as server:
        monkeypatch.setenv("AERODB_URL", server.url)
        monkeypatch.setenv("AERODB_KEY", server.anon_key)
        for snippet in chosen("console", document):
            for command in commands_of(snippet):
                words = shlex.split(command.partition(" > ")[0])
                if words[0] != "aerodb" or words[1] not in ("select", "rpc", "tables", "health"):
                    continue
                module, attribute, _ = _COMMANDS[words[1]]
                called = getattr(importlib.import_module(module), attribute)
                done = CliRunner().invoke(called, words[2:])
                assert done.exit_code == 0, done.output
                assert done.output.count("\n") > 0
                asked.add(words[1])
    assert asked == {"select", "rpc", "tables", "health"}


def test_the_fastapi_app_answers(play: Callable[[Path], Runner], server: LocalServer) -> None:
    app = play(ROOT / "docs" / "quickstart.md").values["app"]
    server.execute_sql("insert into todos (title) values ('Answer')")

    async def ask() -> httpx.Response:
        async with app.router.lifespan_context(app) as state:

            async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
                await app({**scope, "state": dict(state)}, receive, send)

            transport = httpx.ASGITransport(with_state)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
                return await http.get("/todos")

    answer = asyncio.run(ask())
    assert answer.status_code == 200
    assert "Answer" in [todo["title"] for todo in answer.json()]


def test_the_fastapi_guide_answers(play: Callable[[Path], Runner], server: LocalServer) -> None:
    """Its app is asked as the quickstart's is, by somebody who has signed in and by nobody."""
    app = play(ROOT / "docs" / "fastapi.md").values["app"]
    with AeroDBClient(server.url, server.anon_key) as client:
        session = client.auth.sign_up("guide@example.com", "correct horse").unwrap().session
        assert session is not None
        hers = {"Authorization": f"Bearer {session.access_token}"}

    async def ask() -> list[httpx.Response]:
        async with app.router.lifespan_context(app) as state:

            async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
                await app({**scope, "state": dict(state)}, receive, send)

            transport = httpx.ASGITransport(with_state)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
                return [
                    await http.post("/todos", params={"title": "Guide"}),
                    await http.post("/todos", params={"title": "Guide"}, headers=hers),
                    await http.get("/me", headers=hers),
                    await http.get("/todos"),
                ]

    refused, made, me, listed = asyncio.run(ask())
    assert [refused.status_code, made.status_code] == [401, 201]
    assert me.json() == "guide@example.com"
    assert "Guide" in [todo["title"] for todo in listed.json()]


def test_the_django_guide_answers(play: Callable[[Path], Runner], server: LocalServer) -> None:
    guide = play(ROOT / "docs" / "django.md").values
    server.execute_sql("insert into todos (title) values ('Guide')")
    answer = AeroDBMiddleware(guide["todos"])(RequestFactory().get("/todos"))
    assert b'"Guide"' in answer.content
    asynchronous = AeroDBMiddleware(guide["todos_async"])(RequestFactory().get("/todos"))
    assert b'"Guide"' in asyncio.run(asynchronous).content


def test_the_django_view_answers(play: Callable[[Path], Runner], server: LocalServer) -> None:
    view = play(ROOT / "docs" / "quickstart.md").values["list_todos_view"]
    server.execute_sql("insert into todos (title) values ('View')")
    answer = view(RequestFactory().get("/todos"))
    assert isinstance(answer, JsonResponse)
    assert answer.status_code == 200
    assert b'"View"' in answer.content


def test_sql_is_accepted(server: LocalServer) -> None:
    for snippet in chosen("sql"):
        if snippet.document.name in OWN_SCHEMA:  # it ran where the page did
            continue
        server.execute_sql(
            f"begin; create schema docs; set local search_path = docs, public;\n{snippet.code};\n"
            "rollback"
        )


# --- the harness itself --------------------------------------------------------------------------


def run_text(text: str, server: LocalServer, marker: str = "") -> None:
    with Runner("docs_probe", server.url, server.anon_key, server.service_key) as runner:
        runner.run(Snippet(Path("probe.md"), 1, "python", text, marker))


OPENED = "from aerodb import AeroDBClient\nc = AeroDBClient('http://127.0.0.1:54321')\n"


@pytest.mark.parametrize(
    "text",
    [
        "response = c.from_('nothing').select('*').execute()",
        "c.from_('users').select('nothing')",
        "for _ in range(1):\n    c.from_('users').select('nothing').execute()",
    ],
)
def test_a_snippet_with_an_error_does_not_pass(text: str, server: LocalServer) -> None:
    with pytest.raises(AssertionError, match=r"42703|PGRST205"):
        run_text(OPENED + text, server)
    run_text(OPENED + text, server, "errors are shown")


def test_a_marker_that_is_not_needed_does_not_pass(server: LocalServer) -> None:
    with pytest.raises(AssertionError, match="no error to be shown"):
        run_text(OPENED + "c.from_('users').select('id')", server, "errors are shown")


# --- commands ------------------------------------------------------------------------------------


def check_script(words: list[str]) -> None:
    """`python3 scripts/check.py --fast`: the file is there, compiles, and knows the flags."""
    source = (ROOT / words[0]).read_text(encoding="utf-8")
    ast.parse(source)
    assert all(word in source for word in words[1:] if word.startswith("--")), words


def check_serve(words: list[str]) -> None:
    """Have the command line read the words, without running anything."""
    context = serve.make_context("aerodb dev", list(words))
    for file in context.params["schema"]:
        assert Path(file).is_file() or f"`{file}`" in PAGES, file


def check_aerodb(name: str, words: list[str]) -> None:
    """Have the command that is meant read the words."""
    if name == "dev":
        check_serve(words)
    else:
        module, attribute, _ = _COMMANDS[name]
        command = getattr(importlib.import_module(module), attribute)
        command.make_context(f"aerodb {name}", list(words))


def check_module(words: list[str]) -> None:
    """`python -m NAME ...`"""
    assert importlib.util.find_spec(words[0]) is not None
    if words[0] == "aerodb.local":
        check_serve(words[1:])


def check_pip(words: list[str]) -> None:
    """`pip install "aerodb[local]"`: extras that the project has."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for word in words[1:]:
        name, _, extras = word.rstrip("]").partition("[")
        if name == project["name"]:
            assert set(filter(None, extras.split(","))) <= set(project["optional-dependencies"])


def check_curl(words: list[str], server: LocalServer) -> None:
    """Ask the server for the same thing, where it has its REST part."""
    parts = urlsplit(words[-1])
    answer = httpx.get(f"{server.url}/rest/v1{parts.path}?{parts.query}")
    assert answer.status_code == 200, answer.text


def check_command(command: str, server: LocalServer) -> None:
    words = shlex.split(command.partition(" > ")[0])
    program = Path(words[0]).name
    if program in ("python", "python3", *(f"python{version}" for version in SUPPORTED)):
        (check_module if words[1] == "-m" else check_script)(words[2 if words[1] == "-m" else 1 :])
    elif program == "aerodb":
        check_aerodb(words[1], words[2:])
    elif program == "pip":
        assert words[1] == "install"
        check_pip(words[1:])
    elif program == "curl":
        check_curl(words, server)
    elif program == "export":
        assert all(re.fullmatch(r"(AERODB|PGRST)_[A-Z_]+=\S+", word) for word in words[1:])
    else:
        assert program == "uvicorn", f"how is {program!r} to be checked?"
        assert shutil.which("uvicorn", path=str(Path(sys.executable).parent))


@by_name
def test_commands_exist(document: Path, server: LocalServer, at_hand: Path) -> None:
    for snippet in chosen("console", document):
        commands = list(commands_of(snippet))
        assert commands, f"{snippet}: no line begins with '$ '"
        for command in commands:
            check_command(command, server)


@pytest.mark.parametrize("command", [["-m", "aerodb.local"], ["-m", "aerodb.cli", "dev"]])
def test_help_works(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, *command, "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout.lower()


# --- links ---------------------------------------------------------------------------------------


def anchors(document: Path) -> set[str]:
    """The names that GitHub gives to headings."""
    text = re.sub(r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.M | re.S)
    titles: list[Any] = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@by_name
def test_links_lead_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if urlsplit(target).scheme:
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        assert file.exists(), f"{document.name}: {target}"
        assert not anchor or anchor in anchors(file), f"{document.name}: {target}"


def test_every_document_can_be_found() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    unknown = [path.name for path in DOCUMENTS[1:] if f"({path.name})" not in index]
    assert unknown == ["index.md"]
