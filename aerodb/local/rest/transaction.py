"""One request, one transaction: role and settings first, then the statement (wire contract §1.4).

A read, or a write that nothing can take back, is one network round trip: the statements between two
synchronisation points are a transaction of their own. A write whose result decides about it
(`object+json`, PUT, `max-affected`) needs an explicit transaction and a second round trip. What
other SQL has left on the session is washed away after the commit.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGresult

from aerodb.local.rest.ast import Preferences, Request
from aerodb.local.rest.errors import RestError
from aerodb.local.rest.exchange import (
    Command,
    Connection,
    StatementFailed,
    exchange,
    forget_prepared,
    numbered,
)
from aerodb.local.rest.pg_errors import PgError, error_of, rest_error
from aerodb.local.rest.plan.statement import Statement
from aerodb.local.rest.surroundings import (
    CHECK_CONSTRAINTS,
    COMMIT,
    ROLLBACK,
    Caller,
    Context,
    begin,
    pre_request,
    settings_command,
)
from aerodb.local.settings import RestSettings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The one row of a statement, see `Statement`."""

    body: bytes = b""
    total: int | None = None
    page: int = 0
    location: tuple[str, ...] = ()
    response_headers: bytes | None = None
    response_status: bytes | None = None
    inserted: int | None = None


async def run_statement(
    connection: Connection,
    request: Request,
    statement: Statement,
    caller: Caller,
    context: Context,
) -> Outcome:
    """Run the statement and finish the transaction; the outcome, or the `RestError` of it."""
    discarding = discards(context.settings, request.preferences)
    decides = not statement.read_only and not discarding and _decides(statement)
    isolation = statement.isolation or context.roles.isolation.get(caller.role)
    explicit = discarding or decides or isolation is not None
    before = [begin(isolation)] if explicit else []
    commands = statement_commands(request, statement, caller, context)
    after: tuple[Command, ...] = ()
    if discarding:
        after = (CHECK_CONSTRAINTS, ROLLBACK)
    elif explicit and not decides:
        after = (COMMIT,)
    ends = not (discarding or decides)
    results = await _run(connection, [*before, *commands, *after], caller, context, wash=ends)
    own = results[len(before) : len(before) + len(commands)]
    outcome = outcome_of(own, request, statement, context)
    refusal = refusal_of(outcome, statement)
    if decides:
        await _run(connection, [ROLLBACK if refusal else COMMIT], caller, context, wash=True)
    if refusal is not None:
        raise refusal
    return outcome


def statement_commands(
    request: Request, statement: Statement, caller: Caller, context: Context
) -> list[Command]:
    """Settings and role, then the statement and the estimate of its count, if it has one."""
    commands = [
        settings_command(
            request, caller, context, statement.settings, read_only=statement.read_only
        )
    ]
    if context.settings.db_pre_request is not None:
        commands.append(pre_request(context.settings.db_pre_request))
    commands.append(Command(numbered(statement.sql), statement.params))
    if statement.explain_sql is not None:
        commands.append(Command(numbered(statement.explain_sql), statement.explain_params))
    return commands


def outcome_of(
    results: Sequence[PGresult], request: Request, statement: Statement, context: Context
) -> Outcome:
    """What the results of `statement_commands` say."""
    if statement.explain_sql is None:
        return _outcome(results[-1], statement)
    outcome = _outcome(results[-2], statement)
    return _with_estimate(outcome, results[-1], request, context.settings)


async def run_in_transaction(
    connection: Connection,
    request: Request,
    caller: Caller,
    context: Context,
    work: Callable[[Connection], Awaitable[T]],
) -> T:
    """Run `work` in a read-only transaction under the caller's role, then take it back."""
    commands = [begin(None), settings_command(request, caller, context, read_only=True)]
    if context.settings.db_pre_request is not None:
        commands.append(pre_request(context.settings.db_pre_request))
    await _run(connection, commands, caller, context)
    try:
        return await work(connection)
    except psycopg.Error as error:
        if error.sqlstate is None:
            raise
        diagnostic = error.diag
        told = PgError(error.sqlstate, diagnostic.message_primary or "", diagnostic.message_detail)
        raise rest_error(told, authenticated=caller.authenticated) from None
    finally:
        await leave(connection)


# A statement prepared earlier may be gone (DEALLOCATE ALL) or have another row type by now.
_STALE = frozenset({"26000", "0A000"})


async def _run(
    connection: Connection,
    commands: list[Command],
    caller: Caller,
    context: Context,
    *,
    wash: bool = False,
) -> list[PGresult]:
    """`wash` when the commands commit; a transaction that is taken back leaves nothing behind."""
    prepare, epoch = context.settings.db_prepared_statements, context.epoch
    try:
        return await exchange(connection, commands, prepare=prepare, epoch=epoch, wash=wash)
    except StatementFailed as failure:
        error = error_of(failure.result)
    await leave(connection)
    if error.code in _STALE and _is_stale(error.message) and len(commands) > 1:
        forget_prepared(connection)
        try:
            return await exchange(connection, commands, prepare=False, wash=wash)
        except StatementFailed as failure:
            error = error_of(failure.result)
        await leave(connection)
    raise rest_error(error, authenticated=caller.authenticated)


def _is_stale(message: str) -> bool:
    return message.startswith(("prepared statement", "cached plan"))


_OPEN = frozenset({TransactionStatus.INTRANS, TransactionStatus.INERROR})


async def leave(connection: Connection) -> None:
    """End an explicit transaction that is still open."""
    if connection.pgconn.transaction_status in _OPEN:
        await exchange(connection, [ROLLBACK], prepare=False)


def discards(settings: RestSettings, preferences: Preferences) -> bool:
    """Whether the transaction is taken back whatever comes out of it."""
    if preferences.transaction is not None:
        return preferences.transaction == "rollback"
    return settings.db_tx_end.startswith("rollback")


def _decides(statement: Statement) -> bool:
    """Whether the number of rows decides between commit and rollback."""
    if statement.is_explain:
        return False
    return statement.singular or statement.kind == "put" or statement.max_affected is not None


def refusal_of(outcome: Outcome, statement: Statement) -> RestError | None:
    """Why the transaction must not be committed after all."""
    if statement.is_explain:
        return None
    rows = outcome.page
    if statement.kind == "put" and rows != 1:
        return RestError(
            400, "PGRST115", "Payload values do not match URL in primary key column(s)"
        )
    if statement.singular and rows != 1:
        message = "Cannot coerce the result to a single JSON object"
        return RestError(406, "PGRST116", message, f"The result contains {rows} rows")
    if statement.max_affected is not None and rows > statement.max_affected:
        message = "Query result exceeds max-affected preference constraint"
        return RestError(400, "PGRST124", message, f"The query affects {rows} rows")
    return None


# --- results -------------------------------------------------------------------------------------

_BYTEA = 17


def _outcome(result: PGresult, statement: Statement) -> Outcome:
    if statement.is_explain:
        rows = (result.get_value(row, 0) or b"" for row in range(result.ntuples))
        return Outcome(b"".join(row + b"\n" for row in rows))
    if result.ntuples == 0:
        return Outcome(total=0 if statement.kind == "call" else None)
    body = result.get_value(0, 3) or b""
    if body and result.ftype(3) == _BYTEA:
        body = bytes.fromhex(body[2:].decode())
    return Outcome(
        body=body,
        total=_integer(result.get_value(0, 0)),
        page=_integer(result.get_value(0, 1)) or 0,
        location=_texts(result.get_value(0, 2)),
        response_headers=result.get_value(0, 4) or None,
        response_status=result.get_value(0, 5) or None,
        inserted=_integer(result.get_value(0, 6)),
    )


def _integer(value: bytes | None) -> int | None:
    return int(value) if value else None


def _texts(value: bytes | None) -> tuple[str, ...]:
    """The elements of a one-dimensional text[] in its text form."""
    if value is None or value == b"{}":
        return ()
    texts: list[str] = []
    current: list[str] = []
    quoted = escaped = False
    for character in value.decode()[1:-1]:
        if escaped:
            current.append(character)
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            texts.append("".join(current))
            current.clear()
        else:
            current.append(character)
    return (*texts, "".join(current))


def _with_estimate(
    outcome: Outcome, explained: PGresult, request: Request, settings: RestSettings
) -> Outcome:
    """The total of count=planned, and of count=estimated where counting was cut short."""
    plan = json.loads(explained.get_value(0, 0) or b"[]")
    estimate = int(plan[0]["Plan"]["Plan Rows"])
    total = outcome.total
    if request.preferences.count == "planned":
        total = estimate
    elif total is not None and (settings.db_max_rows is None or total > settings.db_max_rows):
        total = max(total, estimate)
    return Outcome(
        outcome.body,
        total,
        outcome.page,
        outcome.location,
        outcome.response_headers,
        outcome.response_status,
        outcome.inserted,
    )
