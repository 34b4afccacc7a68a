# GENERATED from aerodb_async_src/database/batches.py by scripts/generate.py [af11d1559ede]: do not edit
"""Many rows in few requests: batches, and several of them at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aerodb._io.on_threads import Executable, Worker
from aerodb.types import AeroDBResponse


def waves(rows: Any, batch_size: int, concurrency: int) -> Iterator[list[list[Any]]]:
    """Rows of any source in batches, as many together as are sent at once."""
    wave: list[list[Any]] = []
    batch: list[Any] = []
    if hasattr(rows, "__aiter__"):
        for row in rows:
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

    def run(self) -> None:
        self.response = self._query.execute()


def execute_together(
    queries: list[Any],
) -> list[AeroDBResponse[Any]]:
    """Execute all of them at the same time; one alone needs no help."""
    if len(queries) == 1:
        return [queries[0].execute()]
    sendings = [_Sending(query) for query in queries]
    workers = [Worker(sending.run, "aerodb-insert-many") for sending in sendings]
    for worker in workers:
        worker.join(None)
    responses = [sending.response for sending in sendings if sending.response is not None]
    if len(responses) < len(sendings):
        raise RuntimeError("a batch ended without a response; the log says why")
    return responses
