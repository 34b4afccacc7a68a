"""The functions part as an ASGI application (wire contract §6)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aerodb.local.credentials import Identity
from aerodb.local.database import Database
from aerodb.local.functions import frames
from aerodb.local.functions.calls import (
    PREFIX,
    BadAnswer,
    Target,
    answer_start,
    call_head,
    target_of,
)
from aerodb.local.functions.errors import Refusal, refused_credentials
from aerodb.local.functions.pool import PoolLimits, WorkerPool
from aerodb.local.functions.process import LoadFailed, WorkerLost, WorkerProcess, log, told
from aerodb.local.functions.registry import RESERVED, Function, Registry
from aerodb.local.limits import BodyTooLarge
from aerodb.local.replies import Message, Receive, Scope, Send, send_json
from aerodb.local.rest.errors import RestError
from aerodb.local.settings import InstanceSettings

__all__ = ["FEATURES", "PREFIX", "FunctionsService", "make_functions_service"]

FEATURES = ("functions.stream",)
PASSED_ON = frozenset(
    (
        *("HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER"),
        *("SSL_CERT_DIR", "SSL_CERT_FILE"),
    )
)
"""The variables that functions get of the instance's environment, and those called `LC_*`."""
STOP_SECONDS = 1.0
Authenticate = Callable[[Mapping[str, str]], Identity]


@dataclass(frozen=True, slots=True)
class FunctionsSettings:
    """How the functions part behaves. A handler has `timeout` seconds until its answer begins."""

    timeout: float = 30.0
    workers: int = 16


class FunctionsService:
    """Runs the functions of one folder."""

    def __init__(
        self,
        folder: Path,
        authenticate: Authenticate,
        environment: Mapping[str, str],
        settings: FunctionsSettings | None = None,
    ) -> None:
        settings = settings or FunctionsSettings()
        self._registry = Registry(folder)
        self._authenticate = authenticate
        self._timeout = settings.timeout
        self._pool = WorkerPool(
            self._registry.folder, environment, PoolLimits(workers=settings.workers)
        )

    @property
    def processes(self) -> list[int]:
        """The process groups of the workers that live."""
        return self._pool.processes

    async def start(self) -> None:
        """Workers are started when they are needed."""

    async def stop(self) -> None:
        """End all workers."""
        await self._pool.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        try:
            await self._guarded(scope, receive, send)
        except Refusal as refusal:
            head = scope["method"] == "HEAD"
            await send_json(send, refusal.status, refusal.body(), refusal.headers(), head=head)
        except _Gone:
            return

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A fault of ours is told as one, with the traceback in the log alone."""
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._answer(scope, receive, watched)
        except (Refusal, _Gone, BodyTooLarge):
            raise
        except Exception as problem:
            log.exception("a request could not be answered")
            if started:
                raise
            raise Refusal("internal_error", "Internal error") from problem

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _headers(scope)
        try:
            identity = self._authenticate(headers)
        except RestError as problem:
            raise refused_credentials(problem) from None
        target = target_of(scope)
        if target.name == "":
            await self._list(scope, send)
            return
        function = self._found(target, scope["method"])
        if scope["method"] == "OPTIONS":
            allow = (b"allow", ", ".join((*function.allowed, "OPTIONS")).encode())
            await send({"type": "http.response.start", "status": 204, "headers": [allow]})
            await send({"type": "http.response.body", "body": b""})
            return
        head = call_head(scope, target, headers, identity)
        body = await _body(receive)
        await _Invocation(self._pool, function, self._timeout, scope, receive, send).run(head, body)

    async def _list(self, scope: Scope, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            raise Refusal("not_implemented", "Functions are files: they are not deployed by HTTP.")
        found = [
            {"name": function.name, "version": function.version}
            | ({} if function.methods is None else {"methods": list(function.methods)})
            for function in self._registry.all()
        ]
        await send_json(send, 200, found, head=scope["method"] == "HEAD")

    def _found(self, target: Target, method: str) -> Function:
        if target.name in RESERVED - {"invoke"}:
            raise Refusal("not_implemented", "Functions are files: they are not deployed by HTTP.")
        function = self._registry.find(target.name)
        if function is None:
            raise Refusal("function_not_found", "There is no such function.")
        if method not in (*function.allowed, "OPTIONS"):
            allow = (b"allow", ", ".join(function.allowed).encode())
            message = f"The function does not take {method[:20]}."
            raise Refusal("method_not_allowed", message, headers=(allow,))
        return function


class _Gone(Exception):
    """The client went away before its request was complete."""


class _Invocation:
    """One call of a function: a worker is lent, and given back in whatever way this ends."""

    def __init__(
        self,
        pool: WorkerPool,
        function: Function,
        timeout: float,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        self._pool = pool
        self._function = function
        self._timeout = timeout
        self._is_head = scope["method"] == "HEAD"
        self._receive = receive
        self._send = send
        self._worker: WorkerProcess | None = None
        self._has_place = False

    async def run(self, head: Mapping[str, object], body: bytes) -> None:
        """Call the function and pass its answer on."""
        try:
            start = await self._started(head, body)
            status, headers, has_body = answer_start(start)
            opening = {"type": "http.response.start", "status": status, "headers": headers}
            has_body = has_body and not self._is_head
            is_stream = start.get("length") is None
            await self._watched(opening, has_body, is_stream)
        except BadAnswer as problem:
            log.error("%s: %s", self._function.name, problem)
            raise _failed() from None
        except _Failed as failure:
            self._give_back(reusable=True)
            raise failure.refusal from None
        finally:
            self._give_back(reusable=False)

    def _give_back(self, *, reusable: bool) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            self._pool.release(worker, reusable=reusable)

    # --- until the answer begins --------------------------------------------------------------

    async def _started(self, head: Mapping[str, object], body: bytes) -> dict[str, object]:
        """What the worker says of the answer, within the time that a handler has."""
        timer = asyncio.timeout(self._timeout)
        try:
            async with timer:
                self._worker = await self._pool.acquire(self._function, self._placed)
                await self._worker.call(head, body)
                return await self._first_frame(self._worker)
        except TimeoutError:
            if not timer.expired():
                raise
        except LoadFailed:
            raise _failed() from None
        except WorkerLost:
            await self._tell_of_the_end()
            raise _failed() from None
        if not self._has_place:
            retry = (b"retry-after", b"1")
            message = "All workers are busy."
            raise Refusal("functions_busy", message, headers=(retry,))
        log.error("%s: no answer within %g s", self._function.name, self._timeout)
        message = f"The function did not answer within {self._timeout:g} s."
        raise Refusal("function_timeout", message)

    def _placed(self) -> None:
        self._has_place = True

    async def _first_frame(self, worker: WorkerProcess) -> dict[str, object]:
        kind, payload = await worker.frame()
        if kind == frames.START:
            return told(payload)
        if kind != frames.FAILED:
            raise WorkerLost
        failure = told(payload)
        kind, payload = await worker.frame()
        worker.note_files(payload)
        if failure.get("kind") == "body":
            message = f"Validation error: {failure.get('message')}"
            raise _Failed(Refusal("validation_failed", message))
        self._log(failure)
        raise _Failed(_failed())

    def _log(self, failure: Mapping[str, object]) -> None:
        log.error("%s failed\n%s", self._function.name, failure.get("traceback"))

    async def _tell_of_the_end(self) -> None:
        worker, self._worker = self._worker, None
        if worker is None:
            log.error("%s: its worker ended while it was loaded", self._function.name)
            return
        status = await asyncio.shield(self._pool.lost(worker))
        log.error("%s: its worker ended with status %d", self._function.name, status)

    # --- the rest of it -----------------------------------------------------------------------

    async def _watched(self, opening: Message, has_body: bool, is_stream: bool) -> None:
        """Pass the answer on until it ends or the client goes."""
        assert self._worker is not None
        worker = self._worker
        relay = asyncio.create_task(self._relay(worker, opening, has_body, is_stream))
        gone = asyncio.create_task(_disconnected(self._receive))
        try:
            await asyncio.wait((relay, gone), return_when=asyncio.FIRST_COMPLETED)
            if relay.done():
                relay.result()
            else:
                await _cancelled(relay)
                await worker.stop_call(STOP_SECONDS)
        finally:
            await _cancelled(relay)
            await _cancelled(gone)

    async def _relay(
        self, worker: WorkerProcess, opening: Message, has_body: bool, is_stream: bool
    ) -> None:
        """Send what the worker sends. Unless it is a stream, the last that a client waits for is
        held back until the worker is free: its next call may come at once."""
        held = [opening]
        if is_stream and not has_body:  # HEAD, 204: nobody would see its pieces, nor their end
            await self._send_all([*held, _piece(b"", more=False)])
            return await worker.stop_call(STOP_SECONDS)
        while True:
            if is_stream:
                await self._send_all(held)
            try:
                kind, payload = await worker.frame()
                if kind == frames.END:
                    worker.note_files(payload)
                elif kind != frames.DATA:
                    self._log(told(payload))
                    return self._broken(held)
            except WorkerLost:
                log.error("%s: its worker ended in mid-answer", self._function.name)
                return self._broken(held)
            if kind == frames.END:
                self._give_back(reusable=True)
                return await self._send_all([*held, _piece(b"", more=False)])
            if has_body:
                await self._send_all(held)
                held.append(_piece(payload, more=True))

    async def _send_all(self, messages: list[Message]) -> None:
        while messages:
            await self._send(messages.pop(0))

    def _broken(self, held: list[Message]) -> None:
        """An answer that has begun is left incomplete, and the client sees that it is: the server
        closes the connection. One that has not is an error."""
        if held and held[0]["type"] == "http.response.start":
            raise _failed()


class _Failed(Exception):
    """The call failed, and the worker can take the next one."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def _failed() -> Refusal:
    """What a caller is told of any failure of a function; the log says more."""
    return Refusal("function_error", "The function failed; the log of the instance says why.")


def _piece(data: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


def _headers(scope: Scope) -> dict[str, str]:
    """By name; of several headers of one name the first counts, here as everywhere."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1"), value.decode("latin-1"))
    return found


async def _body(receive: Receive) -> bytes:
    """The whole body; how long it may be was decided before (app.py)."""
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        chunks.append(message.get("body") or b"")
        if not message.get("more_body", False):
            return b"".join(chunks)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait((task,))


# --- as a part of an instance -----------------------------------------------------------------


def make_functions_service(
    settings: InstanceSettings, database: Database, authenticate: Authenticate, url: str
) -> FunctionsService | None:
    """The functions part of an instance at `url`; None if there is no folder, or it is unwanted."""
    wanted = settings.services is None or "functions" in settings.services
    if settings.functions is None or not wanted:
        return None
    key = None if database.keys is None else database.keys.publishable
    return FunctionsService(
        settings.functions,
        authenticate,
        scrubbed(os.environ, settings.functions_env, url, key),
        FunctionsSettings(settings.functions_timeout, settings.functions_workers),
    )


def scrubbed(
    environment: Mapping[str, str], more: tuple[str, ...], url: str, key: str | None
) -> dict[str, str]:
    """The environment of a worker: a few harmless variables, those named on purpose, and how to
    reach the instance as anybody may (reliability D6)."""
    passed = {
        name: value
        for name, value in environment.items()
        if name in PASSED_ON or name.startswith("LC_") or name in more
    }
    return passed | {"AERODB_URL": url} | ({} if key is None else {"AERODB_KEY": key})
