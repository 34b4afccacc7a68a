"""Doing things where they do not hold up the event loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from aerodb._io.on_asyncio.primitives import Event, Worker

T = TypeVar("T")

__all__ = ["apart", "settle", "soon", "whole"]


async def apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function that may block, on a thread of its own; await it if it can be awaited."""
    import asyncio
    import inspect

    if inspect.iscoroutinefunction(function):
        return await function(*arguments)
    result = await asyncio.to_thread(function, *arguments)
    return await result if inspect.isawaitable(result) else result


async def whole(function: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Await it; who is cancelled meanwhile leaves, and it goes on to its end."""
    import asyncio

    return await asyncio.shield(asyncio.get_running_loop().create_task(function()))


def settle(event: Event, seconds: float) -> None:
    """Nothing: what a task of the same loop is doing cannot be waited for in a plain call."""


def soon(target: Callable[[], Awaitable[Any]], name: str) -> None:
    """Run `target` as soon as the running loop gets to it; without one, leave it to others."""
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    Worker(target, name)
