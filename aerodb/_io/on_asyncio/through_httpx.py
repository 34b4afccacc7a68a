"""Requests through httpx itself: a user's own client, proxies, HTTP/2."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from types import ModuleType
from typing import Any

import httpx

from aerodb._core.http import Request, TransportError
from aerodb._core.http_settings import HttpSettings
from aerodb._io.failures import from_httpx
from aerodb._io.heads import complete_headers, url_of
from aerodb._io.httpx_parts import body_headers, own_transport_options, timeouts
from aerodb._io.on_asyncio.progress import Progress

_CLOSE_SECONDS = 1.0


class ForeignAnswer:
    """A response of httpx, its body not decoded."""

    __slots__ = ("_closing", "_library", "_response", "chunks", "raw_headers", "status")

    def __init__(self, response: Any, library: ModuleType) -> None:
        self.status: int = response.status_code
        self.raw_headers = body_headers(response)
        self._response = response
        self._library = library
        self._closing: asyncio.Task[None] | None = None
        self.chunks = self._read()

    async def _read(self) -> AsyncGenerator[bytes, None]:
        if self._response.is_stream_consumed:  # a transport that answers from memory
            yield self._response.content
            return
        async for chunk in self._response.aiter_raw():
            yield chunk

    async def finish(self) -> None:
        """The body has been read to its end."""
        await self._response.aclose()

    def abort(self) -> None:
        """Give the response up. Closing waits, and the caller may be cancelled: so on the side."""
        if self._closing is None and not self._response.is_closed:
            self._closing = asyncio.get_running_loop().create_task(self._close())

    async def _close(self) -> None:
        with contextlib.suppress(self._library.TransportError):
            await self._response.aclose()

    def explain(self, error: Exception) -> TransportError | None:
        """What went wrong while reading the body."""
        return from_httpx(error, self._library, sent=True)


class UserRoute:
    """Everything goes to a client that the user made, and that the user closes."""

    def __init__(self, settings: HttpSettings, client: Any, library: ModuleType) -> None:
        self._settings = settings
        self._client = client
        self._library = library

    async def open(
        self, request: Request, progress: Progress, deadline: float | None
    ) -> ForeignAnswer:
        """Send the request, wait for the response's head."""

        async def send() -> Any:
            made = self._client.build_request(
                request.method,
                url_of(request),
                headers=complete_headers(request),
                content=request.content,
                timeout=self._library.Timeout(**limits),
            )
            return await self._client.send(made, stream=True, follow_redirects=False)

        limits = timeouts(self._settings, deadline, None)
        return await _open(send, self._library, progress)

    async def close(self) -> None:
        """The client is not ours."""


class OwnRoute:
    """httpx's transport without its client: no cookies, no redirects, no log of URLs."""

    def __init__(self, settings: HttpSettings, proxy: str | None) -> None:
        self._settings = settings
        self._transport = httpx.AsyncHTTPTransport(**own_transport_options(settings, proxy))

    async def open(
        self, request: Request, progress: Progress, deadline: float | None
    ) -> ForeignAnswer:
        """Send the request, wait for the response's head."""

        async def send() -> httpx.Response:
            made = httpx.Request(
                request.method,
                url_of(request),
                headers=complete_headers(request),
                content=request.content,
                extensions={"timeout": limits},
            )
            return await self._transport.handle_async_request(made)

        limits = timeouts(self._settings, deadline, None)
        return await _open(send, httpx, progress)

    async def close(self) -> None:
        """Close the connections; not waiting long for a peer that says no goodbye."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._transport.aclose()


async def _open(
    send: Callable[[], Awaitable[Any]], library: ModuleType, progress: Progress
) -> ForeignAnswer:
    progress.stage, progress.foreign = "answer", True
    try:
        return ForeignAnswer(await send(), library)
    except Exception as error:
        known = from_httpx(error, library)
        if known is None:
            raise
        raise known from None
