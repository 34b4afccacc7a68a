"""Things that end together with their event loop, although nobody has closed them.

A loop shuts its async generators down before it ends (as `asyncio.run` does): so a generator that
is suspended at its only `yield` learns of it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Protocol


class Abortable(Protocol):
    """What can be ended at once."""

    def abort(self) -> None:
        """End it."""


async def ends_with_the_loop(owner: Abortable) -> AsyncGenerator[None, None]:
    """Suspended until the loop ends, and `owner` with it."""
    try:
        yield
    finally:
        owner.abort()


def start(generator: AsyncGenerator[None, None]) -> None:
    """Run to the first yield, which does not wait, so that the loop knows of the generator."""
    with suppress(StopIteration):
        generator.__anext__().send(None)


def finish(generator: AsyncGenerator[None, None]) -> None:
    """End a generator early whose end does not wait."""
    with suppress(StopIteration):
        generator.aclose().send(None)
