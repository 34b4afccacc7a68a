"""`limit`, `offset` and the `Range` header, and what `Content-Range` answers.

Wire contract §3.2 and §3.4. A range is a pair of bounds, the upper one inclusive and None when
open; `limit=0` is the one empty range that is allowed.
"""

from __future__ import annotations

from collections.abc import Iterable

from aerodb.local.rest.ast import Range
from aerodb.local.rest.errors import RestError

Bounds = tuple[int, int | None]

ALL: Bounds = (0, None)
_EMPTY: Bounds = (1, 0)
_LIMIT_ZERO: Bounds = (0, -1)


def _is_empty(bounds: Bounds) -> bool:
    return bounds[1] is not None and bounds[1] < bounds[0]


def _intersection(first: Bounds, second: Bounds) -> Bounds:
    if _is_empty(first) or _is_empty(second):
        return _EMPTY
    uppers = [upper for upper in (first[1], second[1]) if upper is not None]
    return max(first[0], second[0]), min(uppers) if uppers else None


def _integer(text: str) -> int | None:
    """An integer with blanks around it; anything else counts as not given."""
    digits = text.strip()
    number = digits.removeprefix("-")
    if not (number.isascii() and number.isdigit()) or len(number) > 30:
        return None
    return int(digits)


def bounds_of(
    limits: Iterable[tuple[str, str]], offsets: Iterable[tuple[str, str]]
) -> dict[str, Bounds]:
    """The bounds for each key that ends in `limit`; offsets come under the same key."""
    bounds: dict[str, Bounds] = {}
    for key, text in limits:
        limit = _integer(text)
        bounds[key] = ALL if limit is None else (0, limit - 1)
    for key, offset in {key: _integer(text) or 0 for key, text in offsets}.items():
        if key not in bounds:
            bounds[key] = (offset, None)
        else:
            upper = bounds[key][1]
            # Without a usable limit an offset beside it leaves nothing, as in PostgREST.
            limit = 0 if upper is None else upper + 1
            bounds[key] = (offset, offset + limit - 1)
    return bounds


def range_of(bounds: Bounds) -> Range:
    """As a value for the planner."""
    lower, upper = bounds
    return Range(lower, None if upper is None else upper - lower + 1)


def _header_bounds(header: str | None) -> Bounds:
    if header is None:
        return ALL
    first, dash, last = header.partition("-")
    if not dash or not _are_digits(first) or not (last == "" or _are_digits(last)):
        return ALL
    return int(first), int(last) if last else None


def _are_digits(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 30


def top_range(method: str, query: Bounds, header: str | None) -> Range:
    """The range of the root: query and header together, or 416 PGRST103 / 400 PGRST114."""
    from_header = _header_bounds(header) if method == "GET" else ALL
    if query[1] == -1:
        bounds = _LIMIT_ZERO
    else:
        bounds = _intersection(from_header, query)
        if _is_empty(bounds):
            raise _unsatisfiable(
                "The lower boundary must be lower than or equal to the upper boundary in the "
                "Range header."
                if _is_empty(from_header)
                else "Limit should be greater than or equal to zero."
            )
    if method == "PUT" and bounds != ALL:
        raise RestError(
            400, "PGRST114", "limit/offset querystring parameters are not allowed for PUT"
        )
    return range_of(bounds)


def _unsatisfiable(details: str) -> RestError:
    return RestError(416, "PGRST103", "Requested range not satisfiable", details)


def out_of_bounds(offset: int, total: int | None) -> RestError:
    """416 PGRST103 for an offset behind a known total."""
    return _unsatisfiable(
        f"An offset of {offset} was requested, but there are only {total or 0} rows."
    )


def content_range(lower: int, upper: int, total: int | None) -> str:
    """`0-9/100`, `0-9/*`, `*/0` or `*/*`."""
    rows = f"{lower}-{upper}" if total != 0 and lower <= upper else "*"
    return f"{rows}/{'*' if total is None else total}"


def range_status(lower: int, upper: int, total: int | None) -> int:
    """200, 206 for a part of a counted whole, 416 for an offset behind it."""
    if total is None:
        return 200
    if lower > total:
        return 416
    return 206 if 1 + upper - lower < total else 200
