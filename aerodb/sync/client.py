# GENERATED from aerodb_async_src/client.py by scripts/generate.py [5814883376d0]: do not edit
"""The client: composes the services over one transport, opens and closes it."""

from __future__ import annotations

import math
import os
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn, Self

from aerodb._core.headers import ClientHeaders, clean_key
from aerodb._core.health import ClientStatus, HealthStatus, prepared_health
from aerodb._core.http_settings import HttpSettings
from aerodb._core.identity import Session, life_left
from aerodb._core.misuse import refuses_options
from aerodb._core.options import ClientOptions, checked_options
from aerodb._core.realtime_options import RealtimeOptions
from aerodb._core.url import server_url, websocket_url
from aerodb._io.on_threads import ContextGuard, HttpClient, wall_clock
from aerodb._version import __version__
from aerodb.types import AeroDBResponse

from ._session import SessionKeeper
from ._transport import Transport
from .database import QuerySource

if TYPE_CHECKING:
    from .auth import AuthClient
    from .functions import FunctionsClient
    from .realtime import RealtimeChannel, RealtimeClient
    from .storage import StorageClient


class AeroDBClient(ContextGuard, QuerySource):
    """Talks to one AeroDB: auth, database queries, realtime, functions, health.

    Args:
        url: Where AeroDB answers, `https://...`; plain http only for this machine.
        key: The publishable or secret key.
        schema: The schema of `from_` and `rpc`.
        headers: Sent along with every request.
        realtime_url: Where realtime answers, if not below `url`.
        options: Timeouts, retries, limits, TLS: see `ClientOptions`.
        http_client: An httpx client of your own to send through. It is never closed by this one.

    Making a client does no I/O. `with` closes it; so does `client.close()`.
    A client may be shared by all tasks and threads of a program, and survives a fork.

    Raises:
        ValueError, TypeError: an argument cannot be meant so; the text says what was expected.
    """

    @refuses_options
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
        options = checked_options(options)
        base = server_url(url, allow_insecure=options.allow_insecure)
        self._realtime_url = websocket_url(
            base, realtime_url, allow_insecure=options.allow_insecure
        )
        client_headers = ClientHeaders(version=__version__, key=clean_key(key), headers=headers)
        http = HttpClient(_http_settings(options), client=http_client)
        session = SessionKeeper(options.session_store, timeout=options.timeout)
        self._headers = client_headers
        self._transport = Transport(base, client_headers, options, http, session=session)
        self._source = (self._transport, schema)
        self._closed = False
        self._realtime: RealtimeClient | None = None
        self._family: list[weakref.ref[RealtimeClient]] = []

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
            raise ValueError(
                f"{prefix}URL is not set: set it to your AeroDB's URL, or pass url=; "
                "`aerodb dev` prints a line that sets it"
            )
        return cls(**arguments)

    @property
    def auth(self) -> AuthClient:
        """Signing up, in and out; the session; users."""
        from .auth import AuthClient  # when first asked for: many programs never do

        return AuthClient(self._transport, self._headers.key)

    @property
    def functions(self) -> FunctionsClient:
        """Calling functions that run on the server."""
        from .functions import FunctionsClient  # when first asked for

        return FunctionsClient(self._transport)

    @property
    def storage(self) -> StorageClient:
        """Buckets, and the files in them."""
        from .storage import StorageClient  # when first asked for

        return StorageClient(self._transport)

    def as_user(self, access_token: str, refresh_token: str | None = None) -> Self:
        """A client that acts as this user, over the same connections.

        It never acts as anybody else: not as this client's user, and not by the key alone once
        its session has ended. Without a refresh token it is not renewed; a server's 401 is the
        answer then. It costs next to nothing: make one for each request that is served.

        Raises:
            ValueError, TypeError: a token that cannot be sent.
        """
        session = Session(access_token, refresh_token)
        keeper = SessionKeeper(required=True, timeout=self._transport.options.timeout)
        life = math.inf if refresh_token is None else life_left(session, wall_clock())
        keeper.adopt_unsaved(session, life)
        return self._view(self._transport.view(session=keeper), self._headers)

    def as_service(self, key: str) -> Self:
        """A client that acts by this key and has no user, over the same connections.

        Raises:
            ValueError, TypeError: a key that cannot be sent.
        """
        if key is None:  # a client without a key would be anon, in silence
            raise TypeError("key must be a str, not NoneType")
        headers = self._headers.replace(key=clean_key(key))
        transport = self._transport.view(headers=headers, session=SessionKeeper())
        return self._view(transport, headers)

    def with_options(
        self,
        *,
        schema: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        retries: int | None = None,
        max_url_bytes: int | None = None,
        idempotency_keys: bool | None = None,
    ) -> Self:
        """The same client with other settings: same connections, same session.

        What is not given stays. `headers` come on top of those that the client has. What belongs
        to the connections (TLS, proxy, limits) needs a client of its own.
        """
        given = {
            "timeout": timeout,
            "retries": retries,
            "max_url_bytes": max_url_bytes,
            "idempotency_keys": idempotency_keys,
        }
        changes = {name: value for name, value in given.items() if value is not None}
        options = self._transport.options.replace(**changes) if changes else None
        own = self._headers.replace(headers=headers) if headers else self._headers
        return self._view(self._transport.view(headers=own, options=options), own, schema)

    def _view(
        self, transport: Transport, headers: ClientHeaders, schema: str | None = None
    ) -> Self:
        """A client over the same connections; closing it closes only itself."""
        made = object.__new__(type(self))
        made._realtime_url = self._realtime_url
        made._headers = headers
        made._transport = transport
        made._source = (transport, self._source[1] if schema is None else schema)
        made._closed = False
        made._realtime = None
        made._family = self._family
        return made

    @property
    def realtime(self) -> RealtimeClient:
        """The realtime connection: its status, its channels. Nothing connects before the first
        `subscribe()`. A view has a connection of its own, for it is somebody else."""
        if self._realtime is None:
            from .realtime import RealtimeClient  # most programs never need it

            options = self._transport.options.realtime or RealtimeOptions()
            made = RealtimeClient(
                self._transport, self._realtime_url, options, self._source[1]
            )
            with self._transport.session.mutex:  # two threads may ask at once
                if self._realtime is None:
                    self._realtime = made
                    self._family[:] = [one for one in self._family if one() is not None]
                    self._family.append(weakref.ref(made))
        return self._realtime

    def channel(
        self,
        name: str,
        *,
        private: bool | None = None,
        broadcast_self: bool | None = None,
        broadcast_ack: bool | None = None,
        presence_key: str | None = None,
    ) -> RealtimeChannel:
        """The realtime channel of that name; see `client.realtime.channel`."""
        return self.realtime.channel(
            name,
            private=private,
            broadcast_self=broadcast_self,
            broadcast_ack=broadcast_ack,
            presence_key=presence_key,
        )

    def get_channels(self) -> list[RealtimeChannel]:
        """The channels of this client."""
        return [] if self._realtime is None else self._realtime.get_channels()

    def remove_channel(self, channel: RealtimeChannel) -> AeroDBResponse[None]:
        """Unsubscribe a channel and forget it with its handlers."""
        return self.realtime.remove_channel(channel)

    def remove_all_channels(self) -> AeroDBResponse[None]:
        """Unsubscribe all channels and forget them."""
        return self.realtime.remove_all_channels()

    @property
    def status(self) -> ClientStatus:
        """How this client stands, without asking anybody."""
        made = self._realtime
        return ClientStatus(
            closed=self._closed,
            signed_in=self._transport.session.session is not None,
            realtime="idle" if made is None else made.status.value,
            latency=None if made is None else made.latency,
            channels=tuple(one.name for one in self.get_channels() if one.subscribed),
            error=None if made is None else made.error,
        )

    def health(self, *, timeout: float = 5.0) -> AeroDBResponse[HealthStatus]:
        """Ask the server how it is: status, version, services, features."""
        response = self._transport.execute(prepared_health(timeout))
        self._transport.learn(response.data)
        return response

    @property
    def is_closed(self) -> bool:
        """Whether `close()` was called; every call then answers `CLIENT_CLOSED`."""
        return self._closed

    def close(self) -> None:
        """Close all connections. May be called more than once, and from any task or thread.

        A view (`as_user`, `as_service`, `with_options`) closes itself only; the client that it
        came from ends its realtime connection too.
        """
        self._closed = True
        if self._transport.is_view:
            if self._realtime is not None:
                self._realtime.close()
        else:
            for one in [found for ref in self._family if (found := ref()) is not None]:
                one.close()
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

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
