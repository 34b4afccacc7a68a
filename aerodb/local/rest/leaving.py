"""What is done for a client that leaves before its answer: a read that takes long is stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeVar

T = TypeVar("T")
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

WATCHED_AFTER = 1.0
"""Seconds. Who takes less is not watched, which costs a timer and no task."""


class Gone(Exception):
    """The client went away before its answer was there."""


async def unless_gone(work: Awaitable[T], receive: Receive) -> T:
    """Await `work`; cancel it, and raise `Gone`, if the client leaves meanwhile.

    The body of the request must have been read: what still comes is the end of the connection.
    """
    task = asyncio.current_task()
    assert task is not None
    watchers: list[asyncio.Task[None]] = []
    has_left = False

    async def watch() -> None:
        nonlocal has_left
        if (await receive())["type"] == "http.disconnect":
            has_left = True
            task.cancel()

    loop = asyncio.get_running_loop()
    timer = loop.call_later(WATCHED_AFTER, lambda: watchers.append(loop.create_task(watch())))
    try:
        return await work
    except asyncio.CancelledError:
        if has_left and task.uncancel() == 0:  # else the server ends as well
            raise Gone from None
        raise
    finally:
        timer.cancel()
        for watcher in watchers:
            watcher.cancel()
