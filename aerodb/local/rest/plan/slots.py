"""Where the values of a statement come from.

A plan is made for the shape of a request: its parameters are slots, that say which value of a
request goes there. So a plan serves every request of that shape (`Planner`), and no value can
get into the text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from aerodb.local.rest.ast import (
    EmbedPath,
    Filter,
    Fts,
    In,
    IsDistinct,
    LogicTree,
    Op,
    Operation,
    Payload,
    QueryParams,
    Range,
    Request,
)
from aerodb.local.rest.errors import RestError

# --- filters in a fixed order -----------------------------------------------------------------


def numbered_filters(query: QueryParams) -> Iterator[tuple[int, EmbedPath, Filter]]:
    """Every filter outside of a logic tree, with its slot: those of the root come first."""
    slot = 0
    for found in query.filters_root:
        yield slot, (), found
        slot += 1
    for path, found in query.filters_not_root:
        yield slot, path, found
        slot += 1


def numbered_logic(query: QueryParams) -> Iterator[tuple[int, EmbedPath, LogicTree]]:
    """Every logic tree with the slot of its first filter; they come after all other filters."""
    slot = len(query.filters_root) + len(query.filters_not_root)
    for path, tree in query.logic:
        yield slot, path, tree
        slot += sum(1 for _ in leaves(tree))


def leaves(tree: LogicTree) -> Iterator[Filter]:
    """The filters of a logic tree, from left to right."""
    if isinstance(tree, Filter):
        yield tree
    else:
        for child in tree.children:
            yield from leaves(child)


def operations(query: QueryParams) -> tuple[Operation, ...]:
    """The operations by slot."""
    found = [one.operation for one in query.filters_root]
    found += [one.operation for _, one in query.filters_not_root]
    for _, tree in query.logic:
        found += [leaf.operation for leaf in leaves(tree)]
    return tuple(found)


# --- values -----------------------------------------------------------------------------------


class Source:
    """The values of one request."""

    __slots__ = ("_arguments", "operations", "request")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.operations = operations(request.query)
        self._arguments: dict[str, list[str]] | None = None

    def arguments(self) -> dict[str, list[str]]:
        """The arguments of a call from the query string or a form, every value of each."""
        if self._arguments is None:
            self._arguments = {}
            for name, value in given_arguments(self.request):
                self._arguments.setdefault(name, []).append(value)
        return self._arguments


def given_arguments(request: Request) -> tuple[tuple[str, str], ...]:
    """The arguments of a call that do not come as JSON."""
    payload = request.payload
    if payload is not None and payload.kind == "urlencoded":
        return payload.pairs
    return request.query.params


@dataclass(frozen=True, slots=True)
class FilterValue:
    """What the filter of that slot compares with."""

    slot: int

    def value(self, source: Source) -> object:
        operation = source.operations[self.slot]
        if isinstance(operation, In):
            return text(array_literal(operation.values))
        if isinstance(operation, Op) and operation.name in ("like", "ilike"):
            return text(operation.value.replace("*", "%"))
        if isinstance(operation, Op | IsDistinct | Fts):
            return text(operation.value)
        raise ValueError("this operation has no value")


@dataclass(frozen=True, slots=True)
class LimitValue:
    """The limit of a level, which `db-max-rows` bounds too."""

    path: EmbedPath | None
    max_rows: int | None

    def value(self, source: Source) -> object:
        bounds = restricted(requested_range(source.request, self.path), self.max_rows)
        return None if bounds.limit is None else str(bounds.limit)


@dataclass(frozen=True, slots=True)
class OffsetValue:
    """The offset of a level."""

    path: EmbedPath | None

    def value(self, source: Source) -> object:
        return str(restricted(requested_range(source.request, self.path), None).offset)


def requested_range(request: Request, path: EmbedPath | None) -> Range:
    """The range that the request states for a level: `()` is the root, None no level at all."""
    if path is None:
        return Range()
    return request.query.ranges.get(path, Range()) if path else request.top_range


def restricted(bounds: Range, max_rows: int | None) -> Range:
    """A limit of zero is the empty page from the start; no limit is above `max_rows`."""
    if bounds.limit == 0:
        return Range(0, 0)
    if max_rows is None or (bounds.limit is not None and bounds.limit <= max_rows):
        return bounds
    return Range(bounds.offset, max_rows)


@dataclass(frozen=True, slots=True)
class PayloadText:
    """The payload as it came, as text; NULL without one."""

    def value(self, source: Source) -> object:
        payload = source.request.payload
        return None if payload is None else text(decode(payload.raw))


@dataclass(frozen=True, slots=True)
class PayloadBytes:
    """The payload as it came, as bytea."""

    def value(self, source: Source) -> object:
        payload = source.request.payload
        return None if payload is None else payload.raw


@dataclass(frozen=True, slots=True)
class ArgumentText:
    """An argument of a call; the last one of several counts."""

    name: str

    def value(self, source: Source) -> object:
        return text(source.arguments()[self.name][-1])


@dataclass(frozen=True, slots=True)
class ArgumentList:
    """The values of a variadic argument."""

    name: str

    def value(self, source: Source) -> object:
        return [text(value) for value in source.arguments()[self.name]]


@dataclass(frozen=True, slots=True)
class ArgumentsJson:
    """All arguments as one JSON object."""

    def value(self, source: Source) -> object:
        last = {name: values[-1] for name, values in source.arguments().items()}
        return text(json.dumps(last, ensure_ascii=False))


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that belongs to the settings."""

    shown: str

    def value(self, source: Source) -> object:
        return self.shown


Slot = (
    FilterValue
    | LimitValue
    | OffsetValue
    | PayloadText
    | PayloadBytes
    | ArgumentText
    | ArgumentList
    | ArgumentsJson
    | Constant
)


def bind(slots: tuple[Slot, ...], source: Source) -> tuple[object, ...]:
    """The parameters of a request for a plan of its shape."""
    return tuple([slot.value(source) for slot in slots])


# --- text -------------------------------------------------------------------------------------


def text(value: str) -> str:
    """A text parameter; PostgreSQL has no text with a NUL in it."""
    if "\0" in value:
        raise RestError(400, "22021", 'invalid byte sequence for encoding "UTF8": 0x00')
    return value


def decode(raw: bytes) -> str:
    """The text of a payload; the error is the one PostgreSQL would make."""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        at = raw[error.start : error.start + 1].hex()
        message = f'invalid byte sequence for encoding "UTF8": 0x{at}'
        raise RestError(400, "22021", message) from error


def array_literal(values: tuple[str, ...]) -> str:
    """The text of an array, every element quoted, for an untyped parameter."""
    quoted = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join(f'"{value}"' for value in quoted) + "}"


def begins_as_object(payload: Payload | None) -> bool:
    """Whether the text begins as an object; PostgreSQL itself says when it is not valid JSON."""
    return payload is not None and payload.raw.lstrip(b" \t\r\n")[:1] == b"{"
