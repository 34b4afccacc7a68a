"""The HTTP client of the async twin."""

from __future__ import annotations

import os
import threading
import warnings
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from aerodb._core.http import RawResponse, Request
from aerodb._core.http_settings import HttpSettings
from aerodb._core.json import load_decoder
from aerodb._io import forks
from aerodb._io.failures import client_closed
from aerodb._io.foreign import check_extras, library_of, used_before_fork

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from aerodb._io.on_asyncio.engine import Engine
    from aerodb._io.on_asyncio.stream import ByteStream


class HttpClient:
    """Sends requests. Each event loop that uses it gets connections of its own; a loop that has
    ended takes its connections with it; a forked child starts afresh.

    Making one does nothing but remember its arguments: no I/O, no running loop, no import of ssl.

    Args:
        settings: How to talk. `max_connections` holds for each loop.
        client: A user's own `httpx.AsyncClient`, which then carries every request. It is never
            closed here.
    """

    def __init__(self, settings: HttpSettings, *, client: Any = None) -> None:
        self._engines: weakref.WeakKeyDictionary[AbstractEventLoop, Engine] = (
            weakref.WeakKeyDictionary()
        )
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._closed = False
        self._settings = settings
        self._client = client
        self._library = None if client is None else library_of(client, "AsyncClient")
        self._client_is_shared = False
        check_extras(settings)
        self._running_loop: Callable[[], AbstractEventLoop] | None = None
        forks.watch_client(self)

    async def send(
        self, request: Request, deadline: float | None, idle_timeout: float | None = None
    ) -> RawResponse:
        """Send a request and read its response, all before `deadline` on `monotonic()`.

        `idle_timeout` ends it when no byte has moved for so long, either way.

        Raises `TransportError`, and what may strike anywhere (CancelledError), nothing else.
        """
        return await self._ready().send(request, deadline, idle_timeout)

    async def stream(
        self, request: Request, deadline: float | None, idle_timeout: float | None
    ) -> ByteStream:
        """Send a request and return its response as a stream, to be closed by the caller.

        `deadline` holds for the whole stream, `idle_timeout` for each wait.
        """
        return await self._ready().stream(request, deadline, idle_timeout)

    def _ready(self) -> Engine:
        if os.getpid() != self._pid:
            self.reset_after_fork()
        if self._closed:
            raise client_closed()
        engine = self._engines.get(self._running_loop()) if self._running_loop else None
        return self._start() if engine is None else engine

    def _start(self) -> Engine:
        with forks.loading():
            from asyncio import get_running_loop

            from aerodb._io.on_asyncio.engine import Engine

            load_decoder()
        with self._lock:
            if self._closed:
                raise client_closed()
            if self._client_is_shared:
                raise used_before_fork()
            self._forget_dead_loops()
            engine = Engine(self._settings, self._client, self._library)
            self._engines[engine.loop] = engine
            self._running_loop = get_running_loop
            return engine

    def _forget_dead_loops(self) -> None:
        for loop, engine in list(self._engines.items()):
            if loop.is_closed():
                del self._engines[loop]
                engine.abandon()

    @property
    def sockets(self) -> int:
        """How many sockets are open, idle ones included."""
        with self._lock:
            engines = list(self._engines.values())
        return sum(engine.sockets for engine in engines)

    async def close(self) -> None:
        """Close all connections; calls under way end with `client_closed`. Idempotent."""
        from asyncio import get_running_loop, run_coroutine_threadsafe

        if os.getpid() != self._pid:
            self.reset_after_fork()
        self._closed = True
        with self._lock:
            engines = list(self._engines.values())
            self._engines.clear()
        for engine in engines:
            if engine.loop is get_running_loop():
                await engine.close()
            elif engine.loop.is_running():
                run_coroutine_threadsafe(engine.close(), engine.loop)
            else:
                engine.abandon()

    def reset_after_fork(self) -> None:
        """In a child: new locks, no connections, nothing in flight (reliability X4, C2)."""
        self._pid = os.getpid()
        self._lock = threading.Lock()
        engines = list(self._engines.values())
        self._engines = weakref.WeakKeyDictionary()
        for engine in engines:
            self._client_is_shared = self._client is not None
            engine.bury()

    def __reduce__(self) -> NoReturn:
        raise TypeError("an HTTP client cannot be pickled or copied: make one where it is used")

    def let_go(self) -> None:
        """Say that nobody has closed it, and close what no running loop needs."""
        if os.getpid() != self._pid or not self.sockets:
            return
        try:
            warnings.warn("unclosed AeroDB client", ResourceWarning, stacklevel=2, source=self)
        finally:
            for loop, engine in list(self._engines.items()):
                if not loop.is_running():
                    engine.abandon()

    def __del__(self) -> None:
        self.let_go()
