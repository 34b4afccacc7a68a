"""What a client does once it is used: the gate, the routes, and the two ways to read a response.

Loaded at the first request, because it needs httpcore and ssl.
"""

from __future__ import annotations

from time import monotonic
from types import ModuleType
from typing import Any

from aerodb._core.http import Origin, RawResponse, Request, TransportError
from aerodb._core.http_settings import HttpSettings
from aerodb._io import forks
from aerodb._io.bodies import Collector
from aerodb._io.failures import client_closed
from aerodb._io.heads import has_body, refuse_upgrade
from aerodb._io.on_threads.direct import DirectPool
from aerodb._io.on_threads.gate import Gate, Permit
from aerodb._io.on_threads.stream import ByteStream
from aerodb._io.proxies import proxy_for

Answer = Any  # DirectAnswer | ForeignAnswer; the latter is not imported unless it is needed
Route = Any  # DirectPool | UserRoute | OwnRoute


class Engine:
    """The gate in front of the routes that requests take."""

    def __init__(self, settings: HttpSettings, client: Any, library: ModuleType | None) -> None:
        self._settings = settings
        self._gate = Gate(settings.max_connections, settings.max_waiting)
        self._direct = DirectPool(settings)
        self._routes: dict[Origin, Route] = {}
        self._proxied: dict[str | None, Route] = {}
        self._user: Route = None
        self._closed = False
        if library is not None:
            with forks.loading():
                from aerodb._io.on_threads.through_httpx import UserRoute

            self._user = UserRoute(settings, client, library)

    def send(
        self, request: Request, deadline: float | None, idle_timeout: float | None = None
    ) -> RawResponse:
        """One exchange, body and all."""
        permit = self._gate.permit()
        answer: Answer = None
        try:
            self._gate.enter(permit, earliest(deadline, idle_timeout))
            answer = self._route(request.origin).open(request, deadline, idle_timeout)
            refuse_upgrade(answer.status)
            limit = self._settings.max_response_bytes
            body = Collector(answer.raw_headers, limit, has_body(request, answer.status))
            for chunk in answer.chunks:
                body.add(chunk)
            answer.finish()
            return RawResponse(answer.status, answer.raw_headers, body.result())
        except BaseException as error:  # noqa: BLE001  # raised again, or what it means
            raise self._failure(answer, error) from None
        finally:
            self._gate.leave(permit)

    def stream(
        self, request: Request, deadline: float | None, idle_timeout: float | None
    ) -> ByteStream:
        """One exchange whose body the caller reads."""
        permit = self._gate.permit()
        answer: Answer = None
        try:
            self._gate.enter(permit, earliest(deadline, idle_timeout))
            answer = self._route(request.origin).open(request, deadline, idle_timeout)
            refuse_upgrade(answer.status)
            return ByteStream(self, answer, permit)
        except BaseException as error:  # noqa: BLE001  # raised again, or what it means
            self._gate.leave(permit)
            raise self._failure(answer, error) from None

    def _failure(self, answer: Answer, error: BaseException) -> BaseException:
        """Discard the connection, whatever has happened, and say what to raise."""
        known = error
        if isinstance(error, Exception) and answer is not None:
            known = answer.explain(error) or error
        if answer is not None:
            answer.abort()
        if not isinstance(error, Exception):
            # httpx's own pool does not survive an interrupt (X3): the next request gets a new one
            self._routes, self._proxied = {}, {}
            error.__traceback__ = (
                None  # a notebook shows every frame, and where it waited is no news
            )
        if self._closed and isinstance(known, TransportError):
            return client_closed(sent=known.sent)
        return known

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
        routes = self._proxied
        if proxy not in routes:
            with forks.loading():
                from aerodb._io.on_threads.through_httpx import OwnRoute

            routes.setdefault(proxy, OwnRoute(self._settings, proxy))
        return routes[proxy]

    def stream_failure(self, answer: Answer, permit: Permit, error: BaseException) -> BaseException:
        """A stream broke: give its permit back, discard the connection, say what to raise."""
        self._gate.leave(permit)
        return self._failure(answer, error)

    def release(self, permit: Permit) -> None:
        """Give a stream's permit back."""
        self._gate.leave(permit)

    @property
    def sockets(self) -> int:
        """How many sockets of our own are open."""
        return self._direct.sockets

    def close(self) -> None:
        """Turn callers away, close what is idle, wake who waits."""
        self._closed = True
        self._gate.close()
        self._direct.close()
        for route in list(self._proxied.values()):
            route.close()

    def abandon(self) -> None:
        """In a forked child: let go of all that is the parent's."""
        self._direct.abandon()
        forks.graveyard.append(self)


def earliest(deadline: float | None, idle_timeout: float | None) -> float:
    """When a wait that starts now must end."""
    idle_end = float("inf") if idle_timeout is None else monotonic() + idle_timeout
    return idle_end if deadline is None else min(deadline, idle_end)
