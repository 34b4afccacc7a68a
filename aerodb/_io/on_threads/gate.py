"""At most so many requests in flight, first come, first served.

The pool below never queues, this does (reliability X1, X2): a permit is held from before the
connection is chosen until the response is read or closed.

Ctrl-C can strike between any two instructions. So the books are one set, whose changes are atomic
and may be repeated; a permit that gets lost is struck off when it is collected; and who waits looks
again every now and then instead of trusting to be woken. There is no `__del__` in here: Python
swallows an interrupt that strikes in one, and every request would have one.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from time import monotonic

from aerodb._io.failures import client_closed, queue_full, timed_out

_LOOK_AGAIN = 0.5


class Permit:
    """The right to one request in flight."""

    __slots__ = ("__weakref__", "entry")

    def __init__(self, held: set[weakref.ref[Permit]]) -> None:
        self.entry = weakref.ref(self, held.discard)


class _Place:
    """A place in the queue."""

    __slots__ = ("bell", "entry")

    def __init__(self, entry: weakref.ref[Permit]) -> None:
        self.entry = entry
        self.bell = threading.Lock()
        self.bell.acquire()


class Gate:
    """Hands out permits in the order they are asked for."""

    def __init__(self, limit: int, max_waiting: int | None) -> None:
        self._limit = limit
        self._max_waiting = max_waiting
        self._held: set[weakref.ref[Permit]] = set()
        self._queue: deque[_Place] = deque()
        self._lock = threading.Lock()
        self._closed = False

    @property
    def in_use(self) -> int:
        """How many permits are held."""
        return len(self._held)

    def permit(self) -> Permit:
        """Make a permit that is not held yet."""
        return Permit(self._held)

    def enter(self, permit: Permit, deadline: float) -> None:
        """Wait until the permit is held."""
        with self._lock:
            if self._closed:
                raise client_closed()
            if not self._queue and len(self._held) < self._limit:
                self._held.add(permit.entry)
                return
            if self._max_waiting is not None and len(self._queue) >= self._max_waiting:
                raise queue_full(len(self._queue))
            place = _Place(permit.entry)
            self._queue.append(place)
        try:
            self._wait(place, deadline)
        except BaseException:
            self._forget(place)
            raise

    def _wait(self, place: _Place, deadline: float) -> None:
        while place.entry not in self._held:
            left = deadline - monotonic()
            if left <= 0:
                raise timed_out("queue", sent=False)
            place.bell.acquire(timeout=min(left, _LOOK_AGAIN))
            if self._closed:
                raise client_closed()
            with self._lock:
                self._admit()

    def leave(self, permit: Permit) -> None:
        """Give the permit back; doing so again changes nothing."""
        self._held.discard(permit.entry)
        if self._queue:
            with self._lock:
                self._admit()

    def close(self) -> None:
        """Turn everyone away, those who wait included."""
        self._closed = True
        with self._lock:
            for place in self._queue:
                _ring(place)

    def _admit(self) -> None:
        while self._queue and len(self._held) < self._limit:
            place = self._queue[0]
            self._held.add(place.entry)
            if self._queue and self._queue[0] is place:
                self._queue.popleft()
            _ring(place)

    def _forget(self, place: _Place) -> None:
        with self._lock:
            if place in self._queue:
                self._queue.remove(place)
            self._held.discard(place.entry)
            self._admit()


def _ring(place: _Place) -> None:
    if place.bell.locked():
        place.bell.release()
