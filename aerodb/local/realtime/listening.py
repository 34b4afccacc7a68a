"""The connection that hears what is notified in the database; it is made again when it is lost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
from psycopg import AsyncConnection, sql

log = logging.getLogger("aerodb.local.realtime")
LONGEST_PAUSE = 5.0
Connect = Callable[[], Awaitable[AsyncConnection[Any]]]
Listener = Callable[[str], None]


class Listening:
    """Hands over what is notified, by channel.

    `began` is called when a connection is there (again): what was notified before is lost.

    Attributes:
        lost: A connection has ended, and there is no other yet.
    """

    def __init__(self, connect: Connect, began: Callable[[], None]) -> None:
        self._connect = connect
        self._began = began
        self._listeners: dict[str, Listener] = {}
        self.lost = False

    def add(self, channel: str, listener: Listener) -> None:
        """Have what is notified on `channel` handed over; to be said before `run`."""
        self._listeners[channel] = listener

    async def run(self) -> None:
        """Listen until cancelled."""
        pause = 0.1
        while True:
            with contextlib.suppress(psycopg.Error, OSError):
                async with await self._connect() as connection:
                    for channel in self._listeners:
                        await connection.execute(
                            sql.SQL("listen {}").format(sql.Identifier(channel))
                        )
                    self.lost = False
                    self._began()
                    pause = 0.1
                    async for notice in connection.notifies():
                        self._listeners[notice.channel](notice.payload)
            self.lost = True
            log.warning("the connection that listens for changes is lost; connecting again")
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
