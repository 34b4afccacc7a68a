"""The process that runs one function: loads its file, then answers one call after another.

It imports the standard library and its neighbours here, nothing else. Its only connection to the
instance is one socket; when that ends, it ends, and takes with it whatever its function has
started (they are one process group). A call that nobody waits for any more is stopped: an
exception is raised where the handler is, so that its `finally` clauses run.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import json
import os
import queue
import signal
import socket
import sys
import threading
import traceback
from collections.abc import AsyncIterable, Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from aerodb.local.functions import frames
from aerodb.local.functions.answers import Answer, answer_of, chunk_bytes, stream_type
from aerodb.local.functions.request import BadBody, Request

Handler = Callable[[Request], Any]
Call = tuple[dict[str, Any], bytes]


class Stopped(BaseException):
    """Nobody waits for the answer any more. Not an `Exception`: handlers should let it pass."""


class Channel:
    """The worker's end of the socket pair."""

    def __init__(self, sock: socket.socket) -> None:
        sock.set_inheritable(False)  # a program the function leaves behind would hold it open
        self._socket = sock
        self.is_foreign = False
        os.register_at_fork(before=flush, after_in_child=self._let_go)

    def _let_go(self) -> None:
        """What a handler has forked must not speak: its answer would be another caller's."""
        self.is_foreign = True
        self._socket.close()

    def send(self, kind: bytes, payload: bytes = b"") -> None:
        """Send a frame; waits while the instance does not take it."""
        if self.is_foreign:
            raise SystemExit(0)
        self._socket.sendall(frames.packed(kind, payload))

    def send_json(self, kind: bytes, value: Any) -> None:
        """Send a frame of JSON."""
        if self.is_foreign:
            raise SystemExit(0)
        self._socket.sendall(frames.packed_json(kind, value))

    def receive(self) -> tuple[bytes, bytes] | None:
        """The next frame; None at the end."""
        head = self._exactly(frames.HEAD.size)
        if head is None:
            return None
        kind, length = frames.read_head(head)
        payload = self._exactly(length)
        return None if payload is None else (kind, payload)

    def _exactly(self, size: int) -> bytes | None:
        data = bytearray()
        while len(data) < size:
            piece = self._socket.recv(size - len(data))
            if not piece:
                return None
            data += piece
        return bytes(data)


class Worker:
    """One function, loaded. The main thread runs it, another one listens to the instance."""

    def __init__(self, channel: Channel, name: str, path: str, folder: str) -> None:
        self._channel = channel
        self._name = name
        self._path = path
        self._folder = os.path.join(folder, "")
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._runner: asyncio.Runner | None = None
        self._task: asyncio.Task[Any] | None = None
        self._in_handler = False
        self._stopped = False
        self._modules = 0
        self._files: dict[str, tuple[int, int, int]] = {path: signature(path)}

    def run(self) -> None:
        """Load the function and answer calls until the instance lets go of the socket."""
        signal.signal(signal.SIGUSR1, self._on_signal)
        threading.Thread(target=self._listen, name="aerodb-functions", daemon=True).start()
        try:
            handler = self._load()
        except BaseException as problem:  # noqa: BLE001 - told to the instance
            self._end_of_a_fork(problem)
            self._channel.send_json(frames.FAILED, _told("load", problem, self._path))
            return
        self._end_of_a_fork()
        self._channel.send_json(frames.READY, self._loaded())
        while (call := self._calls.get()) is not None:
            self._serve(handler, *call)

    # --- the listening thread -----------------------------------------------------------------

    def _listen(self) -> None:
        try:
            while (frame := self._channel.receive()) is not None:
                if frame[0] == frames.CALL:
                    self._take(json.loads(frame[1]))
                elif frame[0] == frames.STOP:
                    self._stop()
        except (OSError, frames.BadFrame):
            pass
        self._leave()

    def _take(self, head: dict[str, Any]) -> None:
        body = bytearray()
        while len(body) < head["body_length"]:
            frame = self._channel.receive()
            if frame is None or frame[0] != frames.BODY:
                self._leave()
            body += frame[1]
        self._calls.put((head, bytes(body)))

    def _stop(self) -> None:
        self._stopped = True
        task = self._task
        if task is not None:
            task.get_loop().call_soon_threadsafe(task.cancel)
        else:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    def _leave(self) -> NoReturn:
        """The instance is gone, or has no more use for this worker."""
        with suppress(ProcessLookupError):
            os.killpg(0, signal.SIGKILL)
        os._exit(0)

    def _on_signal(self, number: int, frame: object) -> None:
        # Between two steps of a handler the flag is enough: it is looked at before the next one.
        if self._in_handler and self._stopped:
            self._in_handler = False
            raise Stopped

    # --- the main thread ----------------------------------------------------------------------

    def _load(self) -> Handler:
        # At the end: no file of the folder may stand in for a module of the standard library.
        sys.path.append(self._folder.rstrip(os.sep))
        module_name = f"aerodb_function_{self._name}"
        spec = importlib.util.spec_from_file_location(module_name, self._path)
        if spec is None or spec.loader is None:
            raise ImportError("the file cannot be loaded")
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        spec.loader.exec_module(module)
        handler = getattr(module, "handler", None)
        if not callable(handler):
            raise TypeError("there is no function called handler")
        found: Handler = handler
        return found

    def _loaded(self) -> dict[str, Any]:
        """The files below the folder that are loaded, as they were when that was first seen."""
        if len(sys.modules) != self._modules:
            self._modules = len(sys.modules)
            for module in list(sys.modules.values()):
                file = getattr(module, "__file__", None)
                if isinstance(file, str) and file.startswith(self._folder):
                    self._files.setdefault(file, signature(file))
        return {"files": [[file, *known] for file, known in self._files.items()]}

    def _serve(self, handler: Handler, head: dict[str, Any], body: bytes) -> None:
        del head["body_length"]
        try:
            self._send(answer_of(self._called(handler, Request(**head, body=body))))
        except (Stopped, asyncio.CancelledError):
            pass
        except BaseException as problem:  # noqa: BLE001 - told to the instance
            self._end_of_a_fork(problem)
            if isinstance(problem, BadBody):
                self._channel.send_json(frames.FAILED, {"kind": "body", "message": str(problem)})
            else:
                self._channel.send_json(frames.FAILED, _told("handler", problem, self._path))
        self._end_of_a_fork()
        flush()
        self._channel.send_json(frames.END, self._loaded())

    def _end_of_a_fork(self, problem: BaseException | None = None) -> None:
        """End here if this is a process that a handler has forked and let come back."""
        if not self._channel.is_foreign:
            return
        code = 0 if problem is None else 1
        if isinstance(problem, SystemExit) and isinstance(problem.code, int):
            code = problem.code
        elif problem is not None:
            traceback.print_exception(problem)
        flush()
        os._exit(code & 0xFF)

    def _called(self, handler: Handler, request: Request) -> Any:
        with self._handlers_turn():
            result = handler(request)
        if inspect.isawaitable(result):
            return self._awaited(result)
        return result

    @contextmanager
    def _handlers_turn(self) -> Generator[None]:
        """While this lasts a stop raises `Stopped` in the main thread."""
        self._in_handler = True
        try:
            if self._stopped:
                raise Stopped
            yield
        finally:
            self._in_handler = False

    def _awaited(self, work: Any) -> Any:
        """Await on one loop, the same for all calls, so that what handlers keep goes on."""

        async def run() -> Any:
            self._task = asyncio.current_task()
            try:
                if self._stopped:
                    raise asyncio.CancelledError
                return await work
            finally:
                self._task = None

        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(run())

    def _send(self, answer: Answer) -> None:
        if answer.chunks is None:
            self._start(answer, len(answer.body))
            for piece in frames.pieces(answer.body):
                self._channel.send(frames.DATA, piece)
        elif isinstance(answer.chunks, AsyncIterable):
            self._awaited(self._pump(answer))
        else:
            self._stream(answer)

    def _start(self, answer: Answer, length: int | None = None, kind: str | None = None) -> None:
        headers = answer.headers if kind is None else [*answer.headers, ("Content-Type", kind)]
        start = {"status": answer.status, "headers": headers, "length": length}
        self._channel.send_json(frames.START, start)

    def _stream(self, answer: Answer) -> None:
        kind = answer.content_type
        if kind is not None:
            self._start(answer)
        iterator = iter(answer.chunks)
        try:
            while True:
                with self._handlers_turn():
                    chunk = next(iterator, _NO_MORE)
                if chunk is _NO_MORE:
                    break
                kind = self._chunk(answer, chunk, kind)
        finally:
            close = getattr(iterator, "close", None)
            if close is not None:
                close()
        if kind is None:
            self._start(answer)

    async def _pump(self, answer: Answer) -> None:
        kind = answer.content_type
        if kind is not None:
            self._start(answer)
        iterator = aiter(answer.chunks)
        try:
            async for chunk in iterator:
                kind = self._chunk(answer, chunk, kind)
                await asyncio.sleep(0)
        finally:
            close = getattr(iterator, "aclose", None)
            if close is not None:
                await close()
        if kind is None:
            self._start(answer)

    def _chunk(self, answer: Answer, chunk: Any, kind: str | None) -> str:
        if kind is None:
            kind = stream_type(chunk)
            self._start(answer, kind=kind)
        for piece in frames.pieces(chunk_bytes(chunk, kind)):
            self._channel.send(frames.DATA, piece)
        return kind


_NO_MORE = object()


def flush() -> None:
    """Hand on what was printed; before a fork, or it would be printed twice."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()


def signature(file: str) -> tuple[int, int, int]:
    """What is different when a file has been changed; zeros if it is not there."""
    try:
        found = os.stat(file)
    except OSError:
        return 0, 0, 0
    return found.st_mtime_ns, found.st_size, found.st_ino


def _told(kind: str, problem: BaseException, path: str) -> dict[str, str]:
    """What went wrong, for the instance's log: the frames from the function's own file on."""
    trace = problem.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != path:
        trace = trace.tb_next
    lines = traceback.format_exception(
        type(problem), problem, trace or problem.__traceback__, limit=50
    )
    text = "".join(lines)
    return {"kind": kind, "message": type(problem).__name__, "traceback": text[-50_000:]}


def main() -> None:
    """`DESCRIPTOR NAME PATH FOLDER` are the arguments."""
    descriptor, name, path, folder = sys.argv[1:]
    Worker(Channel(socket.socket(fileno=int(descriptor))), name, path, folder).run()
    sys.stdout.flush()
