"""Doing things where they do not hold up an event loop: there is none, so here and now."""

from __future__ import annotations

from collections.abc import Callable
from types import CoroutineType
from typing import Any, TypeVar

from aerodb._io.on_threads.primitives import Event

T = TypeVar("T")

__all__ = ["apart", "settle", "soon", "whole"]


def apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function that may block. A coroutine as result is a mistake, and said to be one."""
    result = function(*arguments)
    if isinstance(result, CoroutineType):
        result.close()  # or Python warns that it was never awaited
        raise TypeError(
            "the blocking AeroDBClient cannot run an async session store: use plain methods, "
            "or AsyncAeroDBClient"
        )
    return result


def whole(function: Callable[[], T]) -> T:
    """Call it: nobody can be cancelled here."""
    return function()


def settle(event: Event, seconds: float) -> None:
    """Wait for what another thread is doing."""
    event.wait(seconds)


def soon(target: Callable[[], Any], name: str) -> None:
    """Run `target` now."""
    target()
