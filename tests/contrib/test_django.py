"""A real Django project under real servers, over a real AeroDB: WSGI with workers, and ASGI."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from aerodb import AeroDBClient, Session
from aerodb.local import LocalServer

ROOT = Path(__file__).resolve().parent.parent.parent
SETTINGS = "tests.contrib.django_site.settings"
BROKEN = ("/broken", "/broken-async")


@pytest.fixture(scope="module")
def environment(
    aerodb_server: LocalServer, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("site")
    made = {
        **{name: text for name, text in os.environ.items() if not name.startswith("AERODB_")},
        "DJANGO_SETTINGS_MODULE": SETTINGS,
        "SITE_DATABASE": str(folder / "site.sqlite3"),
        "SITE_URL": aerodb_server.url,
        "SITE_KEY": aerodb_server.anon_key,
        "SITE_DEBUG": "1",
    }
    manage(made, "migrate", "--verbosity", "0")
    return made


def manage(environment: dict[str, str], *words: str, code: int = 0) -> str:
    command = [sys.executable, "-W", "error", "-m", "django", *words]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@contextmanager
def serving(environment: dict[str, str], *command: str, fails: bool = False) -> Iterator[str]:
    """Run a server of the project on a free port, until the block ends. `fails`: as is expected."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    words = [word.replace("PORT", str(port)) for word in command]
    process = subprocess.Popen(
        [sys.executable, "-m", *words], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, process.stderr and process.stderr.read()
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=30)
        assert ("Traceback" in errors) == fails, errors


GUNICORN = (
    "gunicorn", "--no-control-socket", "--preload", "-w", "4", "--threads", "2",
    "-b", "127.0.0.1:PORT", "tests.contrib.django_site.wsgi",
)  # fmt: skip
UVICORN = (
    "uvicorn", "--port", "PORT", "--log-level", "error",
    "tests.contrib.django_site.asgi:application",
)  # fmt: skip


@pytest.fixture(scope="module")
def wsgi(environment: dict[str, str]) -> Iterator[str]:
    with serving(environment, *GUNICORN) as url:
        yield url


@pytest.fixture(scope="module")
def asgi(environment: dict[str, str]) -> Iterator[str]:
    with serving(environment, *UVICORN) as url:
        yield url


@pytest.fixture(params=["wsgi", "asgi"])
def site(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(request.param)
    return url


def bearer(session: Session) -> dict[str, str]:
    return {"Authorization": f"Bearer {session.access_token}"}


@contextmanager
def sign_in(site: str, server: LocalServer) -> Iterator[httpx.Client]:
    """A browser of somebody new, signed in by Django."""
    email = f"{uuid4()}@example.com"
    with AeroDBClient(server.url, server.anon_key) as client:
        data = client.auth.sign_up(email, "correct horse").unwrap()
        assert data.user is not None
    with httpx.Client(base_url=site, timeout=60) as browser:
        answer = browser.post("/sign-in", json={"username": email, "password": "correct horse"})
        assert answer.json() == {"signed_in": True, "name": data.user.id, "email": email}
        yield browser


def test_the_process_client_acts_by_the_key(site: str) -> None:
    assert httpx.get(f"{site}/board").json() == {"board": [{"id": 1, "text": "Welcome"}]}


@pytest.mark.parametrize("path", ["/notes", "/notes-async"])
def test_a_bearer_token_makes_the_request_the_callers(
    site: str, path: str, alice: Session, bob: Session
) -> None:
    text = str(uuid4())
    httpx.post(f"{site}/notes", content=text, headers=bearer(alice)).raise_for_status()
    assert text in httpx.get(f"{site}{path}", headers=bearer(alice)).json()["notes"]
    assert text not in httpx.get(f"{site}{path}", headers=bearer(bob)).json()["notes"]
    assert httpx.get(f"{site}{path}").json() == {"notes": []}


@pytest.mark.parametrize("path", ["/notes", "/notes-async"])
def test_a_bad_token_is_401_and_never_a_lesser_role(site: str, path: str) -> None:
    for token in (b"a.b.c", b"\x80"):
        answer = httpx.get(f"{site}{path}", headers={"Authorization": b"Bearer " + token})
        assert answer.status_code == 401


@pytest.mark.parametrize("failing", ["failing", "failing-async"])
def test_what_a_view_lets_through_has_a_status(site: str, failing: str, alice: Session) -> None:
    def ask(kind: str, **headers: str) -> httpx.Response:
        return httpx.get(f"{site}/{failing}/{kind}", headers=headers, timeout=30)

    for kind, status, code in (
        ("row", 404, "PGRST116"),
        ("value", 400, "22P02"),
        ("conflict", 409, "23505"),
        ("policy", 403, "42501"),
    ):
        answer = ask(kind, **bearer(alice))
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert "board" not in answer.text
    assert ask("policy").status_code == 401
    assert ask("policy").headers["WWW-Authenticate"] == "Bearer"
    bad = ask("row", Authorization="Bearer a.b.c")
    assert (bad.status_code, bad.json()["code"]) == (401, "PGRST301")
    assert bad.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert bad.headers["X-Request-Id"]


@pytest.mark.parametrize("failing", ["failing", "failing-async"])
def test_browsers_are_given_pages(site: str, failing: str) -> None:
    accept = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    missing = httpx.get(f"{site}/{failing}/row", headers=accept)
    assert missing.status_code == 404
    assert "Accept" in missing.headers["Vary"]
    assert "<title>Not Found</title>" in missing.text
    conflict = httpx.get(f"{site}/{failing}/conflict", headers=accept)
    assert (conflict.status_code, conflict.text) == (409, "This exists already.")


def test_an_api_key_is_nobody(site: str, aerodb_server: LocalServer) -> None:
    for key in (aerodb_server.anon_key, aerodb_server.service_key):
        answer = httpx.get(f"{site}/notes", headers={"Authorization": f"Bearer {key}"})
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")


ASK_ALL = """
import asyncio, json, sys
import django; django.setup()
from django.test import AsyncClient, Client
body = {"username": "a@example.com", "password": "correct horse"}
sign_in = {"data": json.dumps(body), "content_type": "application/json"}
http, ahttp = Client(raise_request_exception=False), AsyncClient(raise_request_exception=False)

def say(answer):
    print(answer.status_code, json.dumps(answer.content.decode()))

for path in sys.argv[1:]:
    say(http.get(path) if "sign-in" not in path else http.post(path, **sign_in))
    if "sign-in" not in path:
        say(asyncio.run(ahttp.get(path.replace("failing", "failing-async"))))
    else:
        say(asyncio.run(ahttp.post(path + "-async", **sign_in)))
"""


def ask_all(environment: dict[str, str], *paths: str) -> tuple[list[tuple[int, str]], str]:
    """Ask in both colours for each path. Status and body of all answers, and what was logged."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ASK_ALL, *paths],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=100,
    )  # fmt: skip
    lines = [line.partition(" ") for line in done.stdout.splitlines()]
    assert len(lines) == 2 * len(paths)
    assert "unclosed" not in done.stderr
    return [(int(status), json.loads(body)) for status, _, body in lines], done.stderr


def test_what_the_program_does_wrong_is_djangos_500(environment: dict[str, str]) -> None:
    answers, log = ask_all(environment, "/failing/column")
    for status, body in answers:
        assert status == 500
        assert "AeroDBAPIError" in body  # the page of DEBUG
        assert "Traceback" in body
    assert log.count("aerodb.types.AeroDBAPIError: 42703 400: column board.titel") == 2
    answers, _ = ask_all(
        {**environment, "SITE_KEY": "aero_pk_wrong", "SITE_DEBUG": "0"}, "/failing/row"
    )
    for status, body in answers:
        assert status == 500
        assert "key" not in body


def test_a_statement_that_takes_too_long_is_504(environment: dict[str, str]) -> None:
    answers, log = ask_all(environment, "/failing/time")
    assert [status for status, _ in answers] == [504, 504]
    assert log.count("Gateway Timeout: /failing") == 2
    assert "57014" in log


def test_errors_can_be_left_to_django(environment: dict[str, str]) -> None:
    answers, _ = ask_all({**environment, "SITE_ERRORS": "0"}, "/failing/row")
    assert [status for status, _ in answers] == [500, 500]


def test_an_outage_does_not_look_like_a_wrong_password(environment: dict[str, str]) -> None:
    """Nor like anything but an outage, wherever AeroDB is asked."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        away = f"http://127.0.0.1:{listener.getsockname()[1]}"
    answers, log = ask_all({**environment, "SITE_URL": away}, "/sign-in", "/failing/row")
    for status, body in answers:
        assert status == 503
        assert json.loads(body)["code"] == "NETWORK_ERROR"
        assert away not in body
    assert log.count("Service Unavailable: /") == 4
    assert away in log
    answers, _ = ask_all({**environment, "SITE_KEY": "aero_pk_wrong"}, "/sign-in")
    assert [status for status, _ in answers] == [500, 500]
    answers, _ = ask_all({**environment, "SITE_APP": "none"}, "/sign-in")
    assert all(status == 500 and "INSTALLED_APPS" in body for status, body in answers)


def test_signing_in_by_a_coroutine(site: str, aerodb_server: LocalServer) -> None:
    email = f"{uuid4()}@example.com"
    with AeroDBClient(aerodb_server.url, aerodb_server.anon_key) as client:
        client.auth.sign_up(email, "correct horse").unwrap()
    for password, status in (("correct horse", 200), ("wrong", 403)):
        credentials = {"username": email, "password": password}
        answer = httpx.post(f"{site}/sign-in-async", json=credentials, timeout=30)
        assert answer.status_code == status


def test_signing_in_by_django(site: str, aerodb_server: LocalServer) -> None:
    with sign_in(site, aerodb_server) as browser:
        text = str(uuid4())
        browser.post("/notes", content=text).raise_for_status()
        assert browser.get("/notes").json() == {"notes": [text]}
        assert browser.get("/notes-async").json() == {"notes": [text]}
        assert "access_token" not in str(browser.cookies)
        browser.post("/sign-out").raise_for_status()
        assert browser.get("/notes").json() == {"notes": []}


def test_who_signs_in_by_the_client_does_not_become_everybody(
    site: str, aerodb_server: LocalServer
) -> None:
    who = {"email": f"{uuid4()}@example.com", "password": "correct horse"}
    with AeroDBClient(aerodb_server.url, aerodb_server.anon_key) as client:
        client.auth.sign_up(who["email"], who["password"]).unwrap()
    with httpx.Client(base_url=site, timeout=60) as browser:
        token = browser.post("/sign-in-by-hand", json=who).json()["token"]
        hers = {"Authorization": f"Bearer {token}"}
        text = str(uuid4())
        browser.post("/notes", content=text, headers=hers).raise_for_status()
        assert browser.get("/notes", headers=hers).json() == {"notes": [text]}
        for _ in range(12):  # whichever process answers
            assert browser.get("/notes").json() == {"notes": []}


def test_a_wrong_password_signs_nobody_in(site: str) -> None:
    for credentials in (
        {"username": "nobody@example.com", "password": "wrong"},
        {"username": "", "password": ""},
        {"username": "a\0b", "password": "x\udc80"},
    ):
        answer = httpx.post(f"{site}/sign-in", content=json.dumps(credentials))
        assert (answer.status_code, answer.json()) == (403, {"signed_in": False})


def test_tokens_are_renewed_once_and_written_down(wsgi: str, aerodb_server: LocalServer) -> None:
    """Four processes serve eight requests at once whose token is about to end."""
    with sign_in(wsgi, aerodb_server) as browser:
        before = browser.post("/age").json()
        cookies = dict(browser.cookies)

        def ask(_: int) -> int:
            return httpx.get(f"{wsgi}/notes", cookies=cookies, timeout=60).status_code

        with ThreadPoolExecutor(8) as threads:
            assert set(threads.map(ask, range(8))) == {200}
        after = browser.get("/age").json()
        assert after != before
        browser.post("/age")
        assert browser.get("/notes").status_code == 200  # the renewed one can be renewed again


@pytest.mark.timeout(300)
def test_four_preloaded_workers_keep_people_apart(wsgi: str, alice: Session, bob: Session) -> None:
    """800 requests of two people at once (reliability C2, X4)."""
    texts = {person: str(uuid4()) for person in (alice, bob)}
    for person, text in texts.items():
        httpx.post(f"{wsgi}/notes", content=text, headers=bearer(person)).raise_for_status()

    processes: set[str] = set()

    def ask(number: int) -> tuple[bool, bool]:
        mine, other = (alice, bob) if number % 2 else (bob, alice)
        path = "/notes-async" if number % 5 == 0 else "/notes"
        answer = http.get(path, headers=bearer(mine))
        processes.add(answer.headers["X-Process"])
        notes = answer.json()["notes"]
        return texts[mine] in notes, texts[other] in notes

    with httpx.Client(base_url=wsgi, timeout=100) as http, ThreadPoolExecutor(16) as threads:
        assert set(threads.map(ask, range(800))) == {(True, False)}
    assert len(processes) > 1


@pytest.mark.parametrize("server", [GUNICORN, UVICORN], ids=["wsgi", "asgi"])
def test_the_page_for_errors_shows_no_token_and_no_key(
    environment: dict[str, str], aerodb_server: LocalServer, alice: Session, server: tuple[str, ...]
) -> None:
    """Django's own, in DEBUG: with the code, the local variables of each frame and the settings."""
    asked = {**bearer(alice), "Accept": "text/html"}
    with serving(environment, *server, fails=True) as site:
        answers = [httpx.get(f"{site}{path}", headers=asked) for path in BROKEN]
    for answer in answers:
        assert answer.status_code == 500
        assert "PGRST205" in answer.text
        assert "&lt;RequestClient&gt;" in answer.text, "the variables are there"
        assert aerodb_server.url in answer.text, "and so are the settings"
        assert aerodb_server.anon_key not in answer.text
        assert alice.access_token not in answer.text
        assert alice.access_token.rpartition(".")[2] not in answer.text


def test_nothing_is_made_or_asked_before_it_is_used(environment: dict[str, str]) -> None:
    """A server forks after this: AeroDB is told nothing, and no client or connection is there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        code = (
            "import threading, tests.contrib.django_site.wsgi, tests.contrib.django_site.urls;"
            "from aerodb.contrib.django.clients import _made;"
            "print(len(_made), threading.active_count())"
        )
        away = f"http://127.0.0.1:{listener.getsockname()[1]}"
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code], env={**environment, "SITE_URL": away},
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert done.stdout == "0 1\n"


def test_check_finds_nothing_wrong(environment: dict[str, str]) -> None:
    assert "no issues" in manage(environment, "check")


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"SITE_URL": ""}, "aerodb.E001"),
        ({"SITE_URL": "ftp://x"}, "aerodb.E002"),
        ({"SITE_URL": "http://db.example.com"}, "aerodb.E002"),
        ({"SITE_MIDDLEWARE": "wrong way round"}, "aerodb.E003"),
        ({"SITE_SESSIONS": "django.contrib.sessions.backends.signed_cookies"}, "aerodb.E004"),
        ({"SITE_FILES": "buckit"}, "aerodb.E005) STORAGES['files']: got an unexpected keyword"),
        ({"SITE_KEY": ""}, "aerodb.W001"),
        ({"SITE_KEY": "aero_sk_x"}, "aerodb.W002"),
        ({"SITE_DEBUG": "0"}, "aerodb.W003"),
        ({"SITE_MIDDLEWARE": "none"}, "aerodb.W004"),
    ],
)
def test_check_finds_what_is_wrong(
    environment: dict[str, str], changes: dict[str, str], found: str
) -> None:
    text = manage({**environment, **changes}, "check", "--fail-level", "WARNING", code=1)
    assert found in text


def test_aerodb_check_asks_the_server(environment: dict[str, str]) -> None:
    assert "the key is taken" in manage(environment, "aerodb_check")
    assert "invalid_api_key" in manage(
        {**environment, "SITE_KEY": "aero_pk_wrong"}, "aerodb_check", code=1
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        away = f"http://127.0.0.1:{listener.getsockname()[1]}"
    assert "NETWORK_ERROR" in manage({**environment, "SITE_URL": away}, "aerodb_check", code=1)


def test_aerodb_local_passes_its_options_on(environment: dict[str, str]) -> None:
    assert "Keep nothing" in manage(environment, "aerodb_local", "--", "--help")


def test_aerodb_local_runs_until_it_is_interrupted(environment: dict[str, str]) -> None:
    words = ["-m", "django", "aerodb_local", "--", "--temporary", "--port", "0"]
    with subprocess.Popen(
        [sys.executable, "-W", "error", *words], cwd=ROOT, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            found = re.search(r"AERODB_URL=(\S+)", line)
            if found:
                break
        assert found, lines
        assert httpx.get(f"{found[1]}/health").status_code == 200
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        rest, _ = process.communicate(timeout=60)
        assert process.returncode == 130, lines
    assert "Traceback" not in rest
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{found[1]}/health")


def test_aerodb_local_ends_when_it_is_told_to(environment: dict[str, str]) -> None:
    """By a process manager or an IDE, which tell the one process that they started."""
    words = ["-m", "django", "aerodb_local", "--", "--temporary", "--port", "0"]
    with subprocess.Popen(
        [sys.executable, "-W", "error", *words], cwd=ROOT, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        found = next(filter(None, (re.search(r"AERODB_URL=(\S+)", x) for x in process.stdout)))
        process.terminate()
        process.communicate(timeout=60)  # until nobody holds the pipe
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{found[1]}/health")


def test_aerodb_types_writes_classes(environment: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "rows.py"
    assert "tables" in manage(environment, "aerodb_types", "--output", str(file))
    assert "class BoardRow(" in file.read_text(encoding="utf-8")
    wrong = {**environment, "SITE_URL": "http://127.0.0.1:1"}
    assert "NETWORK_ERROR" in manage(wrong, "aerodb_types", code=1)
