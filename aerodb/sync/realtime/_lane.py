# GENERATED from aerodb_async_src/realtime/_lane.py by scripts/generate.py [5da16a5cedd4]: do not edit
"""The calls that the handlers of one channel are owed: in order, one at a time.

User code runs here and nowhere else, and the reader waits for none of it: a handler that sleeps
holds up its own channel in the twin, and the handlers of all channels in the blocking one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from aerodb._core.realtime.handlers import Handlers
from aerodb._core.realtime.inbox import Inbox
from aerodb._core.realtime.messages import ChannelEvent
from aerodb._core.realtime.outputs import Notice
from aerodb._io.on_threads import Event, call, is_own, settled

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

    __slots__ = ("_link", "_news", "_untold", "_watchers", "handlers", "inbox", "listeners",
                 "overflowed")  # fmt: skip

    def __init__(self, link: Link, name: str, handlers: Handlers, **limits: Any) -> None:
        self._link = link
        self._news: list[Notice] = []
        self._untold: tuple[Callable[[Any, Any], Any], ...] = ()
        self._watchers: list[Event] = []
        self.handlers = handlers
        self.inbox = Inbox(name, self, lasting=True, **limits)
        self.listeners: tuple[Callable[[Any, Any], Any], ...] = ()
        self.overflowed: Callable[[], Any] | None = None

    def ring(self) -> None:
        """There is something in the inbox."""
        self._link.telling.dispatch(self._drain)

    def listen(self, listener: Callable[[Any, Any], Any]) -> None:
        """Tell this one of statuses too. Under the mutex."""
        if listener not in self.listeners:
            self.listeners = (*self.listeners, listener)
            self._untold = (*self._untold, listener)

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
        """Wait until nobody is being called, and say whether that is so. A handler itself does not
        wait: nobody but it is being called."""
        if self._link.telling.is_inside():
            return True
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
                    items, generation = inbox.take(_CHUNK), inbox.generation
                    news = self._news
                    if news:
                        self._news = []
                    elif not items:
                        if self._watchers:
                            self._rested()
                        break
                    inbox.busy = True
                for notice in news:
                    for listener in self._concerned(notice):
                        self._tell_one(listener, notice)
                self._hand_out(items, generation)
        except BaseException:
            with self._link.mutex:
                inbox.busy = False
                self._rested()
            raise
        if inbox.overflowed and self.overflowed is not None:
            settled(self.overflowed())

    def _concerned(self, notice: Notice) -> Sequence[Callable[[Any, Any], Any]]:
        """A listener is told how things stand only if it has heard of nothing yet."""
        untold = self._untold
        if notice.only is None:
            self._untold = ()
            return self.listeners
        self._untold = tuple(one for one in untold if one != notice.only)
        return [one for one in untold if one == notice.only]

    def _rested(self) -> None:
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            watcher.set()

    def _hand_out(self, items: list[ChannelEvent], generation: int) -> None:
        inbox, chosen, watched = self.inbox, self.handlers.of, bool(self._link.watching)
        for item in items:
            for handler in chosen(item):
                if inbox.generation != generation:
                    return  # unsubscribed meanwhile
                try:
                    if watched:
                        self._watched(handler.callback, item)
                        continue
                    result = handler.callback(item)
                    if result is not None:
                        settled(result)
                except BaseException as failure:  # its own, whatever it is
                    if not is_own(failure):
                        raise
                    self._link.telling.failed(handler.callback, failure, inbox.channel)

    def _watched(self, handler: Callable[[Any], Any], item: ChannelEvent) -> None:
        """Call a handler before the eyes of the client's telemetry."""
        with self._link.watching.of("process", self.inbox.channel, item):
            result = handler(item)
            if result is not None:
                settled(result)

    def _tell_one(self, listener: Callable[[Any, Any], Any], notice: Notice) -> None:
        def told(arguments: Notice) -> Any:
            return listener(arguments.status, arguments.error)

        try:
            call(told, notice)
        except BaseException as failure:  # its own, whatever it is
            if not is_own(failure):
                raise
            self._link.telling.failed(listener, failure, self.inbox.channel)
