"""Who may join a private channel, and who may send to it (wire contract §4.10).

PostgreSQL decides: a row for the channel is put into `realtime.messages` by the instance, and
whether the caller's policies show it is whether the caller may join; whether they let the caller
put one in there too is whether the caller may send. Neither row stays.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import tuple_row

from aerodb.local.credentials import Identity
from aerodb.local.realtime.callers import Callers
from aerodb.local.realtime.errors import FrameError, invalid

_PROBE = b"select aerodb_internal.realtime_probe(%s)"
_SEEN = b"select exists (select from realtime.messages m where m.id = %s)"
_SEND = (
    b"insert into realtime.messages (topic, extension, event, payload, private) "
    b"values (%s, %s, %s, %s, true)"
)


class Gate:
    """Asks the policies of `realtime.messages`."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers

    async def check_join(self, identity: Identity, channel: str) -> None:
        """Raise `unauthorized` unless the caller may join the private channel."""
        async with self._callers.transaction(
            identity, "realtime", channel, before=lambda c: _one(c, _PROBE, [channel])
        ) as (connection, probe):
            try:
                seen = await _one(connection, _SEEN, [probe])
            except psycopg.errors.InsufficientPrivilege:
                seen = False
        if not seen:
            raise FrameError("unauthorized", "No policy lets you join this private channel.")

    async def check_send(
        self, identity: Identity, channel: str, extension: str, event: str, payload: str
    ) -> None:
        """Raise `unauthorized` unless the caller may send this to the private channel."""
        try:
            async with self._callers.transaction(identity, "realtime", channel, writes=True) as (
                connection,
                _,
            ):
                await connection.execute(_SEND, [channel, extension, event, payload])
        except psycopg.errors.InsufficientPrivilege:
            message = "No policy lets you send to this private channel."
            raise FrameError("unauthorized", message) from None
        except psycopg.DataError:
            # JSON for which jsonb has no room, such as \\u0000.
            raise invalid("PostgreSQL cannot take this payload.") from None


async def _one(connection: AsyncConnection[Any], query: bytes, parameters: list[Any]) -> Any:
    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(query, parameters)
        row = await cursor.fetchone()
        return None if row is None else row[0]
