"""A terminal as the pages of the documentation mean it: a folder, variables, and what is typed."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parent.parent.parent
_HANG = 60.0
_OURS = ("AERODB_", "PGRST_", "AWS_")


class Program:
    """What has been started and runs on; what it says is in a file, as its pipe could fill up."""

    def __init__(self, command: str, folder: Path, environment: dict[str, str]) -> None:
        self.command = command
        self._said = folder / f".said-{time.monotonic_ns()}"
        with self._said.open("w") as file:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {command}"],
                cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=file,
                stderr=subprocess.STDOUT,
            )  # fmt: skip

    @property
    def said(self) -> str:
        return self._said.read_text(encoding="utf-8")

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def says(self, text: str) -> str:
        """Wait until it has said `text`, and give all that it has said."""
        until = time.monotonic() + _HANG
        while text not in self.said:
            assert self.runs, f"{self.command} ended with {self._process.poll()}: {self.said}"
            assert time.monotonic() < until, f"{self.command} never said {text!r}: {self.said}"
            time.sleep(0.05)
        return self.said

    def ends(self) -> int:
        """Wait for the end that it comes to by itself; the status."""
        return self._process.wait(_HANG)

    def interrupt(self) -> int:
        """Ctrl-C; the status that it ends with."""
        self._process.send_signal(signal.SIGINT)
        return self.ends()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(_HANG)


class Terminal:
    """Commands run in one folder, with the programs of this Python first in `PATH`.

    Variables of the project that whoever runs the tests has set are not seen.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        plain = {name: text for name, text in os.environ.items() if not name.startswith(_OURS)}
        programs = os.pathsep.join((str(Path(sys.executable).parent), plain["PATH"]))
        self.environment = {**plain, "PATH": programs, "PYTHONPATH": str(ROOT)}
        self._programs: list[Program] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for program in reversed(self._programs):
            if program.runs:
                program.kill()

    def export(self, command: str) -> list[str]:
        """`export NAME=VALUE ...`: the names."""
        given = dict(word.split("=", 1) for word in shlex.split(command)[1:])
        self.environment |= given
        return [*given]

    def run(self, command: str) -> str:
        """What a command prints that has to succeed."""
        done = subprocess.run(
            ["/bin/sh", "-c", command], cwd=self.folder, env=self.environment, text=True,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=_HANG, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def start(self, command: str) -> Program:
        """A program that runs until it is told to end; it does not outlive the terminal."""
        program = Program(command, self.folder, self.environment)
        self._programs.append(program)
        return program
