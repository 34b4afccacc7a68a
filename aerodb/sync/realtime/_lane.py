# GENERATED from aerodb_async_src/realtime/_lane.py by scripts/generate.py [5e9a0676d68d]: do not edit
"""The calls that the handlers of one channel are owed: in order, one at a time.

User code runs here and nowhere else, apart from the reader: a handler that sleeps holds up its own
channel only in the twin, and the handlers of all channels in the blocking one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aerodb._core.realtime.handlers import Handlers
from aerodb._core.realtime.inbox import Inbox
from aerodb._core.realtime.messages import ChannelEvent
from aerodb._core.realtime.outputs import Notice
from aerodb._io.on_threads import Event, call, settled

if TYPE_CHECKING:
    from ._link import Link

Tell = Callable[[Any], Any]
_CHUNK = 64
_MOST_NEWS = 100
"""So many statuses wait to be told; beyond that the oldest are not."""


class Lane:
    """What one channel's handlers, or those of the connection, are yet to be called for.

    `listeners` are told of statuses: they get the two arguments of a `Notice`.
    """

    __slots__ = ("_link", "_news", "_watchers", "handlers", "inbox", "listeners", "overflowed")

    def __init__(self, link: Link, name: str, handlers: Handlers, **limits: Any) -> None:
        self._link = link
        self._news: list[Notice] = []
        self._watchers: list[Event] = []
        self.handlers = handlers
        self.inbox = Inbox(name, self, lasting=True, **limits)
        self.listeners: tuple[Callable[[Any, Any], Any], ...] = ()
        self.overflowed: Callable[[], Any] | None = None

    def ring(self) -> None:
        """There is something in the inbox."""
        self._link.telling.dispatch(self._drain)

    def note(self, notice: Notice) -> bool:
        """Have a status told; True if somebody has to be rung for it. Under the mutex."""
        if not self.listeners:
            return False
        if len(self._news) >= _MOST_NEWS:
            del self._news[0]
        self._news.append(notice)
        idle, self.inbox.busy = not self.inbox.busy, True
        return idle

    def rest(self, timeout: float) -> bool:
        """Wait until nobody is being called; a handler itself does not wait."""
        if self._link.telling.is_inside():
            return False
        watcher = Event()
        with self._link.mutex:
            if not self.inbox.busy:
                return True
            self._watchers.append(watcher)
        return watcher.wait(timeout)

    def _drain(self) -> None:
        """The job: call whoever is to be called, until there is nothing more."""
        inbox = self.inbox
        try:
            while True:
                with self._link.mutex:
                    news, self._news = self._news, []
                    items, generation = inbox.take(_CHUNK), inbox.generation
                    if not (news or items):
                        self._rested()
                        break
                    inbox.busy = True
                for notice in news:
                    for listener in self.listeners:
                        self._tell_one(listener, notice)
                self._hand_out(items, generation)
        except BaseException:
            with self._link.mutex:
                inbox.busy = False
                self._rested()
            raise
        if inbox.overflowed and self.overflowed is not None:
            self.overflowed()

    def _rested(self) -> None:
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            watcher.set()

    def _hand_out(self, items: list[ChannelEvent], generation: int) -> None:
        inbox, chosen = self.inbox, self.handlers.of
        for item in items:
            for handler in chosen(item):
                if inbox.generation != generation:
                    return  # unsubscribed meanwhile
                try:
                    result = handler.callback(item)
                    if result is not None:
                        settled(result)
                except Exception as failure:  # noqa: BLE001  # a handler's failure is its own
                    self._link.telling.failed(handler.callback, failure, inbox.channel)

    def _tell_one(self, listener: Callable[[Any, Any], Any], notice: Notice) -> None:
        def told(arguments: Notice) -> Any:
            return listener(arguments.status, arguments.error)

        try:
            call(told, notice)
        except Exception as failure:  # noqa: BLE001  # a listener's failure is its own
            self._link.telling.failed(listener, failure, self.inbox.channel)
