"""Observing, in a process of its own: what is printed, and what is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.scripted import ScriptedServer, answer

ROOT = Path(__file__).resolve().parent.parent
CALL = """
import sys
from aerodb import AeroDBClient
with AeroDBClient(sys.argv[1], "aero_pk_Canary7xKey0123456789") as client:
    client.from_("t").select("id").eq("a", "Canary7x").execute().unwrap()
{after}
"""
OWN_HANDLERS = """
import logging
logging.basicConfig(format="own: %(message)s")
"""


def run(code: str, log: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "AERODB_LOG"}
    if log is not None:
        environment["AERODB_LOG"] = log
    with ScriptedServer() as server:
        server.on("/rest/v1/t", answer(200, b'[{"id":1}]', [("Content-Type", "application/json")]))
        return subprocess.run(
            [sys.executable, "-c", code, f"http://127.0.0.1:{server.port}"],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )


@pytest.mark.parametrize("log", [None, "", "info", "WARNING"])
def test_nothing_is_printed_unless_asked_for(log: str | None) -> None:
    done = run(CALL.format(after=""), log)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("log", ["DEBG", "1"])
def test_a_level_that_is_none_is_told_once(log: str) -> None:
    done = run(CALL.format(after="AeroDBClient(sys.argv[1]).close()"), log)
    assert done.stdout == ""
    assert f"aerodb WARNING] AERODB_LOG={log} is not one of debug, info, " in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_variable_alone_prints_calls_to_stderr() -> None:
    done = run(CALL.format(after=""), "debug")
    assert done.stdout == ""
    assert "aerodb DEBUG] GET /rest/v1/t?select=***&a=***: 200, 1 attempt, " in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Canary7x" not in done.stderr


def test_handlers_of_the_program_get_the_lines_once() -> None:
    done = run(OWN_HANDLERS + CALL.format(after=""), "DEBUG")
    assert done.stderr.startswith("own: GET /rest/v1/t")
    assert done.stderr.count("\n") == 1


def test_warnings_of_the_library_are_for_handlers_of_the_program_only() -> None:
    code = "from aerodb._io.log import logger; logger('aerodb.realtime').warning('Canary7x')"
    assert run(code).stderr == ""
    assert "Canary7x" in run(OWN_HANDLERS + code).stderr


def test_opentelemetry_is_not_imported_unless_asked_for() -> None:
    after = "print(*[name for name in sys.modules if name.startswith('opentelemetry')])"
    assert run(CALL.format(after=after)).stdout.strip() == ""


def test_only_the_api_of_opentelemetry_is_imported() -> None:
    code = "import sys, aerodb.contrib.otel; print(*sys.modules)"
    names = run(code).stdout.split()
    assert "opentelemetry.trace" in names
    assert not [name for name in names if name.startswith("opentelemetry.sdk")]


@pytest.mark.parametrize("kept", ["client", "client.as_service('aero_sk_Canary7x')"])
def test_a_client_that_is_open_at_the_end_is_told_of_by_name(kept: str) -> None:
    """Not as a socket, which says nothing of whose it is."""
    code = f"""
import sys, warnings
from aerodb import AeroDBClient
warnings.simplefilter("always")
client = AeroDBClient(sys.argv[1], "aero_pk_Canary7xKey0123456789")
client.from_("t").select("id").execute().unwrap()
client = {kept}

def main():  # as most programs have: it makes a cycle of all that is global
    pass
"""
    done = run(code)
    assert "ResourceWarning: unclosed AeroDB client" in done.stderr
    assert "socket" not in done.stderr
