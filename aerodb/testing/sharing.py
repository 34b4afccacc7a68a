"""One PostgreSQL for all processes of a test run.

Whoever needs it first, under a lock, starts the host; everybody who uses it keeps a connection to
the host open, and when the last has gone, killed ones included, the host stops PostgreSQL and ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

from aerodb.local.clones import Template

_OF_THE_TEMPLATE = ("schema", "migrations")


def of_the_server(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that each server has; the schema is in the template already."""
    return {name: value for name, value in settings.items() if name not in _OF_THE_TEMPLATE}


class Templates:
    """The templates of a run, by their settings; each lives as long as this one at least.

    Args:
        temporary: pytest's folder of this process; those of xdist's workers lie side by side.
    """

    def __init__(self, temporary: Path) -> None:
        self._shared = temporary.parent if "PYTEST_XDIST_WORKER" in os.environ else temporary
        self._found: dict[str, Template | str] = {}
        self._lines = contextlib.ExitStack()

    def __enter__(self) -> Templates:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._lines.close()

    def get(self, settings: dict[str, Any]) -> Template:
        """The template of these arguments of `LocalServer`.

        Raises:
            RuntimeError: it cannot be made; each time, with the reason, without trying again.
        """
        text = json.dumps(settings, sort_keys=True, default=str)
        found = self._found.get(text)
        if found is None:
            try:
                found = self._started(text)
            except RuntimeError as problem:
                found = str(problem)
            self._found[text] = found
        if isinstance(found, str):
            raise RuntimeError(found)
        return found

    def _started(self, text: str) -> Template:
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        file = self._shared / f"aerodb-{digest}.json"
        with _locked(self._shared / f"aerodb-{digest}.lock"):
            members, line = _running(file) or _started(text, file)
        self._lines.enter_context(line)
        return Template.load(members)


@contextlib.contextmanager
def _locked(path: Path) -> Generator[None]:
    with open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _running(file: Path) -> tuple[dict[str, Any], socket.socket] | None:
    """The host that another process has started, if it still lives."""
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    line = _connected(said["line"])
    return None if line is None else (said["template"], line)


def _started(text: str, file: Path) -> tuple[dict[str, Any], socket.socket]:
    command = [sys.executable, "-m", "aerodb.testing.host"]
    host = subprocess.Popen(  # noqa: S603 - our own module
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert host.stdin is not None
    assert host.stdout is not None
    with host.stdin, host.stdout:
        host.stdin.write(text + "\n")
        host.stdin.close()
        answer = host.stdout.readline()
    said: dict[str, Any] = json.loads(answer) if answer else {}
    if "line" not in said:
        status = host.wait()
        reason = said.get("problem", f"status {status}, see stderr")
        raise RuntimeError(f"the AeroDB of the tests did not start: {reason}")
    line = _connected(said["line"])
    if line is None:
        raise RuntimeError("the AeroDB of the tests has ended at once")
    host.returncode = 0  # it outlives this process if others need it: nobody waits for it
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "w", encoding="utf-8") as written:
        written.write(answer)
    return said["template"], line


def _connected(address: str) -> socket.socket | None:
    line = socket.socket(socket.AF_UNIX)
    try:
        line.connect(address)
        if line.recv(1):  # or it is about to end
            return line
    except OSError:
        pass
    line.close()
    return None
