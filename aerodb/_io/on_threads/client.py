"""The HTTP client of the blocking twin."""

from __future__ import annotations

import os
import threading
import warnings
from typing import TYPE_CHECKING, Any, NoReturn

from aerodb._core.http import RawResponse, Request
from aerodb._core.http_settings import HttpSettings
from aerodb._core.json import load_decoder
from aerodb._io import forks
from aerodb._io.failures import client_closed
from aerodb._io.foreign import check_extras, library_of, used_before_fork

if TYPE_CHECKING:
    from aerodb._io.on_threads.engine import Engine
    from aerodb._io.on_threads.stream import ByteStream


class HttpClient:
    """Sends requests. Threads may share it; a forked child starts afresh.

    Making one does nothing but remember its arguments: no I/O, no thread, no import of ssl.

    Args:
        settings: How to talk.
        client: A user's own `httpx.Client`, which then carries every request. It is never
            closed here.
    """

    def __init__(self, settings: HttpSettings, *, client: Any = None) -> None:
        self._engine: Engine | None = None
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._closed = False
        self._settings = settings
        self._client = client
        self._library = None if client is None else library_of(client, "Client")
        self._client_is_shared = False
        check_extras(settings)
        forks.watch_client(self)

    def send(
        self, request: Request, deadline: float | None, idle_timeout: float | None = None
    ) -> RawResponse:
        """Send a request and read its response, all before `deadline` on `monotonic()`.

        `idle_timeout` ends it when no byte has moved for so long, either way.

        Raises `TransportError`, and what may strike anywhere (KeyboardInterrupt), nothing else.
        """
        return self._ready().send(request, deadline, idle_timeout)

    def stream(
        self, request: Request, deadline: float | None, idle_timeout: float | None
    ) -> ByteStream:
        """Send a request and return its response as a stream, to be closed by the caller.

        `deadline` holds for the whole stream, `idle_timeout` for each wait.
        """
        return self._ready().stream(request, deadline, idle_timeout)

    def _ready(self) -> Engine:
        if os.getpid() != self._pid:
            self.reset_after_fork()
        if self._closed:
            raise client_closed()
        engine = self._engine
        return self._start() if engine is None else engine

    def _start(self) -> Engine:
        with forks.loading():
            from aerodb._io.on_threads.engine import Engine

            load_decoder()
        with self._lock:
            if self._closed:
                raise client_closed()
            if self._client_is_shared:
                raise used_before_fork()
            if self._engine is None:
                self._engine = Engine(self._settings, self._client, self._library)
            return self._engine

    @property
    def sockets(self) -> int:
        """How many sockets are open, idle ones included."""
        return 0 if self._engine is None else self._engine.sockets

    def close(self) -> None:
        """Close all connections; calls under way end with `client_closed`. Idempotent."""
        if os.getpid() != self._pid:
            self.reset_after_fork()
        self._closed = True
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    def reset_after_fork(self) -> None:
        """In a child: new locks, no connections, nothing in flight (reliability X4, C2)."""
        self._pid = os.getpid()
        self._lock = threading.Lock()
        engine, self._engine = self._engine, None
        if engine is not None:
            self._client_is_shared = self._client is not None
            engine.abandon()

    def __reduce__(self) -> NoReturn:
        raise TypeError("an HTTP client cannot be pickled or copied: make one where it is used")

    def let_go(self) -> None:
        """Close what nobody has closed, and say so: when it is collected, or the process ends."""
        engine, self._engine = self._engine, None
        if engine is not None and os.getpid() == self._pid and engine.sockets:
            try:
                warnings.warn("unclosed AeroDB client", ResourceWarning, stacklevel=2, source=self)
            finally:
                engine.close()

    def __del__(self) -> None:
        self.let_go()
