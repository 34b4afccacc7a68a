"""What README and docs/*.md have their reader type is typed here, in the order of each page.

Each page has a folder of its own with the files that it speaks of; its `aerodb dev` is started on a
free port, and stands behind every `http://127.0.0.1:54321` and key of the page.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import httpx
import psycopg
import pytest
from moto.server import ThreadedMotoServer

from aerodb import AeroDBClient
from tests.support.snippets import PLACEHOLDERS, Snippet, commands_of, snippets_of
from tests.support.terminal import ROOT, Program, Terminal

pytestmark = pytest.mark.timeout(300)

DOCS = ROOT / "docs"
PAGES = [
    document
    for document in (ROOT / "README.md", *sorted(DOCS.glob("*.md")))
    if any(snippet.language == "console" for snippet in snippets_of(document))
]
PYTHON = ".venv/bin/python"
OTHER = "/tmp/python3.13/bin/python"
_OTHER = "needs a Python that is not everywhere, and minutes of pip"
NOT_RUN = {
    "python3 scripts/check.py": "is what runs the tests",
    f"{PYTHON} -m pytest -n 2": "is the tests",
    "python3 scripts/run_quickstart.py": "makes an environment by pip: its example is run",
    "python3 scripts/build_docs.py": "makes an environment by pip: see test_docs_built.py",
    f"{PYTHON} scripts/bench.py": "takes minutes",
    f"{PYTHON} scripts/soak.py": "takes minutes; its tests are in every run, in small",
    f"{PYTHON} scripts/soak_realtime.py": "takes minutes; see test_realtime_ordeal.py",
    "python3.13 -m venv /tmp/python3.13": _OTHER,
    f'{OTHER} -m pip install --upgrade "pip>=25.1"': _OTHER,
    f'{OTHER} -m pip install --editable ".[local,speedups]" --group dev --group examples': _OTHER,
    f"{OTHER} -m pytest -n 2 --dist worksteal": "is the tests",
}
"""Nothing else is left out. `pip install` is not run either: what it names is looked up."""


class Reader:
    """Somebody who reads a page and types what it says."""

    def __init__(self, document: Path, terminal: Terminal, s3: Callable[[], str]) -> None:
        self.document = document
        self.terminal = terminal
        self.folder = terminal.folder
        self.snippets = snippets_of(document)
        self.typed = 0
        self._s3 = s3
        self._instance: Program | None = None
        self._known: dict[str, str] = {}
        terminal.environment["PGRST_SERVER_PORT"] = "0"

    def read(self) -> None:
        """Type everything. A page that asks an instance before it shows how to start one means it
        to run by then."""
        commands = [
            (snippet, command)
            for snippet in self.snippets
            if snippet.language == "console"
            for command in _lines(snippet)
        ]
        self._write_files([command for _, command in commands])
        first = next((one for _, one in commands if one.startswith("aerodb dev")), None)
        if first and self.document.name == "cli.md":
            self._serve(first)
        before = None
        for snippet, command in commands:
            if snippet is not before:  # variables that tell of an instance are for one snippet
                for name in ("AERODB_DATABASE_URL", "PGRST_JWT_SECRET"):
                    self.terminal.environment.pop(name, None)
            before = snippet
            self._type(command, snippet)
        if self._instance is not None:
            assert self._instance.interrupt() == 130

    def _write_files(self, commands: list[str]) -> None:
        """The schema that the page shows, or the one of the first five minutes that it refers to;
        and what any reader has."""
        names = {name for one in commands for name in re.findall(r"--schema (\S+\.sql)", one)}
        for name in names:
            shown = [one.code for one in self.snippets if one.language == "sql"]
            if self.document.name == "local.md":
                assert "quickstart.md) have a `todos.sql`" in self.document.read_text()
                shown = [o.code for o in snippets_of(DOCS / "quickstart.md") if o.language == "sql"]
            else:
                assert f"`{name}`" in self.document.read_text(encoding="utf-8")
            (self.folder / name).write_text(shown[0], encoding="utf-8")
        (self.folder / "migrations").mkdir()
        migration = "create index on todos (title);"
        (self.folder / "migrations" / "1_index.sql").write_text(migration)
        (self.folder / "functions").mkdir()
        (self.folder / "functions" / "hello.py").write_text("def handler(_): return 'Hello'\n")
        (self.folder / "report.pdf").write_bytes(b"%PDF-1.4\n")
        (self.folder / "site").mkdir()
        (self.folder / "site" / "index.html").write_text("<title>Site</title>")

    # --- one command -------------------------------------------------------------------------

    def _type(self, command: str, snippet: Snippet) -> None:
        if command in NOT_RUN:
            self._instead(command)
            return
        for shown, real in self._known.items():
            command = command.replace(shown, real)
        words = shlex.split(command)
        if words[:2] == ["pip", "install"]:
            _check_pip(words[2:])
        elif words[0] == "export":
            self._export(command)
        elif words[:2] == ["aerodb", "dev"] or words[:3] == ["python", "-m", "aerodb.local"]:
            self._serve(command)
        elif words[:2] == ["aerodb", "listen"]:
            self._listen(command)
        elif words[0] == "uvicorn":
            self._serve_program(command, snippet)
        elif words[0] == PYTHON:
            self._work_on_a_copy(command)
        elif words[0] == "curl":
            assert isinstance(json.loads(self.terminal.run(command)), list)
        else:
            assert words[0] == "aerodb", f"{snippet}: how is {words[0]!r} to be run?"
            self._ask(command)
        self.typed += 1

    def _ask(self, command: str) -> None:
        if command.startswith("aerodb db reset"):  # "only when the instance has been stopped"
            self._stop()
        said = self.terminal.run(command)
        if command.startswith(("aerodb select", "aerodb rpc")) and " > " not in command:
            assert "title" in said
        for name in re.findall(r"(?:>|--output) (\S+)", command):
            assert (self.folder / name).stat().st_size > 0

    def _instead(self, command: str) -> None:
        if command.endswith("run_quickstart.py"):
            said = self.terminal.run(f"python {ROOT}/examples/quickstart.py --days 1")
            assert "A typed row: Airline(carrier='AA'" in said

    def _export(self, command: str) -> None:
        if "AERODB_DATABASE_URL" in command:
            command = f"export AERODB_DATABASE_URL={self._another_database()!r}"
        self.terminal.export(command)

    # --- what runs on ------------------------------------------------------------------------

    def _serve(self, command: str) -> None:
        """An instance, which takes the place of the one before: they have one data folder."""
        if self._instance is not None and self._instance.command == command:
            return
        another = "AERODB_DATABASE_URL" in self.terminal.environment
        if not another:
            self._stop()
        program = self.terminal.start(self._elsewhere(command))
        said = program.says("Press Ctrl-C to stop.")
        url = re.findall(r"^  URL +(\S+)$", said, re.M)[0]
        for port in re.findall(r"--port (\d+)", command):
            self._known[f"http://127.0.0.1:{port}"] = url
        assert httpx.get(f"{url}/health", trust_env=False).json()["status"] == "ok"
        if another:
            assert httpx.get(f"{url}/rest/v1/todos", trust_env=False).json() == [{"id": 1}]
            assert program.interrupt() == 130
            return
        self._instance, program.command = program, command
        self.terminal.export(re.findall(r"^  (export .+)$", said, re.M)[0])
        keys = re.findall(r"^  (?:publishable|secret) key +(\S+)$", said, re.M)
        self._known |= dict(zip(PLACEHOLDERS, (url, *keys), strict=True))
        if "--functions" in command:
            answer = httpx.post(f"{url}/functions/v1/hello", trust_env=False)
            assert answer.text == "Hello"

    def _elsewhere(self, command: str) -> str:
        """The command at a free port, and before an S3 of ours."""
        if "s3://" in command:
            command = command.replace("http://127.0.0.1:9000", self._s3())
            keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
            self.terminal.environment |= keys
        return re.sub(r"--port \d+", "--port 0", command)

    def _stop(self) -> None:
        if self._instance is not None:
            assert self._instance.interrupt() == 130
            self._instance = None

    def _another_database(self) -> str:
        """One that is not an instance's, with a role that requests start from, and one for all."""
        assert self._instance is not None
        url = re.findall(r"^  database +(\S+)$", self._instance.said, re.M)[0]
        with psycopg.connect(url, autocommit=True) as owner:
            owner.execute("create database app")
            owner.execute("create role web_anon; create role web login password 'secret'")
            owner.execute("grant web_anon to web")
        app = url.replace("/postgres?", "/app?")
        with psycopg.connect(app, autocommit=True) as owner:
            owner.execute("create table todos as select 1 as id; grant select on todos to web_anon")
        return re.sub("//.+@", "//web:secret@", app)

    def _serve_program(self, command: str, snippet: Snippet) -> None:
        """The program that the page has shown from `# main.py` on, in front of an AeroDB."""
        shown = [one for one in self.snippets if one.language == "python" and not one.marker]
        start = next(one.line for one in shown if one.code.startswith("# main.py"))
        program = "\n".join(one.code for one in shown if start <= one.line < snippet.line)
        (self.folder / "main.py").write_text(program, encoding="utf-8")
        if self._instance is None:
            todos = [o.code for o in snippets_of(DOCS / "quickstart.md") if o.language == "sql"]
            (self.folder / "todos.sql").write_text(todos[0], encoding="utf-8")
            self._serve("aerodb dev --schema todos.sql")
        running = self.terminal.start(f"{command} --port 0")
        said = running.says("(Press CTRL+C to quit)")
        url = re.findall(r"Uvicorn running on (\S+)", said)[0]
        titles = httpx.get(f"{url}/todos", trust_env=False).json()
        assert "Read the first five minutes" in [todo["title"] for todo in titles]
        running.interrupt()
        assert "Finished server process" in running.said

    def _listen(self, command: str) -> None:
        words = shlex.split(command)
        listening = self.terminal.start(command)
        listening.says("listening to")
        url, _, key = (self._known[shown] for shown in PLACEHOLDERS)
        with AeroDBClient(url, key) as client:
            if words[2] == "todos":
                client.from_("todos").insert({"title": "Heard"}).execute().unwrap()
                said = listening.says("Heard")
                assert ('"type": "INSERT"' if "--json" in words else "INSERT public.todos") in said
                assert listening.interrupt() == 130
                return
            channel = client.channel(words[2])
            channel.subscribe().unwrap()
            for number in range(int(words[words.index("--count") + 1])):
                channel.send("said", {"number": number}).unwrap()
            assert listening.ends() == 0, listening.said

    # --- the project's own scripts -----------------------------------------------------------

    def _work_on_a_copy(self, command: str) -> None:
        """They write into the project: into one that nobody else is reading."""
        copy = self.folder / "project"
        if not copy.exists():
            leave = shutil.ignore_patterns(".*", "__pycache__", "site", "node_modules")
            shutil.copytree(ROOT, copy, ignore=leave)
            (copy / ".venv").symlink_to(sys.prefix)
        self.terminal.run(f"cd project && {command}")
        for file in ("aerodb/sync/client.py", "docs/reference.md"):
            assert (copy / file).read_bytes() == (ROOT / file).read_bytes()


def _lines(snippet: Snippet) -> Iterator[str]:
    """What is typed. No page shows what a command prints; one that did would be compared here."""
    for line in snippet.code.splitlines():
        assert line.startswith("$ "), f"{snippet}: {line!r} is no command"
    yield from commands_of(snippet)


def _check_pip(words: list[str]) -> None:
    """Extras that the project has, and no option that would need to be tried."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for word in words:
        name, _, extras = word.rstrip("]").partition("[")
        assert re.fullmatch(r"[a-z][a-z0-9-]*", name), word
        if name == project["name"]:
            assert set(filter(None, extras.split(","))) <= set(project["optional-dependencies"])
        else:
            assert not extras


@pytest.fixture
def s3() -> Iterator[Callable[[], str]]:
    """Start an S3 that has the page's bucket, if it is asked for."""
    started: list[ThreadedMotoServer] = []

    def start() -> str:
        started.append(ThreadedMotoServer("127.0.0.1", 0, verbose=False))
        started[0].start()
        host, port = started[0].get_host_and_port()
        made = boto3.client(
            "s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1",
            aws_access_key_id="key", aws_secret_access_key="secret",
        )  # fmt: skip
        made.create_bucket(Bucket="my-bucket")
        return f"http://{host}:{port}"

    yield start
    for server in started:
        server.stop()


@pytest.mark.parametrize("document", PAGES, ids=lambda path: path.name)
def test_what_a_page_has_typed_works(document: Path, tmp_path: Path, s3: Callable[[], str]) -> None:
    with Terminal(tmp_path) as terminal:
        reader = Reader(document, terminal, s3)
        reader.read()
        assert reader.typed > 0


@pytest.mark.parametrize(
    "command",
    ["aerodb select todos", "aerodb dev --no-such-flag", "pip install 'aerodb[nothing]'", "ls"],
)
def test_what_does_not_work_does_not_pass(
    command: str, tmp_path: Path, s3: Callable[[], str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"```console\n$ {command}\n```\n", encoding="utf-8")
    with Terminal(tmp_path) as terminal, pytest.raises(AssertionError):
        Reader(page, terminal, s3).read()


def test_what_is_not_run_is_on_a_page() -> None:
    typed = {
        command
        for document in PAGES
        for snippet in snippets_of(document)
        if snippet.language == "console"
        for command in commands_of(snippet)
    }
    assert set(NOT_RUN) <= typed
