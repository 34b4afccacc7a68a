"""One worker process, as the instance sees it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from aerodb.local.functions import frames
from aerodb.local.functions.registry import Function
from aerodb.local.functions.worker import signature

log = logging.getLogger("aerodb.local.functions")

# The folder that the package lies in comes last, so that nothing in it stands in for a library.
_BOOT = """\
import sys
sys.path.append(sys.argv.pop(1))
from aerodb.local.functions.worker import main
main()
"""
_ROOT = str(Path(__file__).resolve().parents[3])
_LONGEST_LINE = 16 * 1024


class WorkerLost(Exception):
    """The process has ended, or does not speak the language of frames."""


class LoadFailed(Exception):
    """The file of the function could not be loaded; the log says why."""


def told(payload: bytes) -> dict[str, Any]:
    """The JSON of a frame."""
    try:
        value = json.loads(payload)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise WorkerLost
    return value


class WorkerProcess:
    """A process that runs one function, one call at a time. `start` makes one."""

    def __init__(
        self,
        function: Function,
        process: subprocess.Popen[bytes],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.function = function
        self._process = process
        self._reader = reader
        self._writer = writer
        self._head: tuple[bytes, int] | None = None
        self._files: list[list[Any]] = []
        self._ended = False
        self._pump = asyncio.create_task(self._pass_output_on())

    @classmethod
    async def start(
        cls, function: Function, folder: Path, environment: Mapping[str, str]
    ) -> WorkerProcess:
        """Start a process; it loads the function meanwhile, `loaded` waits for that."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = _spawn(function, folder, environment, theirs)
            except BaseException:
                ours.close()
                raise
        try:
            reader, writer = await asyncio.open_unix_connection(sock=ours)
        except BaseException:
            ours.close()
            process.kill()
            process.communicate()
            raise
        return cls(function, process, reader, writer)

    @property
    def group(self) -> int:
        """The process group, which is the worker's own."""
        return self._process.pid

    async def loaded(self) -> None:
        """Wait until the function is loaded; raises `LoadFailed` or `WorkerLost`."""
        kind, payload = await self.frame()
        if kind == frames.FAILED:
            trace = told(payload).get("traceback")
            log.error("%s cannot be loaded\n%s", self.function.name, trace)
            raise LoadFailed
        self.note_files(payload)

    def note_files(self, payload: bytes) -> None:
        """Remember which files are loaded."""
        self._files = told(payload).get("files", [])

    @property
    def is_usable(self) -> bool:
        """Whether the process is there, and runs what the files say now."""
        if self._ended or self._process.poll() is not None or self._reader.at_eof():
            return False
        return all(signature(file) == tuple(known) for file, *known in self._files)

    async def call(self, head: Mapping[str, Any], body: bytes) -> None:
        """Hand over one call."""
        try:
            self._writer.write(frames.packed_json(frames.CALL, {**head, "body_length": len(body)}))
            for piece in frames.pieces(body):
                self._writer.write(frames.packed(frames.BODY, piece))
                await self._writer.drain()
        except OSError:
            raise WorkerLost from None

    async def frame(self) -> tuple[bytes, bytes]:
        """The next frame from the worker. May be cancelled and asked again."""
        try:
            if self._head is None:
                head = await self._reader.readexactly(frames.HEAD.size)
                self._head = frames.read_head(head)
            kind, length = self._head
            payload = await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, OSError, frames.BadFrame):
            raise WorkerLost from None
        self._head = None
        return kind, payload

    async def stop_call(self, seconds: float) -> None:
        """Have the call stopped whose answer nobody wants; wait that long for its `finally`."""
        with suppress(WorkerLost, OSError, TimeoutError):
            self._writer.write(frames.packed(frames.STOP))
            async with asyncio.timeout(seconds):
                while (await self.frame())[0] != frames.END:
                    pass

    def kill(self) -> None:
        """End the process and all that it has started; does not wait."""
        if not self._ended:
            self._ended = True
            # Nobody else waits for the process, so its number cannot be another's by now.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._writer.close()

    async def gone(self) -> int:
        """Wait until the process has been ended, and its last output passed on; its status."""
        self.kill()
        status = await asyncio.to_thread(self._process.wait)
        await asyncio.wait((self._pump,), timeout=1)
        self._pump.cancel()
        return status

    async def _pass_output_on(self) -> None:
        """What the function prints goes to the log of the instance, line by line."""
        pipe = self._process.stdout
        assert pipe is not None
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), pipe
        )
        rest = b""
        try:
            while data := await reader.read(_LONGEST_LINE):
                *lines, rest = (rest + data).split(b"\n")
                if len(rest) >= _LONGEST_LINE:
                    lines, rest = [*lines, rest], b""
                for line in lines:
                    self._tell(line)
            if rest:
                self._tell(rest)
        finally:
            transport.close()

    def _tell(self, line: bytes) -> None:
        log.info("%s: %s", self.function.name, line.decode("utf-8", "replace"))


def _spawn(
    function: Function, folder: Path, environment: Mapping[str, str], theirs: socket.socket
) -> subprocess.Popen[bytes]:
    descriptor = theirs.fileno()
    # -B: bytecode is kept by whole seconds, and would hide a change within one.
    arguments = [_ROOT, str(descriptor), function.name, str(function.path), str(folder)]
    return subprocess.Popen(  # noqa: S603 - our own program; the file was found by the registry
        [sys.executable, "-I", "-B", "-X", "utf8", "-c", _BOOT, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=(descriptor,),
        env=dict(environment),
        cwd=folder,
        start_new_session=True,
    )
