"""What a client does on one event loop: the gate, the routes, and the two ways to read a response.

Loaded at the first request, because it needs asyncio, httpcore and ssl.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from time import monotonic
from types import ModuleType
from typing import Any

from aerodb._core.http import Origin, RawResponse, Request, TransportError
from aerodb._core.http_settings import HttpSettings
from aerodb._io import forks
from aerodb._io.bodies import Collector
from aerodb._io.failures import client_closed, timed_out
from aerodb._io.heads import has_body, refuse_upgrade
from aerodb._io.on_asyncio.direct import DirectPool
from aerodb._io.on_asyncio.gate import Gate
from aerodb._io.on_asyncio.lifetime import start
from aerodb._io.on_asyncio.progress import Limits, Progress
from aerodb._io.on_asyncio.stream import ByteStream
from aerodb._io.proxies import proxy_for

Answer = Any  # DirectAnswer | ForeignAnswer; the latter is not imported unless it is needed
Route = Any  # DirectPool | UserRoute | OwnRoute


class Engine:
    """The gate in front of the routes that requests take. Belongs to one loop."""

    def __init__(self, settings: HttpSettings, client: Any, library: ModuleType | None) -> None:
        self._settings = settings
        self.loop = asyncio.get_running_loop()
        self.gate = Gate(settings.max_connections, settings.max_waiting)
        self._direct = DirectPool(settings)
        self._routes: dict[Origin, Route] = {}
        self._proxied: dict[str | None, Route] = {}
        self._user: Route = None
        self._closed = False
        if library is not None:
            with forks.loading():
                from aerodb._io.on_asyncio.through_httpx import UserRoute

            self._user = UserRoute(settings, client, library)
        self._end = _close_with_the_loop(self._direct, self._proxied)
        start(self._end)

    async def send(
        self, request: Request, deadline: float | None, idle_timeout: float | None = None
    ) -> RawResponse:
        """One exchange, body and all."""
        progress = Progress(request)
        async with Limits(progress, _left(deadline), idle_timeout):
            return await self._send(request, deadline, progress)

    async def _send(
        self, request: Request, deadline: float | None, progress: Progress
    ) -> RawResponse:
        gate = self.gate
        if not gate.try_enter():
            await gate.enter()
        answer: Answer = None
        try:
            answer = await self._route(request.origin).open(request, progress, deadline)
            refuse_upgrade(answer.status)
            limit = self._settings.max_response_bytes
            body = Collector(answer.raw_headers, limit, has_body(request, answer.status))
            async for chunk in answer.chunks:
                body.add(chunk)
            await answer.finish()
            return RawResponse(answer.status, answer.raw_headers, body.result())
        except BaseException as error:  # noqa: BLE001  # raised again, or what it means
            raise await self._failure(answer, error) from None
        finally:
            gate.leave()

    async def stream(
        self, request: Request, deadline: float | None, idle_timeout: float | None
    ) -> ByteStream:
        """One exchange whose body the caller reads."""
        progress = Progress(request)
        async with Limits(progress, _left(deadline), idle_timeout):
            return await self._stream(request, deadline, idle_timeout, progress)

    async def _stream(
        self,
        request: Request,
        deadline: float | None,
        idle_timeout: float | None,
        progress: Progress,
    ) -> ByteStream:
        await self.gate.enter()
        answer: Answer = None
        try:
            answer = await self._route(request.origin).open(request, progress, deadline)
            refuse_upgrade(answer.status)
            return ByteStream(self, answer, deadline, idle_timeout)
        except BaseException as error:  # noqa: BLE001  # raised again, or what it means
            self.gate.leave()
            raise await self._failure(answer, error) from None

    async def _failure(self, answer: Answer, error: BaseException) -> BaseException:
        """Discard the connection, whatever has happened, and say what to raise."""
        if not isinstance(error, Exception):
            if answer is not None:
                answer.abort()
            return error
        known = error
        if answer is not None:
            known = answer.explain(error) or error
            answer.abort()
            await answer.chunks.aclose()
        if self._closed and isinstance(known, TransportError):
            return client_closed(sent=known.sent)
        return known

    async def stream_failure(self, answer: Answer, error: BaseException) -> BaseException:
        """A stream broke: give its permit back, discard the connection, say what to raise."""
        self.gate.leave()
        return await self._failure(answer, error)

    def _route(self, origin: Origin) -> Route:
        if self._user is not None:
            return self._user
        route = self._routes.get(origin)
        if route is None:
            route = self._routes[origin] = self._choose(origin)
        return route

    def _choose(self, origin: Origin) -> Route:
        proxy = proxy_for(origin, self._settings)
        if proxy is None and not self._settings.http2:
            return self._direct
        if proxy not in self._proxied:
            with forks.loading():
                from aerodb._io.on_asyncio.through_httpx import OwnRoute

            self._proxied[proxy] = OwnRoute(self._settings, proxy)
        return self._proxied[proxy]

    @property
    def sockets(self) -> int:
        """How many sockets of our own are open."""
        return self._direct.sockets

    async def close(self) -> None:
        """Turn callers away and close the connections. On the engine's own loop."""
        self._closed = True
        self.gate.close()
        await _close_all(self._direct, self._proxied)

    def abandon(self) -> None:
        """The loop is dead: close the descriptors without it."""
        self._closed = True
        self._direct.abandon()

    def bury(self) -> None:
        """In a forked child: let go of all that is the parent's, and finalize nothing."""
        forks.graveyard.append((self, self._direct.abandon()))


def _left(deadline: float | None) -> float | None:
    if deadline is None:
        return None
    left = deadline - monotonic()
    if left <= 0:
        raise timed_out("queue", sent=False)
    return left


async def _close_with_the_loop(
    direct: DirectPool, proxied: dict[str | None, Route]
) -> AsyncGenerator[None, None]:
    """Suspended until the loop shuts its async generators down (as `asyncio.run` does).

    So connections end together with their loop although nobody has closed the client.
    """
    try:
        yield
    finally:
        await _close_all(direct, proxied)


async def _close_all(direct: DirectPool, proxied: dict[str | None, Route]) -> None:
    direct.close()
    for route in list(proxied.values()):
        await route.close()
    await asyncio.sleep(0)  # the transports close their sockets in the next round
