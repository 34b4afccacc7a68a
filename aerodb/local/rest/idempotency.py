"""`Idempotency-Key`: a write has its effect once, however often it is sent (wire contract §1.8).

The answer is kept in the transaction of the effect: both are there or neither is. Only answers of
committed transactions are kept, so what was refused may be tried again under its key. Over one key
requests do not queue: one runs, the others are told so at once.

The records belong to the role that connects; no role that a request may take can read them
(`sql/060_idempotency.sql`). Hence the order: claim the key, take the role, run the statement, lay
the role down, keep the answer, take the role again for what fires at the commit, commit.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from psycopg.pq.abc import PGresult

from aerodb.local.rest.ast import Request
from aerodb.local.rest.errors import RestError
from aerodb.local.rest.exchange import Command, Connection, StatementFailed, exchange
from aerodb.local.rest.pg_errors import error_of, rest_error
from aerodb.local.rest.plan.statement import Statement
from aerodb.local.rest.request import HttpRequest
from aerodb.local.rest.responses import Response, statement_response
from aerodb.local.rest.surroundings import (
    CHECK_CONSTRAINTS,
    COMMIT,
    ROLLBACK,
    Caller,
    Context,
    begin,
)
from aerodb.local.rest.transaction import (
    discards,
    leave,
    outcome_of,
    refusal_of,
    statement_commands,
)

FEATURE = "idempotency-key"
MAX_KEPT_BYTES = 1024 * 1024
_MAX_KEY_CHARACTERS = 255
_METHODS = frozenset({"POST", "PATCH", "PUT", "DELETE"})
_KEPT_HEADERS = frozenset(
    {
        "content-length",
        "content-profile",
        "content-range",
        "content-type",
        "location",
        "preference-applied",
        "vary",
    }
)


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """The key of one request: whose it is and for what (`scope`), and of which request exactly."""

    scope: bytes
    fingerprint: bytes

    @property
    def lock(self) -> int:
        """The advisory lock of the scope. Two scopes may share one: then one is told to wait."""
        return int.from_bytes(self.scope[:8], "big", signed=True)


def idempotency_key(http: HttpRequest, caller: Caller) -> IdempotencyKey | None:
    """The key of a request, None if it has none or writes nothing; 400 if it is no key.

    Callers without a `sub` (all of `anon`) share the keys of their role: two of them get the same
    answer if they send the same request under the same key. Keys are to be random.
    """
    if http.method not in _METHODS:
        return None
    values = _values(http, "idempotency-key")
    if not values:
        return None
    key = values[0]
    if len(values) > 1 or not 1 <= len(key) <= _MAX_KEY_CHARACTERS or not _visible(key):
        message = "Idempotency-Key must be one value of 1 to 255 visible ASCII characters"
        raise _refused(400, "invalid_idempotency_key", message)
    scope = (caller.role, (caller.claims or {}).get("sub"), http.method, http.path, key)
    query = http.query_string.decode("latin-1")
    named = [_values(http, name) for name in ("content-profile", "prefer", "accept")]
    request = (http.method, http.path, query, *named)
    return IdempotencyKey(_digest(scope), _digest(request, http.body))


def _values(http: HttpRequest, name: str) -> list[str]:
    return [value for key, value in http.headers if key == name]


def _visible(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def _digest(parts: tuple[Any, ...], rest: bytes = b"") -> bytes:
    """A hash that no other parts have: JSON keeps them apart, and holds no zero byte."""
    return sha256(json.dumps(parts).encode() + b"\0" + rest).digest()


async def run_once(
    connection: Connection,
    request: Request,
    statement: Statement,
    caller: Caller,
    context: Context,
    key: IdempotencyKey,
) -> Response:
    """Run the statement unless that was done already; the answer, or the `RestError` of it.

    Safe to call again when the connection was lost, even during the commit.
    """
    isolation = statement.isolation or context.roles.isolation.get(caller.role)
    try:
        claimed = await _run(connection, [begin(isolation), _claim(key)], caller)
        earlier = _earlier(claimed[1])
        if earlier is not None:
            return earlier
        response = await _effect(connection, request, statement, caller, context)
        if discards(context.settings, request.preferences):
            await _run(connection, [CHECK_CONSTRAINTS, ROLLBACK], caller)
        else:
            await _run(connection, [*_keep(key, response, caller), COMMIT], caller, wash=True)
        return response
    finally:
        await leave(connection)


async def _effect(
    connection: Connection, request: Request, statement: Statement, caller: Caller, context: Context
) -> Response:
    """The statement under the caller's role. What only reads does so in a read-only
    subtransaction, since the transaction has a record to write."""
    commands = statement_commands(request, statement, caller, context)
    if not statement.read_only:
        results = await _run(connection, commands, caller)
    else:
        results = await _run(connection, [_SAVEPOINT, *commands, _RELEASE], caller)
        results = results[1:-1]
    outcome = outcome_of(results, request, statement, context)
    refusal = refusal_of(outcome, statement)
    if refusal is not None:
        raise refusal
    return statement_response(request, statement, outcome)


async def _run(
    connection: Connection, commands: list[Command], caller: Caller, *, wash: bool = False
) -> list[PGresult]:
    """Nothing is prepared: a prepared statement that has become stale fails, and what has failed
    in a transaction cannot be run again in it."""
    try:
        return await exchange(connection, commands, prepare=False, wash=wash)
    except StatementFailed as failure:
        error = error_of(failure.result)
    raise rest_error(error, authenticated=caller.authenticated)


# --- the record ----------------------------------------------------------------------------------

_SAVEPOINT = Command("SAVEPOINT aerodb_read_only")
_RELEASE = Command("RELEASE SAVEPOINT aerodb_read_only")
_SET_ROLE = "select pg_catalog.set_config('role', $1, true)"
_CLAIM = (
    "select state, status, headers, body from aerodb_internal.claim_idempotency_key($1, $2, $3)"
)
_KEEP = "select aerodb_internal.keep_idempotent_answer($1, $2, $3, $4, $5)"


def _claim(key: IdempotencyKey) -> Command:
    return Command(_CLAIM, (key.scope, key.fingerprint, key.lock))


def _keep(key: IdempotencyKey, response: Response, caller: Caller) -> list[Command]:
    headers = [pair for pair in response.headers if pair[0].lower() in _KEPT_HEADERS]
    body = response.body if len(response.body) <= MAX_KEPT_BYTES else None
    record = (key.scope, key.fingerprint, response.status, json.dumps(headers), body)
    return [
        Command(_SET_ROLE, ("none",)),
        Command(_KEEP, record),
        Command(_SET_ROLE, (caller.role,)),
    ]


def _earlier(claimed: PGresult) -> Response | None:
    """What became of an earlier request under the key; None if there was none."""
    state, status, headers, body = (claimed.get_value(0, column) or b"" for column in range(4))
    if state == b"free":
        return None
    if state != b"done":
        raise _REFUSALS[state]()
    pairs = [(str(name), str(value)) for name, value in json.loads(headers)]
    replayed = (*pairs, ("Idempotency-Replayed", "true"))
    return Response(int(status), replayed, bytes.fromhex(body.decode()))


def _in_progress() -> RestError:
    message = "A request with this Idempotency-Key is still running"
    return _refused(409, "idempotency_key_in_progress", message, ("Retry-After", "1"))


def _reused() -> RestError:
    message = "The Idempotency-Key was used for another request"
    return _refused(422, "idempotency_key_reused", message)


def _unavailable() -> RestError:
    message = "The request was carried out, but its answer was too large to be kept"
    return _refused(409, "idempotency_response_unavailable", message)


_REFUSALS = {b"running": _in_progress, b"other request": _reused, b"too large": _unavailable}


def _refused(status: int, code: str, message: str, *headers: tuple[str, str]) -> RestError:
    return RestError(status, code, message, headers=(("X-Aerodb-Error", code), *headers))
