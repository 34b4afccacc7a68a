"""docs/django.md, pasted in order into what `django-admin startproject` makes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from aerodb import AeroDBClient
from aerodb.local import LocalServer
from tests.support.snippets import snippets_of

pytestmark = pytest.mark.timeout(300)

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
TODOS = next(one.code for one in snippets_of(DOCS / "quickstart.md") if one.language == "sql")

Manage = Callable[..., str]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("guide")
    command = [sys.executable, "-m", "django", "startproject", "mysite", str(folder)]
    subprocess.run(command, check=True)
    (folder / "todos.sql").write_text(TODOS, encoding="utf-8")
    for snippet in snippets_of(DOCS / "django.md"):
        head, _, _ = snippet.code.partition("\n")
        if snippet.language == "python" and head.startswith("# "):
            with (folder / "mysite" / head.removeprefix("# ")).open("a", encoding="utf-8") as file:
                file.write(f"\n{snippet.code}")
    return folder


def manage(project: Path, *words: str, code: int = 0, **variables: str) -> str:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("AERODB_")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "manage.py", *words],
        cwd=project, env={**kept, **variables}, capture_output=True, text=True, check=False,
        timeout=200,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_without_an_address_it_says_so_and_the_local_instance_starts(project: Path) -> None:
    assert "aerodb.E001" in manage(project, "check", code=1)
    assert "Keep nothing" in manage(project, "aerodb_local", "--", "--help")


SIGN_IN = """
from django.contrib.auth import authenticate
from django.test import Client
from django.test.utils import setup_test_environment
setup_test_environment()
print(authenticate(username="admin", password="a password of Django"))
print(authenticate(username="{email}", password="correct horse").email)
print(authenticate(username="admin", password="wrong"))
for path in ("/todos", "/todos-async"):
    print([todo["title"] for todo in Client().get(path).json()["todos"]])
"""


def test_the_guide_as_pasted(project: Path) -> None:
    email = f"{uuid4()}@example.com"
    with LocalServer(schema=[TODOS]) as server:
        with AeroDBClient(server.url, server.anon_key) as client:
            client.auth.sign_up(email, "correct horse").unwrap()
        where = {"AERODB_URL": server.url, "AERODB_KEY": server.anon_key}
        assert "no issues" in manage(project, "check", **where)
        manage(project, "migrate", "--verbosity", "0", **where)
        admin = {**where, "DJANGO_SUPERUSER_PASSWORD": "a password of Django"}
        words = ["--noinput", "--username", "admin", "--email", "admin@example.com"]
        manage(project, "createsuperuser", *words, **admin)
        said = manage(project, "shell", "--no-imports", "-c", SIGN_IN.format(email=email), **where)
        titles = ["Read the first five minutes", "Write a query"]
        assert said.splitlines() == ["admin", email, "None", str(titles), str(titles)]
        assert "OK" in manage(project, "test", **where)
        with AeroDBClient(server.url, server.anon_key) as client:
            assert (
                client.from_("todos").scalars("title").unwrap() == titles
            )  # not those of the test
