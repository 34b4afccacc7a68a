# GENERATED from aerodb_async_src/client.py by scripts/generate.py [fc081ce8bfef]: do not edit
"""The client: composes the services over one transport, opens and closes it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NoReturn, Self

from aerodb._core.headers import ClientHeaders, clean_key
from aerodb._core.health import HealthStatus, prepared_health
from aerodb._core.http_settings import HttpSettings
from aerodb._core.options import ClientOptions
from aerodb._core.url import parse_base_url, websocket_url
from aerodb._io.on_asyncio import ContextGuard, HttpClient
from aerodb._version import __version__
from aerodb.types import AeroDBResponse

from ._transport import AsyncTransport
from .database import AsyncQuerySource


class AsyncAeroDBClient(ContextGuard, AsyncQuerySource):
    """Talks to one AeroDB: database queries, health.

    Args:
        url: Where AeroDB answers, `https://...`; plain http only for this machine.
        key: The publishable or secret key.
        schema: The schema of `from_` and `rpc`.
        headers: Sent along with every request.
        realtime_url: Where realtime answers, if not below `url`.
        options: Timeouts, retries, limits, TLS: see `ClientOptions`.
        http_client: An httpx client of your own to send through. It is never closed by this one.

    Making a client does no I/O. `async with` closes it; so does `await client.close()`.
    A client may be shared by all tasks and threads of a program, and survives a fork.

    Raises:
        ValueError, TypeError: an argument cannot be meant so; the text says what was expected.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        schema: str = "public",
        headers: Mapping[str, str] | None = None,
        realtime_url: str | None = None,
        *,
        options: ClientOptions | None = None,
        http_client: Any = None,
    ) -> None:
        options = ClientOptions() if options is None else options
        base = parse_base_url(url, allow_insecure=options.allow_insecure)
        self._realtime_url = websocket_url(
            base, realtime_url, allow_insecure=options.allow_insecure
        )
        client_headers = ClientHeaders(version=__version__, key=clean_key(key), headers=headers)
        http = HttpClient(_http_settings(options), client=http_client)
        self._transport = AsyncTransport(base, client_headers, options, http)
        self._source = (self._transport, schema)
        self._closed = False

    @classmethod
    def from_env(cls, *, prefix: str = "AERODB_", **overrides: Any) -> Self:
        """Make a client from `AERODB_URL`, `AERODB_KEY`, `AERODB_SCHEMA`, `AERODB_REALTIME_URL`.

        `overrides` are arguments of the constructor and win over the environment.

        Raises:
            ValueError: `AERODB_URL` is not set.
        """
        names = ("url", "key", "schema", "realtime_url")
        found = {name: os.environ.get(prefix + name.upper()) for name in names}
        arguments: dict[str, Any] = {name: value for name, value in found.items() if value}
        arguments |= overrides
        if "url" not in arguments:
            raise ValueError(f"{prefix}URL is not set: set it to your AeroDB's URL, or pass url=")
        return cls(**arguments)

    async def health(self, *, timeout: float = 5.0) -> AeroDBResponse[HealthStatus]:
        """Ask the server how it is: status, version, services, features."""
        response = await self._transport.execute(prepared_health(timeout))
        self._transport.learn(response.data)
        return response

    @property
    def is_closed(self) -> bool:
        """Whether `close()` was called; every call then answers `CLIENT_CLOSED`."""
        return self._closed

    async def close(self) -> None:
        """Close all connections. May be called more than once, and from any task or thread."""
        self._closed = True
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "an AeroDB client cannot be pickled or copied: it holds keys and connections; "
            "make one in the other process, from the URL and key"
        )

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"<{name} {self._transport.base.url()}{' closed' if self._closed else ''}>"


def _http_settings(options: ClientOptions) -> HttpSettings:
    return HttpSettings(
        max_connections=options.max_connections,
        keepalive_seconds=options.keepalive_seconds,
        connect_timeout=options.connect_timeout,
        max_response_bytes=options.max_response_bytes,
        verify=options.verify,
        proxy=options.proxy,
        trust_env=options.trust_env,
        http2=options.http2,
    )


AsyncAeroDBClient.__module__ = "aerodb"
