"""Requests through httpx itself: a user's own client, proxies, HTTP/2."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import monotonic
from types import ModuleType
from typing import Any

import httpx

from aerodb._core.http import Request, TransportError
from aerodb._core.http_settings import HttpSettings
from aerodb._io.failures import from_httpx, timed_out
from aerodb._io.heads import complete_headers, url_of
from aerodb._io.httpx_parts import body_headers, own_transport_options, timeouts


class ForeignAnswer:
    """A response of httpx, its body not decoded.

    httpx knows timeouts per read only, so between the chunks we look at the deadline ourselves.
    """

    __slots__ = ("_library", "_response", "chunks", "raw_headers", "status")

    def __init__(self, response: Any, library: ModuleType, deadline: float | None) -> None:
        self.status: int = response.status_code
        self.raw_headers = body_headers(response)
        self._response = response
        self._library = library
        self.chunks = self._read(deadline)

    def _read(self, deadline: float | None) -> Iterator[bytes]:
        if self._response.is_stream_consumed:  # a transport that answers from memory
            yield self._response.content
            return
        for chunk in self._response.iter_raw():
            if deadline is not None and monotonic() > deadline:
                raise timed_out("answer", sent=True)
            yield chunk

    def finish(self) -> None:
        """The body has been read to its end."""
        self._response.close()

    def abort(self) -> None:
        """Give the response up."""
        self._response.close()

    def explain(self, error: Exception) -> TransportError | None:
        """What went wrong while reading the body."""
        return from_httpx(error, self._library, sent=True)


class UserRoute:
    """Everything goes to a client that the user made, and that the user closes."""

    def __init__(self, settings: HttpSettings, client: Any, library: ModuleType) -> None:
        self._settings = settings
        self._client = client
        self._library = library

    def open(
        self, request: Request, deadline: float | None, idle_timeout: float | None
    ) -> ForeignAnswer:
        """Send the request, wait for the response's head."""

        def send() -> Any:
            made = self._client.build_request(
                request.method,
                url_of(request),
                headers=complete_headers(request),
                content=request.content,
                timeout=self._library.Timeout(**limits),
            )
            return self._client.send(made, stream=True, follow_redirects=False)

        limits = timeouts(self._settings, deadline, idle_timeout)
        return _open(send, self._library, deadline)

    def close(self) -> None:
        """The client is not ours."""


class OwnRoute:
    """httpx's transport without its client: no cookies, no redirects, no log of URLs."""

    def __init__(self, settings: HttpSettings, proxy: str | None) -> None:
        self._settings = settings
        self._transport = httpx.HTTPTransport(**own_transport_options(settings, proxy))

    def open(
        self, request: Request, deadline: float | None, idle_timeout: float | None
    ) -> ForeignAnswer:
        """Send the request, wait for the response's head."""

        def send() -> httpx.Response:
            made = httpx.Request(
                request.method,
                url_of(request),
                headers=complete_headers(request),
                content=request.content,
                extensions={"timeout": limits},
            )
            return self._transport.handle_request(made)

        limits = timeouts(self._settings, deadline, idle_timeout)
        return _open(send, httpx, deadline)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()


def _open(send: Callable[[], Any], library: ModuleType, deadline: float | None) -> ForeignAnswer:
    try:
        return ForeignAnswer(send(), library, deadline)
    except Exception as error:
        known = from_httpx(error, library)
        if known is None:
            raise
        raise known from None
