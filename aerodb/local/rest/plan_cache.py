"""Requests of one shape are parsed and planned once.

Clients send the same few requests with other values: `/items?id=eq.1`, `/items?id=eq.2`. Their
statements only differ in parameters, so the second request of a shape is planned with marks in
place of the values, and those after it only put their values where the marks stand. Reads alone
are kept, and of the filters only those whose value PostgreSQL gets as it came.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from secrets import token_hex

from aerodb.local.rest.ast import Action, Request
from aerodb.local.rest.catalog import Catalog
from aerodb.local.rest.plan import plan_request
from aerodb.local.rest.plan.statement import Statement
from aerodb.local.rest.query_params import (
    RESERVED_BELOW_EMBEDS,
    RawPairs,
    canonical,
    split_pairs,
)
from aerodb.local.rest.request import HttpRequest, cookies_of, parse_request, visible_headers
from aerodb.local.settings import RestSettings

_OPAQUE = frozenset({b"eq", b"neq", b"gt", b"gte", b"lt", b"lte"})
_NO_FILTERS = frozenset(
    {b"select", b"columns", b"on_conflict"} | {word.encode() for word in RESERVED_BELOW_EMBEDS}
)
_SHAPING_HEADERS = frozenset({b"accept", b"accept-profile", b"content-type", b"prefer", b"range"})
_MARK = f"\x02{token_hex(8)}:"
"""Not to be guessed: a value that looked like a mark would be replaced by another."""
_KEPT = 512
_LONGEST_QUERY = 2048

Slots = tuple[tuple[int, int], ...]
"""(position of a parameter, number of the value that it is)."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """What decides about a statement, and apart from it the values that do not."""

    key: tuple[object, ...]
    pairs: RawPairs
    values: list[bytes]


@dataclass(frozen=True, slots=True)
class _Template:
    request: Request
    statement: Statement
    slots: Slots
    explain_slots: Slots


@dataclass(frozen=True, slots=True)
class Parsed:
    """A request, and what was found out about its shape on the way."""

    http: HttpRequest
    request: Request
    shape: _Shape | None = None
    template: _Template | None = None


class PlanCache:
    """The templates that belong to one state of the catalog."""

    def __init__(self, settings: RestSettings) -> None:
        self._settings = settings
        self._epoch = 0
        self._seen: dict[tuple[object, ...], _Template | None] = {}

    def parse(self, http: HttpRequest, epoch: int) -> Parsed:
        """The request, or the `RestError` that answers it. `epoch` names the catalog's state."""
        if http.method not in ("GET", "HEAD") or len(http.query_string) > _LONGEST_QUERY:
            return Parsed(http, parse_request(http, self._settings))
        if epoch != self._epoch:
            self._seen.clear()
            self._epoch = epoch
        shape = _shape_of(http)
        template = self._seen.get(shape.key)
        if template is None:
            return Parsed(http, parse_request(http, self._settings, shape.pairs), shape)
        request = replace(
            template.request,
            query=replace(template.request.query, canonical=canonical(shape.pairs)),
            headers=visible_headers(http.headers),
            cookies=cookies_of(http.header(b"cookie")),
        )
        return Parsed(http, request, shape, template)

    def statement(self, parsed: Parsed, catalog: Catalog) -> Statement:
        """The statement of a request that has one, or the `RestError` instead."""
        shape, template = parsed.shape, parsed.template
        if shape is None or parsed.request.action is not Action.READ:
            return plan_request(parsed.request, catalog, self._settings)
        if template is None:
            template = self._made(parsed.http, shape, catalog)
        if template is None:
            return plan_request(parsed.request, catalog, self._settings)
        return _filled(template, shape.values)

    def _made(self, http: HttpRequest, shape: _Shape, catalog: Catalog) -> _Template | None:
        """The template, from the second request of a shape on."""
        if shape.key not in self._seen:
            self._remember(shape, None)
            return None
        request = parse_request(http, self._settings, _marked(shape.pairs))
        template = _template(request, plan_request(request, catalog, self._settings))
        if template is not None and len({n for _, n in template.slots}) == len(shape.values):
            self._remember(shape, template)
            return template
        return None

    def _remember(self, shape: _Shape, template: _Template | None) -> None:
        self._seen.pop(shape.key, None)
        self._seen[shape.key] = template
        if len(self._seen) > _KEPT:
            del self._seen[next(iter(self._seen))]


# --- shapes --------------------------------------------------------------------------------------


def _shape_of(http: HttpRequest) -> _Shape:
    values: list[bytes] = []
    key: list[object] = [http.method, http.path]
    pairs = split_pairs(http.query_string)
    for name, value in pairs:
        operator, rest = _opaque(name, value)
        if operator is None:
            key += (name, value)
        else:
            key += (name, operator, None)
            values.append(rest)
    key.append(tuple(item for item in http.headers if item[0] in _SHAPING_HEADERS))
    return _Shape(tuple(key), pairs, values)


def _opaque(name: bytes, value: bytes | None) -> tuple[bytes | None, bytes]:
    """(operator, value) of a filter whose value does not matter to the statement."""
    operator, dot, rest = (value or b"").partition(b".")
    if dot and operator in _OPAQUE and name.rpartition(b".")[2] not in _NO_FILTERS:
        return operator, rest
    return None, b""


def _marked(pairs: RawPairs) -> RawPairs:
    marked: RawPairs = []
    count = 0
    for name, value in pairs:
        operator, _ = _opaque(name, value)
        if operator is not None:
            value = operator + f".{_MARK}{count}".encode()
            count += 1
        marked.append((name, value))
    return marked


def _template(request: Request, statement: Statement) -> _Template | None:
    """None where a value is more than a parameter of its own."""
    if _MARK in statement.sql or _MARK in (statement.explain_sql or ""):
        return None
    slots, explain_slots = _slots(statement.params), _slots(statement.explain_params)
    if slots is None or explain_slots is None:
        return None
    return _Template(request, statement, slots, explain_slots)


def _slots(parameters: tuple[object, ...]) -> Slots | None:
    slots: list[tuple[int, int]] = []
    for position, parameter in enumerate(parameters):
        if _MARK not in str(parameter):
            continue
        number = str(parameter).removeprefix(_MARK)
        if not isinstance(parameter, str) or not number.isdigit():
            return None
        slots.append((position, int(number)))
    return tuple(slots)


def _filled(template: _Template, values: list[bytes]) -> Statement:
    if not values:
        return template.statement
    texts = [value.decode("utf-8", "replace") for value in values]
    return replace(
        template.statement,
        params=_with(template.statement.params, template.slots, texts),
        explain_params=_with(template.statement.explain_params, template.explain_slots, texts),
    )


def _with(parameters: tuple[object, ...], slots: Slots, texts: list[str]) -> tuple[object, ...]:
    filled = list(parameters)
    for position, number in slots:
        filled[position] = texts[number]
    return tuple(filled)
