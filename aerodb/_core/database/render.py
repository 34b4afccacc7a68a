"""From a query to what goes on the wire: method, path, headers, body (wire-contract §3)."""

from __future__ import annotations

import re
from typing import Any

from aerodb._core import json
from aerodb._core.database.advice import advice, means_all
from aerodb._core.database.chain import Chain
from aerodb._core.database.columns import name_text, select_list
from aerodb._core.database.decode import Decoder
from aerodb._core.database.encode import array_literal, scalar_text
from aerodb._core.database.percent import percent, segment
from aerodb._core.database.plan import Plan, Step
from aerodb._core.database.rows import is_row_type
from aerodb._core.database.verbs import note_use
from aerodb._core.http import Call, Prepared, Retry
from aerodb._core.retry import effective_retry
from aerodb._core.values import BadValue, describe, fields_of, kind_of
from aerodb.types import AeroDBError, AeroDBResponse, ResponseMeta

__all__ = ["MAX_URL_BYTES", "local_error", "plan_of", "prepare"]

HeaderTexts = tuple[tuple[str, str], ...]

MAX_URL_BYTES = 16 * 1024

_METHODS = {"select": "GET", "insert": "POST", "upsert": "POST", "update": "PATCH",
            "delete": "DELETE"}  # fmt: skip
_SAFE, _UNSENT = Retry.SAFE, Retry.UNSENT
_OBJECT = "application/vnd.pgrst.object+json"
_ARRAY = "application/vnd.pgrst.array+json"
_NOT_IN_TABLE = "/\\"
_NOT_IN_FUNCTION = "/\\?#%"
_RESERVED_ARGUMENTS = frozenset(
    {"select", "columns", "on_conflict", "order", "limit", "offset", "and", "or"}
)
# How a filter begins: an argument of a GET function that begins so would be read as one.
_LOOKS_LIKE_FILTER = re.compile(
    r"(?:not|eq|neq|gte?|lte?|i?like|i?match|in|is|isdistinct|cs|cd|ov|sl|sr|nxl|nxr|adj"
    r"|(?:pl|ph|w)?fts)[.(]"
).match
_SCHEMA = re.compile(r"[!-~](?:[ -~]*[!-~])?").fullmatch
_NUL_IN_JSON = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000").search


def local_error(problem: BadValue) -> AeroDBResponse[Any]:
    """The response to a query that cannot be sent."""
    return AeroDBResponse(None, AeroDBError(problem.message, code=problem.code, hint=problem.hint))


def plan_of(query: Chain) -> Plan:
    """Apply the steps of a query, first to last. Raises `BadValue`."""
    steps: list[Step] = []
    step: Step | None = query._steps
    while step is not None:
        steps.append(step)
        step = step[0]
    plan = Plan()
    try:
        for step in reversed(steps):
            step[1](plan, step)
    except BadValue:
        note_use(steps)
        raise
    if plan.negate:
        raise BadValue("not_ was called with no condition after it")
    return plan


def prepare(query: Chain, max_url_bytes: int = MAX_URL_BYTES) -> Prepared[Any]:
    """The call of a query, or its answer if it needs no request or cannot be sent."""
    try:
        plan = plan_of(query)
        return call_of(plan, query._source[1], max_url_bytes)
    except BadValue as problem:
        return local_error(problem)


def call_of(plan: Plan, schema: str, max_url_bytes: int = MAX_URL_BYTES) -> Prepared[Any]:
    """The call of a plan. Raises `BadValue`."""
    _check(plan)
    if plan.empty and plan.verb != "rpc" and plan.mode == "list" and plan.explain is None:
        meta = ResponseMeta(truncated=False, affected=None if plan.verb == "select" else 0)
        answer: AeroDBResponse[Any] = AeroDBResponse([], None, 0 if plan.count else None, meta)
        return Decoder(plan).expected(answer)
    method = _method(plan)
    reads = method == "GET" or method == "HEAD"
    body = None if reads else _body(plan)  # before the path: it may add columns=
    path = _path(plan, reads)
    if len(path) > max_url_bytes:
        raise _too_long(plan, len(path), max_url_bytes)
    call = Call(method, path, Decoder(plan, _row_type(plan)))  # Python is slow with names in here
    call.headers = _headers(plan, reads, schema)
    call.body = body
    call.retry = _SAFE if reads else _UNSENT
    if plan.retry != "default":
        call.retry = effective_retry(call.retry, plan.retry)
    if plan.keyed and not reads:
        call.keyed = "made" if plan.idempotency_key is None else "given"
    if plan.mode == "maybe_single":
        call.answers = (406,)
    call.timeout = plan.timeout
    call.complete_error = advice(plan)
    return call


def _check(plan: Plan) -> None:
    if plan.verb == "select":
        if plan.expect_rows is not None or plan.max_affected is not None:
            name = "max_affected" if plan.expect_rows is None else "expect_rows"
            raise BadValue(f"{name} was called on a read, expected a write")
    elif plan.verb != "rpc":
        _check_write(plan)
        if plan.mode != "list":
            plan.returning = "representation"


def _check_write(plan: Plan) -> None:
    """Refuse what the server would drop from a write: the user means it to hold (§3.6)."""
    if plan.verb in ("update", "delete") and not (plan.filtered or plan.all_rows):
        raise BadValue(
            f"{plan.verb} without a filter would change every row of {plan.name!r}",
            code="MISSING_FILTER",
            hint="Add a filter, or call all_rows() if every row is meant.",
        )
    if plan.head:
        raise BadValue(f"select(head=True) was called on {plan.verb}, expected a read")
    if plan.limit is not None or plan.offset is not None:
        raise BadValue(
            f"a limit was given to {plan.verb}, which the server would carry out on every "
            "matching row",
            hint="Choose the rows by filters; max_affected() undoes a write of too many.",
        )
    if plan.verb in ("insert", "upsert") and plan.filtered:
        raise BadValue(
            f"a filter was given to {plan.verb}, expected none: it writes the rows it is given",
            hint="Use update() to change rows that filters choose.",
        )


def _row_type(plan: Plan) -> Any:
    if plan.row_type is None and plan.returns is None:
        return None
    found = plan.returns if plan.verb == "rpc" and plan.mode == "value" else plan.row_type
    if found is not None and not is_row_type(found):
        raise BadValue(f"row type: {describe(found)} was given, expected a class or a function")
    return found


def _method(plan: Plan) -> str:
    if plan.verb == "rpc":
        return "HEAD" if plan.head else "GET" if plan.get else "POST"
    return "HEAD" if plan.head else _METHODS[plan.verb]


# --- path --------------------------------------------------------------------------------------


def _path(plan: Plan, reads: bool) -> str:
    try:
        begin = _BEGINS[plan.verb == "rpc", plan.name, plan.columns]
    except (KeyError, TypeError):  # new, or with an expression in it
        begin = _begin(plan)
    pairs = plan.pairs.copy()
    if plan.verb == "rpc" and reads:
        pairs = _arguments(plan.arguments) + pairs
    if plan.on_conflict is not None:
        pairs.append(f"on_conflict={percent(plan.on_conflict)}")
    if plan.orders is not None:
        for key, terms in plan.orders.items():
            pairs.append(f"{key}={terms}")
    if plan.ranges is not None:
        for key, count in plan.ranges.items():
            pairs.append(f"{key}={count}")
    if plan.offset is not None:
        pairs.append(f"offset={plan.offset}")
    if plan.limit is not None:
        pairs.append(f"limit={plan.limit}")
    if not pairs:
        return begin
    return f"{begin}{'?' if plan.columns is None else '&'}{'&'.join(pairs)}"


_BEGINS: dict[tuple[bool, str, tuple[str, ...] | None], str] = {}
_BEGINS_LIMIT = 1024


def _begin(plan: Plan) -> str:
    """The path, and the columns; remembered where they are texts."""
    if plan.verb == "rpc":
        path = f"/rest/v1/rpc/{segment(plan.name, 'function', _NOT_IN_FUNCTION)}"
    else:
        path = f"/rest/v1/{segment(plan.name, 'table', _NOT_IN_TABLE)}"
    columns = plan.columns
    if columns is not None:
        path += f"?select={percent(select_list(columns))}"
    if columns is None or all(type(column) is str for column in columns):
        if len(_BEGINS) >= _BEGINS_LIMIT:
            _BEGINS.clear()
        _BEGINS[plan.verb == "rpc", plan.name, columns] = path
    return path


def _arguments(arguments: Any) -> list[str]:
    """The arguments of a function that is called by GET."""
    pairs: list[str] = []
    for name, value in _mapping(arguments, "rpc").items():
        if not isinstance(name, str) or name in _RESERVED_ARGUMENTS or "." in name:
            raise BadValue(
                f"rpc: the argument name {describe(name)} has another meaning in a URL",
                hint="Call the function without get=True and head=True.",
            )
        text = _argument(name, value)
        if _LOOKS_LIKE_FILTER(text):
            raise BadValue(
                f"rpc: {name}={text[:40]!r} would be read as a filter in a URL",
                hint="Call the function without get=True and head=True.",
            )
        pairs.append(f"{percent(name)}={percent(text)}")
    return pairs


def _argument(name: str, value: Any) -> str:
    if value is None:
        raise BadValue(
            f"rpc: {name}=None was given, expected a value: a URL has no null",
            hint="Leave the argument out, or call without get=True and head=True.",
        )
    try:
        text = array_literal(value) if kind_of(value) == "list" else scalar_text(value)
        percent(text)
    except BadValue as error:
        raise BadValue(f"rpc: {name}: {error.message}", hint=error.hint) from None
    return text


def _too_long(plan: Plan, size: int, limit: int) -> BadValue:
    name, _, value = max(plan.pairs or ["select=*"], key=len).partition("=")
    return BadValue(
        f"the URL would have {size} bytes, more than {limit}; the longest part is the filter on "
        f"{name[:60]} with {len(value)} bytes",
        hint="Split the list and run the query for each part, or pass it to a function by rpc().",
    )


# --- body --------------------------------------------------------------------------------------


def _body(plan: Plan) -> bytes | None:
    if plan.verb == "rpc":
        return _json(_mapping(plan.arguments, "rpc"), "rpc")
    if plan.verb == "delete":
        return None
    if plan.verb == "update":
        return _json(_mapping(plan.values, "update"), "update")
    return _json(_rows(plan), plan.verb)


def _json(value: Any, what: str) -> bytes:
    try:
        body = json.dumps(value)
    except BadValue as error:
        raise BadValue(f"{what}: {error.message}", hint=error.hint) from None
    if b"\\u0000" in body and _NUL_IN_JSON(body):
        raise BadValue(f"{what}: text with a NUL character was given, PostgreSQL cannot hold it")
    return body


def _mapping(value: Any, what: str) -> dict[str, Any]:
    if value is None and what == "rpc":
        return {}
    kind = kind_of(value)
    if kind == "mapping":
        members: Any = value
        return members if isinstance(value, dict) else dict(members)
    if kind == "model" and not isinstance(value, type):
        return fields_of(value)
    raise BadValue(f"{what}: {describe(value)} was given, expected a mapping or a model")


def _rows(plan: Plan) -> Any:
    """One row or a list of them; lists with unequal keys name all their columns."""
    values = plan.values
    if isinstance(values, BadValue):  # what could not be said when the table was taken apart
        raise BadValue(f"{plan.verb}: {values.message}")
    if kind_of(values) in ("mapping", "model"):
        return _mapping(values, plan.verb)
    if not isinstance(values, list):
        raise BadValue(f"{plan.verb}: {describe(values)} was given, expected a row or rows")
    rows = [
        row if type(row) is dict else _mapping(row, f"{plan.verb}, row {number}")
        for number, row in enumerate(values)
    ]
    if rows and any(row.keys() != rows[0].keys() for row in rows):
        names = sorted({name for row in rows for name in row if isinstance(name, str)})
        plan.pairs.append(f"columns={percent(','.join(map(name_text, names)))}")
    return rows


# --- headers -----------------------------------------------------------------------------------


def _headers(plan: Plan, reads: bool, schema: str) -> HeaderTexts:
    said = reads, schema, _accept(plan), _preferences(plan)
    try:
        headers = _HEADERS[said]
    except (KeyError, TypeError):
        headers = _usual_headers(*said)
    if plan.idempotency_key is not None and not reads:
        headers += (("Idempotency-Key", plan.idempotency_key),)
    if plan.all_rows and means_all(plan):
        headers += (("X-Aerodb-All-Rows", "true"),)
    if plan.headers:
        own = {name.lower() for name, _ in plan.headers}
        headers = (*(pair for pair in headers if pair[0].lower() not in own), *plan.headers)
    return headers


_HEADERS: dict[tuple[bool, str, str, str], HeaderTexts] = {}
_HEADERS_LIMIT = 256


def _usual_headers(reads: bool, schema: str, accept: str, preferences: str) -> HeaderTexts:
    """What most queries send. The same ones again are the same object again."""
    if (
        not isinstance(schema, str)
        or not schema
        or not schema.isascii()
        or not schema.isprintable()
    ):
        raise BadValue(f"schema: {schema!a} was given, expected a name in visible ASCII")
    headers: HeaderTexts = (
        ("Accept", accept),
        ("Accept-Profile" if reads else "Content-Profile", schema),
    )
    if preferences:
        headers += (("Prefer", preferences),)
    if len(_HEADERS) >= _HEADERS_LIMIT:
        _HEADERS.clear()
    _HEADERS[reads, schema, accept, preferences] = headers
    return headers


def _accept(plan: Plan) -> str:
    if plan.mode == "list" and plan.explain is None and not plan.strip_nulls:
        return "application/json"
    nulls = ";nulls=stripped" if plan.strip_nulls else ""
    if plan.mode in ("single", "maybe_single"):
        media = _OBJECT + nulls
    elif plan.mode == "csv":
        media = "text/csv"
    elif plan.mode == "geojson":
        media = "application/geo+json"
    else:
        media = _ARRAY + nulls if nulls else "application/json"
    if plan.explain is None:
        return media
    form, options = plan.explain
    tail = f"; options={options}" if options else ""
    return f'application/vnd.pgrst.plan+{form}; for="{media}"{tail}'


def _preferences(plan: Plan) -> str:
    if plan.verb == "select" and plan.count is None and not (plan.rollback or plan.preferences):
        return ""  # a read has no others
    found: list[str] = []
    if plan.verb not in ("select", "rpc"):
        found.append(f"return={plan.returning}")
    count = plan.count
    if count is None and plan.expect_rows is not None and plan.returning != "representation":
        count = "exact"  # the only way to hear how many there were
    if count is not None:
        found.append(f"count={count}")
    if plan.verb == "upsert":
        found.append(f"resolution={'ignore' if plan.ignore_duplicates else 'merge'}-duplicates")
    if not plan.default_to_null:
        found.append("missing=default")
    if plan.max_affected is not None:
        found += ["handling=strict", f"max-affected={plan.max_affected}"]
    if plan.rollback:
        found.append("tx=rollback")
    if plan.preferences:
        own = {name for name, _ in plan.preferences}
        found = [text for text in found if text.partition("=")[0] not in own]
        found += [text for _, text in plan.preferences]
    return ",".join(found)
