"""The catalog in memory: loaded at the start, again when `NOTIFY` or `reload` says so.

One task owns one connection of its own. It listens first and loads then, so that no change falls
between; when the connection is lost it keeps serving the last catalog, connects again and loads.
Every failure is retried with growing pauses; until the first load there is no catalog (wire
contract §3.7: 503 PGRST002).
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import AsyncConnection, sql
from psycopg_pool import AsyncConnectionPool

from aerodb.local.rest.catalog import Catalog
from aerodb.local.rest.catalog_load import load_catalog
from aerodb.local.rest.plan import Planner
from aerodb.local.rest.roles import Roles, load_roles
from aerodb.local.settings import RestSettings

log = logging.getLogger("aerodb.local.rest")

OWN_CHANNEL = "pgrst"
"""That the instance's own database notifies, whatever `db-channel` says."""
_RELOADS = frozenset({"", "reload schema", "reload config"})
_LONGEST_PAUSE = 32.0


@dataclass(frozen=True, slots=True)
class Loaded:
    """One state of the database's description; `epoch` counts them."""

    catalog: Catalog
    roles: Roles
    planner: Planner
    epoch: int


class SchemaCache:
    """Holds the current `Loaded` and keeps it current."""

    def __init__(self, pool: AsyncConnectionPool[Any], settings: RestSettings) -> None:
        self._pool = pool
        self._settings = settings
        self._task: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        self._loading = asyncio.Lock()
        self.current: Loaded | None = None
        self.retry_after = 1
        self.connected = False
        """Whether the database can be reached, as far as the own connection knows."""

    async def start(self) -> None:
        """Start the task; returns when the first load has succeeded or failed."""
        if self._task is None:
            self._task = asyncio.create_task(self._keep(), name="aerodb-schema-cache")
            await self._tried.wait()

    async def stop(self) -> None:
        """Stop listening and close the connection."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def reload(self) -> None:
        """Load on a connection made for it; a failure is logged and leaves what is there."""
        try:
            async with await self._connect() as connection:
                await self._load(connection)
        except (psycopg.Error, OSError) as error:
            log.warning("schema cache: %s while reloading", type(error).__name__)

    async def _keep(self) -> None:
        pause = 1.0
        while True:
            epoch = self.current.epoch if self.current else 0
            try:
                await self._follow()
            except (psycopg.Error, OSError) as error:
                log.warning("schema cache: %s; trying again in %.0f s", type(error).__name__, pause)
            finally:
                self.connected = False
                self._tried.set()
            if self.current is not None and self.current.epoch != epoch:
                pause = 1.0  # it had worked
            self.retry_after = int(pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _follow(self) -> None:
        """Load, then reload on each notification, until the connection breaks."""
        async with await self._connect() as connection:
            for channel in self._channels():
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
            self.connected = True
            await self._load(connection)
            self._tried.set()
            while True:
                # No statement can run while notifications are waited for; those that arrive
                # during a load are kept for the next round.
                batch = [one.payload async for one in connection.notifies(stop_after=1)]
                if not _RELOADS.isdisjoint(batch):
                    await self._load(connection)

    def _channels(self) -> set[str]:
        enabled = self._settings.db_channel_enabled
        return {OWN_CHANNEL, self._settings.db_channel} if enabled else set()

    async def _connect(self) -> AsyncConnection[Any]:
        conninfo = await _resolved(self._pool.conninfo)
        kwargs: dict[str, Any] = dict(await _resolved(self._pool.kwargs) or {})
        kwargs["autocommit"] = True
        return await AsyncConnection.connect(conninfo or "", **kwargs)

    async def _load(self, connection: AsyncConnection[Any]) -> None:
        async with self._loading:  # so that the later one of two loads is the one that stays
            catalog = await load_catalog(connection, self._settings)
            roles = await load_roles(connection)
            epoch = 1 if self.current is None else self.current.epoch + 1
            self.current = Loaded(catalog, roles, Planner(catalog, self._settings), epoch)


async def _resolved(parameter: Any) -> Any:
    """A pool's connection parameter, which may be a function, also an asynchronous one."""
    value = parameter() if callable(parameter) else parameter
    return await value if inspect.isawaitable(value) else value
