# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""Many rows in few requests: batches, and several of them at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from aerodb._io.on_asyncio import Executable, Worker
from aerodb.types import AeroDBResponse


async def waves(rows: Any, batch_size: int, concurrency: int) -> AsyncIterator[list[list[Any]]]:
    """Rows of any source in batches, as many together as are sent at once."""
    wave: list[list[Any]] = []
    batch: list[Any] = []
    if hasattr(rows, "__aiter__"):
        async for row in rows:
            batch.append(row)
            if len(batch) == batch_size:
                wave.append(batch)
                batch = []
                if len(wave) == concurrency:
                    yield wave
                    wave = []
    else:
        for row in rows:
            batch.append(row)
            if len(batch) == batch_size:
                wave.append(batch)
                batch = []
                if len(wave) == concurrency:
                    yield wave
                    wave = []
    if batch:
        wave.append(batch)
    if wave:
        yield wave


class _Sending:
    """One query on its way, and its response."""

    __slots__ = ("_query", "response")

    def __init__(self, query: Executable[AeroDBResponse[Any]]) -> None:
        self._query = query
        self.response: AeroDBResponse[Any] | None = None

    async def run(self) -> None:
        self.response = await self._query.execute()


async def execute_together(
    queries: list[Any],
) -> list[AeroDBResponse[Any]]:
    """Execute all of them at the same time; one alone needs no help."""
    if len(queries) == 1:
        return [await queries[0].execute()]
    sendings = [_Sending(query) for query in queries]
    workers = [Worker(sending.run, "aerodb-insert-many") for sending in sendings]
    for worker in workers:
        await worker.join(None)
    responses = [sending.response for sending in sendings if sending.response is not None]
    if len(responses) < len(sendings):
        raise RuntimeError("a batch ended without a response; the log says why")
    return responses
