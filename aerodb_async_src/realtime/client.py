# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""The realtime connection of one client, and its channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aerodb._core.realtime import calls
from aerodb._core.realtime.calls import check_arguments
from aerodb._core.realtime.messages import RealtimeStatus
from aerodb._core.realtime.outputs import Ticket
from aerodb._core.realtime.states import LinkPhase
from aerodb._core.realtime_options import RealtimeOptions
from aerodb._io.on_asyncio import Event, check_handler, pause
from aerodb.types import AeroDBError, AeroDBResponse

from .._transport import AsyncTransport  # noqa: TID252  # of the same twin, whichever it is
from ._link import AsyncLink
from .channel import AsyncRealtimeChannel

_LOOK_SECONDS = 0.05


class AsyncRealtimeClient:
    """Realtime of one client: `client.realtime`.

    One connection for all its channels, opened at the first `subscribe()` and made again whenever
    it is lost, until `disconnect()` or the end of the client. It acts as the client does: a view
    (`as_user`, `as_service`, `with_options`) has a connection and channels of its own.
    """

    __slots__ = ("__weakref__", "_link", "_schema", "_transport")

    def __init__(
        self, transport: AsyncTransport, url: str, options: RealtimeOptions, schema: str
    ) -> None:
        self._transport = transport
        self._schema = schema
        self._link = AsyncLink(transport, url, options)

    # --- channels -------------------------------------------------------------------------

    def channel(
        self,
        name: str,
        *,
        private: bool | None = None,
        broadcast_self: bool | None = None,
        broadcast_ack: bool | None = None,
        presence_key: str | None = None,
    ) -> AsyncRealtimeChannel:
        """The channel of that name: always the same one, until it is removed.

        Args:
            name: 1 to 255 characters. A table's name, or `schema.table`, brings its changes.
            private: Row-level security on `realtime.messages` decides who may join and send.
            broadcast_self: Messages that this client sends come back to it as well.
            broadcast_ack: The server confirms each message that is sent.
            presence_key: Under which name this client is there; by default the user's id.

        What is not given stays as it is; changes are asked for with the next `subscribe()`.
        """
        calls.channel_problem(name)  # raises for what is no text; else `subscribe` answers
        link = self._link
        with link.mutex:
            known = link.machine.channels.get(name)
            made = known.owner if known is not None else self._make(name)
            config = made.machine.config
            for setting, value in (
                ("private", private),
                ("broadcast_self", broadcast_self),
                ("broadcast_ack", broadcast_ack),
                ("presence_key", presence_key),
            ):
                if value is not None:
                    setattr(config, setting, value)
        found: AsyncRealtimeChannel = made
        return found

    def _make(self, name: str) -> AsyncRealtimeChannel:
        return AsyncRealtimeChannel(self._link, self._transport, name, self._schema)

    def get_channels(self) -> list[AsyncRealtimeChannel]:
        """The channels that were made and not removed."""
        return [one.owner for one in list(self._link.machine.channels.values())]

    async def remove_channel(
        self, channel: AsyncRealtimeChannel, *, timeout: float = 5.0
    ) -> AeroDBResponse[None]:
        """Unsubscribe a channel and forget it with its handlers."""
        response = await channel.unsubscribe(timeout=timeout, clear_handlers=True)
        await self._link.do(lambda now: self._link.machine.remove(channel.machine))
        return response

    async def remove_all_channels(self, *, timeout: float = 5.0) -> AeroDBResponse[None]:
        """Unsubscribe all channels and forget them."""
        for channel in self.get_channels():
            response = await self.remove_channel(channel, timeout=timeout)
            if response.error is not None:
                return response
        return AeroDBResponse()

    # --- the connection -------------------------------------------------------------------

    @property
    def status(self) -> RealtimeStatus:
        """`idle`, `connecting`, `open`, `reconnecting` or `closed`."""
        return RealtimeStatus(self._link.machine.state.value)

    @property
    def latency(self) -> float | None:
        """Seconds between the last heartbeat and its answer; None before the first."""
        return self._link.machine.liveness.latency

    @property
    def error(self) -> AeroDBError | None:
        """Why the connection was lost, or is not there."""
        return self._link.machine.error

    def on_status(self, callback: Callable[[Any, Any], Any]) -> None:
        """Call `callback(status, error)` with each `RealtimeStatus` of the connection."""
        check_handler(callback)
        check_arguments(callback, 2)
        lane = self._link.lane
        lane.listeners = (*lane.listeners, callback)

    def on_error(self, callback: Callable[[Any], Any]) -> None:
        """Call `callback(error)` with each error that the server reports of itself, and with
        `HANDLER_FAILED` for each failure of a handler."""
        check_handler(callback)
        check_arguments(callback, 1)
        telling = self._link.telling
        telling.listeners = (*telling.listeners, callback)

    async def connect(self, *, timeout: float = 10.0) -> AeroDBResponse[None]:
        """Connect now, and stay connected without channels. Otherwise `subscribe()` connects."""
        link = self._link
        problem = link.closed_error() or calls.time_problem(timeout)
        if problem is not None:
            return AeroDBResponse(error=problem)
        ticket = Ticket(Event())
        await link.do(lambda now: link.machine.connect(ticket))
        if await link.wait(ticket, timeout):
            return AeroDBResponse(error=ticket.error)
        return AeroDBResponse(error=calls.connect_error(timeout, link.machine.error))

    async def disconnect(self) -> None:
        """End the connection and every subscription. `subscribe()` makes a new one."""
        link = self._link
        await link.do(lambda now: link.machine.disconnect())

    async def run_forever(self) -> None:
        """Wait until the connection is closed for good: for programs that only listen."""
        while self._link.machine.state is not LinkPhase.CLOSED and not self._link.is_closed:
            await pause(_LOOK_SECONDS)

    async def close(self) -> None:
        """End everything, for good; the client calls this when it is closed."""
        await self._link.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.status.value}, {len(self.get_channels())} channels>"
