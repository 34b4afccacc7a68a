"""Several jobs at once, at most so many."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

__all__ = ["together"]


async def together(jobs: Iterable[Callable[[], Awaitable[None]]], limit: int) -> None:
    """Run all jobs. What one raises is raised here, and ends the others; so does cancelling."""
    import asyncio

    waiting = iter(list(jobs))

    async def work() -> None:
        for job in waiting:
            await job()

    tasks = [asyncio.ensure_future(work()) for _ in range(limit)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
