# GENERATED from aerodb_async_src/realtime/_handshake.py by scripts/generate.py [b1b99d7c66b4]: do not edit
"""Opening the WebSocket with the session's token, renewed once if the server says 401."""

from __future__ import annotations

from typing import NamedTuple

from aerodb._core.errors import Exchange, error_from_transport
from aerodb._core.http import Retry, TransportError
from aerodb._core.realtime.closing import refusal
from aerodb._core.realtime_options import RealtimeOptions
from aerodb._core.session import Grant, session_gone, worth_renewing
from aerodb._core.websocket import HandshakeRefused, SocketSettings
from aerodb._io.on_threads import WebSocket, monotonic, wall_clock
from aerodb.types import AeroDBError

from .._transport import Transport  # noqa: TID252  # of the same twin, whichever it is

PATH = "/realtime"


class NotOpened(NamedTuple):
    """Why there is no connection, and whether to try again."""

    error: AeroDBError
    final: bool


class Handshake:
    """Opens one WebSocket after another for one identity.

    Attributes:
        grant: What the last one carried.
    """

    __slots__ = ("_options", "_transport", "_url", "grant")

    def __init__(self, transport: Transport, url: str, options: RealtimeOptions) -> None:
        self._transport = transport
        self._url = url
        self._options = options
        self.grant = Grant()

    def open(self, *, rejected: bool) -> WebSocket | NotOpened:
        """Connect. `rejected`: the server does not take the last token any more (§4.4)."""
        transport = self._transport
        deadline = monotonic() + transport.options.timeout
        granted: Grant | AeroDBError | None = None
        if rejected and self.grant.token is not None:
            granted = transport.session.granted_again(transport, deadline, self.grant)
        if granted is None:
            granted = transport.session.grant(transport, deadline)
        if isinstance(granted, AeroDBError):
            return NotOpened(granted, not granted.retryable)
        self.grant = granted
        outcome = self._attempt()
        if not isinstance(outcome, HandshakeRefused):
            return outcome
        problem = self._refused(outcome)
        if not worth_renewing(PATH, outcome.status, outcome.raw_headers, problem.error.code):
            return problem
        renewed = None
        if granted.token is not None:
            renewed = transport.session.granted_again(transport, deadline, granted)
        if not isinstance(renewed, Grant):
            return problem if renewed is None else NotOpened(renewed, not renewed.retryable)
        self.grant = renewed
        again = self._attempt()
        return self._refused(again) if isinstance(again, HandshakeRefused) else again

    def _attempt(self) -> WebSocket | NotOpened | HandshakeRefused:
        limit = self._transport.options.connect_timeout
        try:
            return WebSocket.connect(
                self._url,
                self._transport.socket_headers(self.grant.token),
                self._settings(),
                limit,
            )
        except HandshakeRefused as refused:
            return refused
        except TransportError as failure:
            exchange = Exchange("GET", self._url, Retry.SAFE, None, 1, limit)
            error = error_from_transport(failure, exchange)
            return NotOpened(error, not error.retryable)

    def _refused(self, answer: HandshakeRefused) -> NotOpened:
        error, again = refusal(
            answer.status,
            answer.raw_headers,
            answer.body,
            url=self._url,
            secrets=self._transport.secrets(self.grant.token),
            now=wall_clock(),
        )
        return NotOpened(error, not again)

    def _settings(self) -> SocketSettings:
        http, options = self._transport.options, self._options
        return SocketSettings(
            connect_timeout=http.connect_timeout,
            ping_interval=options.ping_interval,
            ping_timeout=options.ping_timeout,
            max_message_bytes=options.max_message_bytes,
            verify=http.verify,
            proxy=http.proxy,
            trust_env=http.trust_env,
        )

    def current(self) -> Grant | AeroDBError:
        """What the session grants now, without waiting for anything."""
        session = self._transport.session
        held = session.held
        if held.token is None and session.is_required:
            return session.error or session_gone()
        return held

    def renewed(self) -> Grant | AeroDBError:
        """What the session grants now; renewed if that is due."""
        transport = self._transport
        deadline = monotonic() + transport.options.timeout
        return transport.session.grant(transport, deadline)
