"""Calls that come from outside of a loop: from another loop, another thread, or none at all."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


def is_here(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether the caller runs on this loop."""
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


async def run_there(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, None]) -> bool:
    """Run on another loop and wait for it here; False if that loop runs no more."""
    if not loop.is_running():
        coroutine.close()
        return False
    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, loop))
    return True
