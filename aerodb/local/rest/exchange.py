"""Several statements in one network round trip, on a psycopg connection.

psycopg's own pipeline mode costs more than the statements of a small request. This speaks to the
same connection by psycopg's `pq` interface: everything is sent with one synchronisation point
behind it, then all results are read. Without an explicit BEGIN the statements up to that point are
one transaction, which PostgreSQL commits there, or rolls back if any of them failed.
"""

from __future__ import annotations

import re
import select
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

from psycopg import AsyncConnection, OperationalError
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn, PGresult
from psycopg.waiting import Ready, Wait

from aerodb.local.rest.errors import RestError

Connection = AsyncConnection[Any]
Parameter = bytes | None

_BYTEA = 17
_TEXT_ARRAY = 1009
_FAILED = frozenset({ExecStatus.FATAL_ERROR, ExecStatus.NONFATAL_ERROR, ExecStatus.BAD_RESPONSE})


class Preparation(Enum):
    """The first statement of a kind is not worth a name, unless more are sure to come."""

    NEVER = "never"
    ON_REPEAT = "on repeat"
    AT_ONCE = "at once"


@dataclass(frozen=True, slots=True)
class Command:
    """One statement with `$1` placeholders, and when to prepare it on a connection."""

    sql: str
    parameters: tuple[object, ...] = ()
    prepare: Preparation = Preparation.ON_REPEAT


class StatementFailed(Exception):
    """PostgreSQL refused a statement; `result` has the fields of the error."""

    def __init__(self, result: PGresult) -> None:
        super().__init__(str(result.error_message))
        self.result = result


class ConnectionLost(Exception):
    """The server went away during an exchange."""


def has_word(connection: Connection) -> bool:
    """Whether the server has said something unasked: nearly always, that it ends the connection."""
    try:
        ready = select.poll()
        ready.register(connection.pgconn.socket, select.POLLIN)
        return bool(ready.poll(0))
    except OperationalError:  # there is no socket any more
        return True


# --- placeholders and parameters -----------------------------------------------------------------

_PERCENT = re.compile("%(%|s)")


_LONGEST_KEPT = 20_000
"""Longer statements are neither remembered nor prepared: a client could fill the memory with them,
the server's more than this process's."""


def numbered(sql: str) -> str:
    """`%s` to `$1`, `$2`, ..., and `%%` to `%`."""
    return _numbered(sql) if len(sql) <= _LONGEST_KEPT else _numbered.__wrapped__(sql)


@lru_cache(maxsize=1024)
def _numbered(sql: str) -> str:
    count = 0

    def replace(match: re.Match[str]) -> str:
        nonlocal count
        if match[1] == "%":
            return "%"
        count += 1
        return f"${count}"

    return _PERCENT.sub(replace, sql)


def _dump(value: object) -> tuple[Parameter, int, int]:
    """(bytes, type, format). Text has no type, so that PostgreSQL infers it."""
    if isinstance(value, str):
        return _text(value), 0, 0
    if value is None:
        return None, 0, 0
    if isinstance(value, bytes):
        return value, _BYTEA, 1
    if isinstance(value, (list, tuple)):
        return _text(_array(value)), _TEXT_ARRAY, 0  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, bool):
        return (b"t" if value else b"f"), 0, 0
    if isinstance(value, int):
        return str(value).encode(), 0, 0
    raise TypeError(f"no SQL parameter: {type(value).__name__}")


def _text(value: str) -> bytes:
    if "\0" in value:
        raise RestError(400, "22021", 'invalid byte sequence for encoding "UTF8": 0x00')
    return value.encode("utf-8", "replace")


def _array(values: Iterable[object]) -> str:
    return "{" + ",".join(_element(value) for value in values) + "}"


def _element(value: object) -> str:
    if value is None:
        return "NULL"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


# --- prepared statements -------------------------------------------------------------------------

_KEPT = 200

StatementKey = tuple[str, tuple[int, ...]]


class _Prepared:
    """What one connection has prepared, the least recently used first."""

    __slots__ = ("counter", "epoch", "names", "seen")

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.counter = 0
        self.names: dict[StatementKey, bytes] = {}
        self.seen: dict[StatementKey, None] = {}

    def name_of(self, key: StatementKey) -> bytes | None:
        name = self.names.pop(key, None)
        if name is not None:
            self.names[key] = name
        return name

    def worth_preparing(self, key: StatementKey) -> bool:
        """Whether the statement was seen before on this connection."""
        if key in self.seen:
            del self.seen[key]
            return True
        self.seen[key] = None
        if len(self.seen) > _KEPT:
            del self.seen[next(iter(self.seen))]
        return False

    def add(self, key: StatementKey) -> bytes:
        self.counter += 1
        name = f"aerodb_rest_{self.counter}".encode()
        self.names[key] = name
        return name

    def evict(self, epoch: int) -> list[bytes]:
        """Names to deallocate: all of an older epoch, else those over the bound."""
        if epoch != self.epoch:
            self.epoch = epoch
            gone = list(self.names.values())
            self.names.clear()
            return gone
        excess = len(self.names) - _KEPT
        return [self.names.pop(key) for key in list(self.names)[: max(excess, 0)]]


_prepared: WeakKeyDictionary[Connection, _Prepared] = WeakKeyDictionary()


def forget_prepared(connection: Connection) -> None:
    """Prepare anew on this connection, under names that were not used before."""
    prepared = _prepared.get(connection)
    if prepared is not None:
        prepared.names.clear()


# --- the exchange --------------------------------------------------------------------------------

_WASH = (b"RESET ROLE", b"RESET ALL", b"DISCARD TEMP")
"""What SQL that ran for one caller may have left on the session for the next: settings that were
not local to the transaction, the role among them, and temporary tables (reliability C8)."""


async def exchange(
    connection: Connection,
    commands: Sequence[Command],
    *,
    prepare: bool = True,
    epoch: int = 0,
    wash: bool = False,
) -> list[PGresult]:
    """Run all commands in one round trip; the result of each, or `StatementFailed`.

    `epoch` names a state of the schema: statements prepared under another one are forgotten.
    `wash` is for commands that end their transaction: in one of its own, the session then becomes
    again what it was when the connection was made.
    """
    ready = [_ready(command) for command in commands]
    pgconn = connection.pgconn
    prepared = _prepared.get(connection)
    if prepared is None:
        prepared = _prepared[connection] = _Prepared(epoch)
    pgconn.enter_pipeline_mode()
    try:
        sent = _send(pgconn, prepared if prepare else None, ready, epoch)
        pgconn.pipeline_sync()
        if wash:
            for statement in _WASH:
                pgconn.send_query_params(statement, None)
            pgconn.pipeline_sync()
        results = await connection.wait(_results(pgconn))
        washed = await connection.wait(_results(pgconn)) if wash else []
        pgconn.exit_pipeline_mode()
    except BaseException:
        # Interrupted, perhaps with a request to cancel on its way that would hit the statement
        # after this one: the connection is not used again.
        await connection.close()
        raise
    done = _checked(results, sent, prepared)
    if any(result.status in _FAILED for result in washed):
        await connection.close()  # the pool makes a new one
    return done


_Ready = tuple[StatementKey, list[Parameter], tuple[int, ...], Preparation]


def _ready(command: Command) -> _Ready:
    values: list[Parameter] = []
    types: list[int] = []
    formats: list[int] = []
    for parameter in command.parameters:
        value, oid, value_format = _dump(parameter)
        values.append(value)
        types.append(oid)
        formats.append(value_format)
    return (command.sql, tuple(types)), values, tuple(formats), command.prepare


def _send(
    pgconn: PGconn, prepared: _Prepared | None, ready: list[_Ready], epoch: int
) -> list[StatementKey | None]:
    """Queue everything; for each result to come, None if it is the answer to a command and the
    key of the statement if it is to a preparation (empty text: a deallocation)."""
    sent: list[StatementKey | None] = []
    if prepared is not None:
        for stale in prepared.evict(epoch):
            pgconn.send_query_params(b"DEALLOCATE " + stale, None)
            sent.append(("", ()))
    for key, values, formats, preparation in ready:
        sql, types = key
        name: bytes | None = None
        kept = preparation is not Preparation.NEVER and len(sql) <= _LONGEST_KEPT
        if prepared is not None and kept:
            name = prepared.name_of(key)
            at_once = preparation is Preparation.AT_ONCE
            if name is None and (at_once or prepared.worth_preparing(key)):
                name = prepared.add(key)
                pgconn.send_prepare(name, sql.encode(), types)
                sent.append(key)
        if name is not None:
            pgconn.send_query_prepared(name, values, formats)
        else:
            pgconn.send_query_params(sql.encode(), values, types, formats)
        sent.append(None)
    return sent


def _results(pgconn: PGconn) -> Generator[Wait, Ready | int, list[PGresult]]:
    """Everything up to the synchronisation point."""
    while pgconn.flush():
        if (yield Wait.RW) & Ready.R:
            pgconn.consume_input()
    results: list[PGresult] = []
    while True:
        while pgconn.is_busy():
            while not (yield Wait.R):
                continue
            pgconn.consume_input()
        result = pgconn.get_result()
        if result is None:
            if pgconn.status != 0:
                raise ConnectionLost
            continue
        if result.status == ExecStatus.PIPELINE_SYNC:
            return results
        results.append(result)


def _checked(
    results: list[PGresult], sent: list[StatementKey | None], prepared: _Prepared
) -> list[PGresult]:
    failed = next((result for result in results if result.status in _FAILED), None)
    if failed is None:
        return [result for result, key in zip(results, sent, strict=True) if key is None]
    # Statements behind the failed one were not prepared after all; one that is made anew is cheap.
    for result, key in zip(results, sent, strict=False):
        if key is not None and result.status != ExecStatus.COMMAND_OK:
            prepared.names.pop(key, None)
    raise StatementFailed(failed)
