"""The connections to the database that the realtime part shares."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

Pool = AsyncConnectionPool[AsyncConnection[Any]]
_LOG_CONNECTIONS = 4
_CALLER_CONNECTIONS = 4
_WAIT_SECONDS = 10.0


class Pools:
    """`log` is for its tables, `callers` acts as callers. Those who are served live have
    connections of their own, `live`: nobody who is slow holds them."""

    def __init__(self, conninfo: str, login: str) -> None:
        self.log = _pool(conninfo, _LOG_CONNECTIONS, "aerodb-local-realtime", _by_index)
        self.callers = _pool(login, _CALLER_CONNECTIONS, "aerodb-local-callers")
        self.live = _pool(login, _CALLER_CONNECTIONS, "aerodb-local-live")

    async def open(self) -> None:
        """Let them connect when they are needed."""
        for pool in (self.log, self.callers, self.live):
            await pool.open()

    async def close(self, seconds: float) -> None:
        """Close them, each within `seconds`."""
        for pool in (self.callers, self.live, self.log):
            await pool.close(timeout=seconds)


async def _by_index(connection: AsyncConnection[Any]) -> None:
    """Read the log by its indexes.

    Its size changes faster than the statistics on it; a plan that sorts a long transaction for
    every page of it takes time that grows with the square of its length.
    """
    await connection.execute(
        "select set_config('enable_bitmapscan', 'off', false), "
        "set_config('enable_seqscan', 'off', false), set_config('jit', 'off', false)"
    )


def _pool(
    conninfo: str,
    most: int,
    name: str,
    configure: Callable[[AsyncConnection[Any]], Awaitable[None]] | None = None,
) -> Pool:
    return AsyncConnectionPool(
        conninfo,
        connection_class=AsyncConnection[Any],
        kwargs={"autocommit": True, "application_name": "aerodb.local realtime"},
        min_size=0,
        max_size=most,
        max_idle=60.0,
        timeout=_WAIT_SECONDS,
        open=False,
        name=name,
        configure=configure,
    )
