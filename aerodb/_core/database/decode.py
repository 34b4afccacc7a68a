"""From a response to an `AeroDBResponse`: rows, one row, a scalar, text; counts and what is known
of completeness (wire-contract §1.6, §3.1, §3.2). Total: no body makes it raise."""

from __future__ import annotations

import re
from typing import Any

from aerodb._core import json
from aerodb._core.database.plan import LastKey, Plan
from aerodb._core.database.rows import Convert, DecodeFailure, converter, type_name
from aerodb._core.errors import Exchange, error_from_response, row_count_hint
from aerodb._core.http import RawResponse
from aerodb._dataclass import replace
from aerodb.types import AeroDBError, AeroDBResponse, ResponseMeta

__all__ = ["Decoder", "Heads"]

_ENVELOPE = frozenset({"data", "count", "total", "limit", "offset", "deleted"})
_USUAL_CAP = 1000  # db-max-rows of the local instance and of the hosted ones (wire-contract §1.7)
_CONTENT_RANGE = re.compile(r"(?:([0-9]{1,18})-([0-9]{1,18})|\*)/(?:([0-9]{1,18})|\*)").fullmatch
_NO_ROWS = re.compile(r"\b0 rows").search


class Heads:
    """The response headers that a query reads, found in one pass."""

    __slots__ = ("applied", "content_range", "first", "last", "max_rows", "total")

    def __init__(self, raw: RawResponse) -> None:
        self.content_range: str | None = None
        self.applied: str | None = None
        self.first: int | None = None
        self.last: int | None = None
        self.total: int | None = None
        self.max_rows: int | None = None
        for name, value in raw.raw_headers:
            if len(name) in (13, 17, 18):  # one of the three names below, or nearly
                self._read(name.lower(), value.decode("latin-1"))

    def _read(self, name: bytes, value: str) -> None:
        if name == b"content-range":
            self.content_range = value
            match = _CONTENT_RANGE(value.strip())
            if match:
                first, last, total = match.groups()
                self.first = int(first) if first else None
                self.last = int(last) if last else None
                self.total = int(total) if total else None
        elif name == b"preference-applied":
            self.applied = value
        elif name == b"x-aerodb-max-rows" and value.isascii() and value.isdigit():
            self.max_rows = int(value[:18])

    @property
    def range(self) -> tuple[int, int] | None:
        """First and last row number of the page."""
        if self.first is None or self.last is None:
            return None
        return self.first, self.last


class Decoder:
    """Reads the response of one query. Made with the call, kept by it."""

    __slots__ = ("_plan", "convert", "target")

    def __init__(self, plan: Plan, row_type: Any = None) -> None:
        self._plan = plan
        self.convert: Convert | None = None
        self.target = ""
        if row_type is not None:
            self.convert = converter(row_type)
            self.target = type_name(row_type)

    def __call__(self, raw: RawResponse) -> AeroDBResponse[Any]:
        if raw.status == 406:
            return self._not_one_row(raw)
        heads = Heads(raw)
        try:
            response = self._read(raw, heads)
        except json.BadJSON as error:
            response = _invalid(
                f"the answer is not JSON: {error}",
                raw.body,
                hint="is this the base URL of an AeroDB server?",
            )
        except DecodeFailure as error:
            response = AeroDBResponse(None, error.error)
        return self.expected(response)

    def _read(self, raw: RawResponse, heads: Heads) -> AeroDBResponse[Any]:
        if self._plan.explain is not None:
            as_json = self._plan.explain[0] == "json"
            return AeroDBResponse(json.loads(raw.body) if as_json else _text(raw.body))
        if self._plan.mode == "csv":
            return AeroDBResponse(_text(raw.body), count=self._count(heads))
        if self._plan.mode == "geojson":
            return AeroDBResponse(json.loads(raw.body), count=self._count(heads))
        if self._plan.head or not raw.body:
            return self._bodiless(raw, heads)
        value = json.loads_exact(raw.body) if self._plan.exact else json.loads(raw.body)
        if self._plan.mode == "list":
            return self._list(value, raw, heads)
        if self._plan.mode == "value":
            if self._plan.last_key is not None and isinstance(value, list) and value:
                _note_key(self._plan.last_key, value[-1], raw.body)
            return self._value(value, heads)
        return self._one(value, raw, heads)

    # --- shapes

    def _bodiless(self, raw: RawResponse, heads: Heads) -> AeroDBResponse[Any]:
        affected = None if self._plan.verb in ("select", "rpc") else _affected(heads)
        meta = self._meta(heads, affected, None)
        if self._plan.mode == "list":
            return AeroDBResponse([], None, self._count(heads), meta)
        if self._plan.mode == "single" and not self._plan.head:
            return _invalid("the answer is empty, expected a row", raw.body)
        return AeroDBResponse(None, None, self._count(heads), meta)

    def _list(self, value: Any, raw: RawResponse, heads: Heads) -> AeroDBResponse[Any]:
        envelope: dict[str, Any] = {}
        if isinstance(value, dict) and heads.content_range is None and value.keys() <= _ENVELOPE:
            envelope = value
            value = envelope.get("data", [])
            value = [value] if isinstance(value, dict) else value
        if not isinstance(value, list):
            return _invalid(f"the answer is {_shape(value)}, expected a list of rows", raw.body)
        if self._plan.last_key is not None and value:
            _note_key(self._plan.last_key, value[-1], raw.body)
        rows = self._converted(value)
        affected = None
        if self._plan.verb != "select" and self._plan.verb != "rpc":
            representation = self._plan.returning == "representation"
            affected = len(rows) if representation else _affected(heads)
        truncated = self._truncated(len(rows), heads, envelope)
        meta = self._meta(heads, affected, truncated)
        total = envelope.get("total")
        count = self._count(heads) if not isinstance(total, int) else total
        return AeroDBResponse(rows, None, count, meta)

    def _one(self, value: Any, raw: RawResponse, heads: Heads) -> AeroDBResponse[Any]:
        if isinstance(value, list):  # a server that does not know the media type of one object
            if len(value) > 1 or (not value and self._plan.mode == "single"):
                return AeroDBResponse(None, _row_count_error(len(value)))
            if not value:
                return AeroDBResponse(
                    None, None, self._count(heads), self._meta(heads, None, False)
                )
            value = value[0]
        affected = None if self._plan.verb in ("select", "rpc") else 1
        row = value if self.convert is None else self._converted([value])[0]
        return AeroDBResponse(row, None, self._count(heads), self._meta(heads, affected, False))

    def _value(self, value: Any, heads: Heads) -> AeroDBResponse[Any]:
        convert = self.convert
        truncated: bool | None = None
        if isinstance(value, list) and heads.content_range is not None:
            truncated = self._truncated(len(value), heads, {})
        if convert is not None:
            try:
                value = convert(value)
            except Exception as error:  # noqa: BLE001  # the caller's own type; see rows.py
                raise DecodeFailure.of(error, None, self.target) from None
        meta = self._meta(heads, None, truncated)
        return AeroDBResponse(value, None, self._count(heads), meta)

    def _converted(self, values: list[Any]) -> list[Any]:
        convert = self.convert
        if convert is None:
            return values
        rows: list[Any] = []
        try:
            for value in values:
                rows.append(convert(value))  # rows counts how far it got
        except Exception as error:  # noqa: BLE001  # the caller's own type; see rows.py
            raise DecodeFailure.of(error, len(rows), self.target) from None
        return rows

    def _not_one_row(self, raw: RawResponse) -> AeroDBResponse[Any]:
        error = error_from_response(raw.status, raw.raw_headers, raw.body, Exchange("GET", ""))
        text = error.details if isinstance(error.details, str) else ""
        if error.code == "PGRST116" and _NO_ROWS(text):
            meta = ResponseMeta(affected=None if self._plan.verb in ("select", "rpc") else 0)
            return self.expected(AeroDBResponse(None, None, None, meta))
        return AeroDBResponse(None, error)

    # --- what is known about it

    def _count(self, heads: Heads) -> int | None:
        return heads.total if self._plan.count is not None else None

    def _meta(self, heads: Heads, affected: int | None, truncated: bool | None) -> ResponseMeta:
        warnings: tuple[str, ...] = ()
        if self._plan.rollback and "tx=rollback" not in (heads.applied or ""):
            warnings = ("the server did not confirm the rollback: the write may have been kept",)
        if truncated and heads.total is None:
            warnings += (
                "the server sent exactly as many rows as it sends at most: there may be more; "
                "iterate() and all() get every row, count='exact' the total",
            )
        return ResponseMeta(
            range=heads.range, truncated=truncated, affected=affected, warnings=warnings
        )

    def _truncated(self, rows: int, heads: Heads, envelope: dict[str, Any]) -> bool | None:
        """Whether rows are missing that were asked for; None if nobody can tell."""
        if self._plan.verb not in ("select", "rpc"):
            return None
        first = heads.first if heads.first is not None else self._plan.offset or 0
        total = heads.total if heads.total is not None else envelope.get("total")
        if isinstance(total, int):
            wanted = max(0, total - first)
            if self._plan.limit is not None:
                wanted = min(wanted, self._plan.limit)
            return rows < wanted
        if self._plan.limit is not None and rows >= self._plan.limit:
            return False
        if rows == 0:
            return False
        cap = heads.max_rows or envelope.get("limit")
        if isinstance(cap, int):
            return rows >= cap
        return True if rows == _USUAL_CAP else None

    def expected(self, response: AeroDBResponse[Any]) -> AeroDBResponse[Any]:
        """The response, or an error if a write touched fewer rows than `expect_rows` says."""
        if self._plan.expect_rows is None or response.error is not None:
            return response
        affected = response.meta.affected
        if affected is None or affected >= self._plan.expect_rows:
            return response
        error = AeroDBError(
            f"{affected} rows were affected, expected at least {self._plan.expect_rows}",
            code="NO_ROWS_AFFECTED",
            hint="No row matches the filter, or row-level security hides it.",
        )
        return replace(response, data=None, error=error)


def _note_key(key: LastKey, row: Any, body: bytes) -> None:
    if not isinstance(row, dict) or not row.keys() >= set(key.names):
        return
    if any(isinstance(row[name], float) for name in key.names):
        exact: Any = json.loads_exact(body)
        rows = exact if isinstance(exact, list) else exact.get("data")
        row = rows[-1] if isinstance(rows, list) else rows
    key.values = [row[name] for name in key.names]


def _affected(heads: Heads) -> int | None:
    if heads.total is not None:
        return heads.total
    if heads.first is not None and heads.last is not None:
        return heads.last - heads.first + 1
    return None


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise json.BadJSON(f"byte {error.start} is not UTF-8") from None


def _shape(value: Any) -> str:
    return {dict: "an object", str: "a string", bool: "a boolean", type(None): "null"}.get(
        type(value), "a number"
    )


def _row_count_error(rows: int) -> AeroDBError:
    details = f"The result contains {rows} rows"
    return AeroDBError(
        "JSON object requested, multiple (or no) rows returned",
        status=406,
        code="PGRST116",
        details=details,
        hint=row_count_hint(details),
    )


def _invalid(message: str, body: bytes, *, hint: str | None = None) -> AeroDBResponse[Any]:
    shown = body[:500].decode("utf-8", "replace")
    return AeroDBResponse(
        None, AeroDBError(message, code="INVALID_RESPONSE", details=shown or None, hint=hint)
    )
