"""The query string: raw bytes to `QueryParams`.

Wire contract §3.4. Pairs are separated by `&` or `;`, `+` is a space, and a `%` that no two
hexadecimal digits follow stands for itself. Pairs without `=` are not parameters.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from aerodb.local.rest.ast import EmbedPath, Filter, QueryParams, Range
from aerodb.local.rest.field_parser import columns as columns_rule
from aerodb.local.rest.field_parser import parse
from aerodb.local.rest.filter_parser import (
    parse_argument_or_filter,
    parse_filter,
    parse_logic,
    parse_tree_path,
)
from aerodb.local.rest.order_parser import parse_order
from aerodb.local.rest.ranges import ALL, Bounds, bounds_of, range_of
from aerodb.local.rest.select_parser import parse_select

_CACHED_LENGTH = 1024
_RESERVED = frozenset({"select", "columns", "on_conflict"})
_RESERVED_BELOW_EMBEDS = frozenset({"order", "limit", "offset", "and", "or"})

Pairs = list[tuple[str, str]]
RawPairs = list[tuple[bytes, bytes | None]]


def parse_query(raw: RawPairs, *, rpc_read: bool) -> tuple[QueryParams, Bounds]:
    """Everything the query string says, and the root's own limit and offset.

    `raw` comes from `split_pairs`. `rpc_read`: values without an operator are arguments of a
    function (GET rpc).
    """
    pairs = [(_text(key), _text(value)) for key, value in raw if value is not None]
    sorted_out = _sort_out(pairs)
    order = tuple((parse_tree_path(k)[0], parse_order(v)) for k, v in sorted_out["order"])
    logic = tuple(parse_logic(k, v) for k, v in sorted_out["and"])
    given = _first_of(raw)
    columns = _names("columns", given["columns"])
    select = parse_select(given["select"] if given["select"] is not None else "*")
    filters, params = _filters(sorted_out[""], rpc_read)
    on_conflict = _names("on_conflict", given["on_conflict"])
    bounds = bounds_of(sorted_out["limit"], sorted_out["offset"])
    root_bounds = bounds.pop("limit", ALL)
    return QueryParams(
        canonical=canonical(raw),
        params=params,
        ranges=_ranges(bounds),
        order=order,
        logic=logic,
        columns=None if columns is None else frozenset(columns),
        select=select,
        filters=filters,
        filters_root=tuple(item for path, item in filters if not path),
        filters_not_root=tuple(pair for pair in filters if pair[0]),
        filter_fields=frozenset(key for key, _ in sorted_out[""]),
        on_conflict=on_conflict,
    ), root_bounds


# --- pairs ---------------------------------------------------------------------------------------


def split_pairs(query_string: bytes) -> RawPairs:
    """The decoded pairs of a query string or form; the value is None where no `=` stands."""
    pairs: RawPairs = []
    if not query_string:
        return pairs
    for part in query_string.replace(b";", b"&").split(b"&"):
        key, equals, value = part.partition(b"=")
        pairs.append((_decode(key), _decode(value) if equals else None))
    if query_string[-1:] in (b"&", b";"):
        pairs.pop()
    return pairs


def _decode(text: bytes) -> bytes:
    if b"+" in text:
        text = text.replace(b"+", b" ")
    return unquote_to_bytes(text) if b"%" in text else text


def _text(data: bytes) -> str:
    """Bytes that are not UTF-8 become replacement characters: they match nothing, but parse."""
    return data.decode("utf-8", "replace")


def _sort_out(pairs: Pairs) -> dict[str, Pairs]:
    """The pairs by the last word of their keys, filters under the empty one."""
    kinds: dict[str, Pairs] = {"": [], "order": [], "limit": [], "offset": [], "and": []}
    for key, value in pairs:
        path, _, last = key.rpartition(".")
        if last in _RESERVED_BELOW_EMBEDS:
            if last == "offset":
                key = f"{path}.limit" if path else "limit"
            kinds["and" if last == "or" else last].append((key, value))
        elif key not in _RESERVED:
            kinds[""].append((key, value))
    return kinds


def _first_of(raw: RawPairs) -> dict[str, str | None]:
    """The first `select`, `columns` and `on_conflict`; one without `=` hides those behind it."""
    given: dict[str, str | None] = dict.fromkeys(_RESERVED)
    seen: set[str] = set()
    for key, value in raw:
        name = _text(key)
        if name in _RESERVED and name not in seen:
            seen.add(name)
            given[name] = None if value is None else _text(value)
    return given


# --- parts ---------------------------------------------------------------------------------------


@lru_cache(maxsize=512)
def _cached_names(parameter: str, text: str) -> tuple[str, ...]:
    return parse(columns_rule, f"failed to parse {parameter} parameter ({text})", text)


def _names(parameter: str, text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    if len(text) > _CACHED_LENGTH:
        return _cached_names.__wrapped__(parameter, text)
    return _cached_names(parameter, text)


def _filters(
    pairs: Pairs, rpc_read: bool
) -> tuple[tuple[tuple[EmbedPath, Filter], ...], tuple[tuple[str, str], ...]]:
    if not rpc_read:
        return tuple(parse_filter(key, value) for key, value in pairs), ()
    filters: list[tuple[EmbedPath, Filter]] = []
    params: list[tuple[str, str]] = []
    for key, value in pairs:
        path, parsed = parse_argument_or_filter(key, value)
        if isinstance(parsed, Filter):
            filters.append((path, parsed))
        else:
            params.append((parsed, value))
    return tuple(filters), tuple(params)


def _ranges(bounds: dict[str, Bounds]) -> dict[EmbedPath, Range]:
    return {parse_tree_path(key)[0]: range_of(value) for key, value in bounds.items()}


# --- canonical -----------------------------------------------------------------------------------


def canonical(pairs: Iterable[tuple[bytes, bytes | None]]) -> str:
    """The pairs sorted by key, values of equal keys joined by commas (for Content-Location)."""
    by_key: dict[bytes, list[bytes]] = {}
    for key, value in sorted(pairs, key=lambda pair: pair[0]):
        by_key.setdefault(key, []).append(value or b"")
    return "&".join(
        f"{_encode(key)}={','.join(_encode(value) for value in values)}"
        for key, values in by_key.items()
    )


_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")


def _encode(data: bytes) -> str:
    """Percent-encoding; a byte above 127 counts as a character and is encoded as UTF-8 again."""
    if _SAFE.issuperset(data):
        return data.decode("ascii")
    return "".join(
        chr(byte)
        if byte in _SAFE
        else "".join(f"%{part:02X}" for part in chr(byte).encode("utf-8"))
        for byte in data
    )
