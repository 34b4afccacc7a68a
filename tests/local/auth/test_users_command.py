"""`aerodb users`, next to a running instance and without one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from aerodb.local import LocalServer
from aerodb.local.users_command import users

from .conftest import PASSWORD, Api


def run(data: Path, *words: str, password: str | None = None, typed: str = "") -> Result:
    environment = {"AERODB_PASSWORD": password}
    return CliRunner().invoke(users, ["--data", str(data), *words], input=typed, env=environment)


def test_users_next_to_a_running_instance_and_without_one(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with (
        LocalServer(data=data, auth_confirm_email=True) as server,
        httpx.Client(base_url=server.url, trust_env=False) as http,
    ):
        made = run(data, "create", " Zoe@Example.com ", password=PASSWORD)
        assert made.exit_code == 0, made.output
        signed_in = Api(server, http).sign_in("zoe@example.com")
        assert signed_in.status_code == 200
        assert signed_in.json()["user"]["id"] == made.output.strip()
        typed = run(data, "create", "b@example.com", "--unverified", typed=f"{PASSWORD}\n" * 2)
        assert typed.exit_code == 0
        assert PASSWORD not in typed.output
        assert Api(server, http).sign_in("b@example.com").status_code == 403
        told = json.loads(run(data, "list", "--json").output)
        assert [(one["email"], one["email_verified"]) for one in told] == [
            ("zoe@example.com", True),
            ("b@example.com", False),
        ]
        assert set(told[0]) == {"id", "email", "role", "email_verified"}
        listed = run(data, "list").output.splitlines()
        assert [line.split("\t")[1:] for line in listed] == [
            ["zoe@example.com", "authenticated", "verified"],
            ["b@example.com", "authenticated", "unverified"],
        ]
        for words, password, problem in (
            (["create", "zoe@example.com"], PASSWORD, "has a user already"),
            (["create", "c@example.com"], "short", "at least 8 characters"),
            (["create", "no address"], PASSWORD, "email is not an e-mail address"),
            (["create", "c@example.com", "--role", "postgres"], PASSWORD, "no role that requests"),
            (["delete", "c@example.com", "--yes"], None, "There is no user c@example.com"),
            (["delete", "c@example.com"], None, "There is no user c@example.com"),
        ):
            failed = run(data, *words, password=password)
            assert failed.exit_code == 1
            assert problem in failed.output
            assert failed.output.startswith("Error: ")
            assert failed.output.count("\n") == 1
        after = CliRunner().invoke(users, ["list", "--data", str(data)])
        assert (after.exit_code, after.output.splitlines()) == (0, listed)
        assert run(data, "delete", "b@example.com", typed="n\n").exit_code == 1
        assert run(data, "delete", "B@example.com", typed="y\n").exit_code == 0
    assert run(data, "delete", listed[0].split("\t")[0], "--yes").exit_code == 0
    assert run(data, "list").output == ""


def test_without_an_instance_nothing_is_made(tmp_path: Path) -> None:
    missing = run(tmp_path / "no", "list")
    assert missing.exit_code == 1
    assert "There is no instance in" in missing.output
    assert list(tmp_path.iterdir()) == []
    for words in (["create", "a@b.c"], ["list"], ["delete", "a@b.c", "--yes"]):
        given = [*words, "--data", str(tmp_path / "elsewhere")]
        failed = CliRunner().invoke(users, given, env={"AERODB_PASSWORD": PASSWORD})
        assert f"There is no instance in {tmp_path / 'elsewhere'}" in failed.output


@pytest.mark.parametrize("words", [["users", "--help"], ["users", "create", "--help"]])
def test_the_command_is_part_of_aerodb(tmp_path: Path, words: list[str]) -> None:
    root = str(Path(__file__).resolve().parents[3])
    done = subprocess.run(
        [sys.executable, "-m", "aerodb.cli", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "Usage: aerodb users" in done.stdout
    assert "--password" not in done.stdout
