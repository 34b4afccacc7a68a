# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""Registering the handlers of a channel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self, TypeVar, overload

from aerodb._core.realtime.calls import handler_for
from aerodb._core.realtime.channel import ChannelMachine
from aerodb._core.realtime.handlers import Handler
from aerodb._io.on_asyncio import check_handler

from ._lane import AsyncLane
from ._link import AsyncLink

H = TypeVar("H", bound=Callable[..., Any])


class AsyncRegistering:
    """What a channel is told to call, and when. A handler gets one argument, the event."""

    __slots__ = ("_lane", "_link", "_machine", "_schema", "name")

    name: str
    _lane: AsyncLane
    _link: AsyncLink
    _machine: ChannelMachine
    _schema: str

    @overload
    def on(
        self,
        event: str,
        callback: None = None,
        *,
        table: str | None = None,
        schema: str | None = None,
        filter: str | None = None,
    ) -> Callable[[H], H]: ...

    @overload
    def on(
        self,
        event: str,
        callback: Callable[[Any], Any],
        *,
        table: str | None = None,
        schema: str | None = None,
        filter: str | None = None,
    ) -> Self: ...

    def on(
        self,
        event: str,
        callback: Callable[[Any], Any] | None = None,
        *,
        table: str | None = None,
        schema: str | None = None,
        filter: str | None = None,
    ) -> Any:
        """Call `callback` with each change: `INSERT`, `UPDATE`, `DELETE`, or `*` for all three.

        It gets a `RealtimePayload`. Without a callback this is a decorator. Without `table`,
        `schema` and `filter` it hears all changes of the channel, which is that of the table it is
        named after; with them it asks the server for exactly those, see `on_changes`.

        Raises:
            TypeError, ValueError: The callback or an argument cannot be meant so.
        """
        narrow = {"table": table, "schema": schema, "filter": filter}
        return self._register("change", event, callback, narrow)

    @overload
    def on_changes(
        self,
        event: str = "*",
        *,
        schema: str | None = None,
        table: str | None = None,
        filter: str | None = None,
        callback: None = None,
    ) -> Callable[[H], H]: ...

    @overload
    def on_changes(
        self,
        event: str = "*",
        *,
        schema: str | None = None,
        table: str | None = None,
        filter: str | None = None,
        callback: Callable[[Any], Any],
    ) -> Self: ...

    def on_changes(
        self,
        event: str = "*",
        *,
        schema: str | None = None,
        table: str | None = None,
        filter: str | None = None,
        callback: Callable[[Any], Any] | None = None,
    ) -> Any:
        """Ask for the changes of a table, and call `callback` with each.

        `table` may be `*`; without it, it is the one that the channel is named after. `filter` is
        `column=operator.value`, several with commas between: `status=eq.open,price=gt.10`. What
        is asked for goes to the server with the next `subscribe()`.

        Raises:
            TypeError, ValueError: The callback or an argument cannot be meant so.
        """
        narrow = {"table": table, "schema": schema, "filter": filter, "bound": True}
        return self._register("change", event, callback, narrow)

    def on_broadcast(self, event: str, callback: Callable[[Any], Any] | None = None) -> Any:
        """Call `callback` with each `BroadcastMessage` of that name, or of any with `*`."""
        return self._register("broadcast", event, callback, {})

    def on_presence(self, event: str, callback: Callable[[Any], Any] | None = None) -> Any:
        """Call `callback` with each `PresenceMessage`: `sync`, `join`, `leave` or `*`."""
        return self._register("presence", event, callback, {})

    def on_gap(self, callback: Callable[[Any], Any] | None = None) -> Any:
        """Call `callback` with a `GapNotice` wherever changes are missing."""
        return self._register("gap", "*", callback, {})

    def _register(
        self,
        kind: str,
        event: str,
        callback: Callable[[Any], Any] | None,
        narrow: Mapping[str, Any],
    ) -> Any:
        def add(function: Callable[[Any], Any]) -> Any:
            check_handler(function)
            handler = handler_for(
                kind,
                event,
                function,
                channel=self.name,
                default_schema=self._schema,
                **narrow,
            )
            self._add(handler)
            return function

        if callback is None:
            return add
        add(callback)
        return self

    def _add(self, handler: Handler) -> None:
        machine, inbox = self._machine, self._lane.inbox
        with self._link.mutex:
            machine.handlers.add(handler)
            if inbox not in machine.inboxes:
                machine.inboxes = (*machine.inboxes, inbox)

    def off(self, event: str, callback: Callable[[Any], Any] | None = None) -> Self:
        """Call it no more: the one given to `on(event, ...)`, or all of that event."""
        with self._link.mutex:
            self._machine.handlers.remove("change", event.upper(), callback)
        return self

    def off_broadcast(self, event: str, callback: Callable[[Any], Any] | None = None) -> Self:
        """As `off`, for `on_broadcast`."""
        with self._link.mutex:
            self._machine.handlers.remove("broadcast", event, callback)
        return self

    def off_presence(self, event: str, callback: Callable[[Any], Any] | None = None) -> Self:
        """As `off`, for `on_presence`."""
        with self._link.mutex:
            self._machine.handlers.remove("presence", event, callback)
        return self
