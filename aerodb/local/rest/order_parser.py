"""The `order` parameter: `column->path.desc.nullslast`, `relation(column).asc`.

Wire contract §3.4.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from aerodb.local.rest.ast import OrderTerm
from aerodb.local.rest.field_parser import (
    comma,
    delimiter,
    field,
    field_name,
    padded,
    parenthesised,
    parse,
)
from aerodb.local.rest.reader import Reader, Rule, T

_CACHED_LENGTH = 1024

Direction = Literal["asc", "desc"]
Nulls = Literal["first", "last"]


def parse_order(text: str) -> tuple[OrderTerm, ...]:
    """The terms of an `order` value; PGRST100 if it does not parse."""
    return _cached(text) if len(text) <= _CACHED_LENGTH else _parse(text)


def _parse(text: str) -> tuple[OrderTerm, ...]:
    return parse(_terms, f"failed to parse order ({text})", text)


_cached = lru_cache(maxsize=512)(_parse)


def _terms(reader: Reader) -> tuple[OrderTerm, ...]:
    return tuple(reader.separated(_padded_term, comma))


def _padded_term(reader: Reader) -> OrderTerm:
    return padded(reader, _term)


def _term(reader: Reader) -> OrderTerm:
    return reader.either(lambda inner: inner.attempt(_relation_term), _field_term)


def _field_term(reader: Reader) -> OrderTerm:
    column = field(reader)
    direction, nulls = _modifiers(reader)
    return OrderTerm(column, direction, nulls)


def _relation_term(reader: Reader) -> OrderTerm:
    relation = field_name(reader)
    column = parenthesised(reader, field)
    direction, nulls = _modifiers(reader)
    return OrderTerm(column, direction, nulls, relation)


def _modifiers(reader: Reader) -> tuple[Direction | None, Nulls | None]:
    direction = reader.option(_direction)
    return direction, reader.either(_nulls_then_end, _just_end)


def _nulls_then_end(reader: Reader) -> Nulls | None:
    nulls = reader.option(_nulls)
    _term_end(reader)
    return nulls


def _just_end(reader: Reader) -> Nulls | None:
    _term_end(reader)
    return None


def _comma_ahead(reader: Reader) -> None:
    reader.attempt(lambda inner: inner.ahead(comma))


def _text_end(reader: Reader) -> None:
    reader.attempt(Reader.end)


def _term_end(reader: Reader) -> None:
    reader.either(_comma_ahead, _text_end)


def _modifier(word: str, value: T) -> Rule[T]:
    def dotted(reader: Reader) -> T:
        delimiter(reader)
        reader.word(word)
        return value

    return lambda reader: reader.attempt(dotted)


_FIRST: Rule[Nulls] = _modifier("nullsfirst", "first")
_LAST: Rule[Nulls] = _modifier("nullslast", "last")
_ASC: Rule[Direction] = _modifier("asc", "asc")
_DESC: Rule[Direction] = _modifier("desc", "desc")


def _nulls(reader: Reader) -> Nulls:
    return reader.either(_FIRST, _LAST)


def _direction(reader: Reader) -> Direction:
    return reader.either(_ASC, _DESC)
