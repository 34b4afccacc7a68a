"""The `select` parameter: columns, casts, aggregates, embedded and spread relations.

Wire contract §3.4. The order of the alternatives is part of the dialect: `name` is a relation only
when an opening parenthesis follows, and `count()` is the aggregate, never a relation.
"""

from __future__ import annotations

from functools import lru_cache
from typing import get_args

from aerodb.local.rest.ast import (
    Aggregate,
    Field,
    JoinType,
    SelectField,
    SelectItem,
    SelectRelation,
)
from aerodb.local.rest.field_parser import (
    field,
    field_name,
    identifier,
    padded,
    padded_comma,
    parenthesised,
    parse,
    stops_at,
)
from aerodb.local.rest.reader import Mismatch, Reader, Rule

_CACHED_LENGTH = 1024


def parse_select(text: str) -> tuple[SelectItem, ...]:
    """The items of a `select` value; PGRST100 if it does not parse."""
    return _cached(text) if len(text) <= _CACHED_LENGTH else _parse(text)


def _parse(text: str) -> tuple[SelectItem, ...]:
    return parse(_forest, f"failed to parse select parameter ({text})", text)


_cached = lru_cache(maxsize=1024)(_parse)
"""Clients repeat a handful of selects: a hit costs a hash instead of a parse."""


def _forest(reader: Reader) -> tuple[SelectItem, ...]:
    return reader.either(_some_trees, _no_trees)


def _some_trees(reader: Reader) -> tuple[SelectItem, ...]:
    return tuple(reader.separated(_tree, padded_comma))


def _no_trees(_: Reader) -> tuple[SelectItem, ...]:
    return ()


def _tree(reader: Reader) -> SelectItem:
    return reader.either(_spread_tree, _relation_tree, _select_field)


def _spread_tree(reader: Reader) -> SelectItem:
    return _with_children(reader, reader.attempt(_spread_head))


def _relation_tree(reader: Reader) -> SelectItem:
    return _with_children(reader, reader.attempt(_relation_head))


def _with_children(reader: Reader, head: SelectRelation) -> SelectRelation:
    children = parenthesised(reader, _forest)
    return SelectRelation(head.relation, head.alias, head.hint, head.join, head.spread, children)


# --- relations -----------------------------------------------------------------------------------


def _relation_head(reader: Reader) -> SelectRelation:
    return padded(reader, _relation)


def _relation(reader: Reader) -> SelectRelation:
    alias = reader.option(_alias)
    name = field_name(reader)
    if name == "count":
        raise Mismatch(reader.complaint)
    hint, join = _embed_parameters(reader)
    reader.attempt(_paren_ahead)
    return SelectRelation(name, alias, hint, join)


def _spread_head(reader: Reader) -> SelectRelation:
    return padded(reader, _spread)


def _spread(reader: Reader) -> SelectRelation:
    reader.word("...")
    name = field_name(reader)
    hint, join = _embed_parameters(reader)
    reader.attempt(_paren_ahead)
    return SelectRelation(name, None, hint, join, spread=True)


def _paren_ahead(reader: Reader) -> None:
    reader.ahead(lambda inner: inner.word("("))


EmbedParameter = tuple[str | None, JoinType | None]


def _embed_parameters(reader: Reader) -> EmbedParameter:
    """`!hint`, `!inner` or `!left`, at most two of them; the first of a kind counts."""
    found: tuple[EmbedParameter | None, ...] = (
        reader.option(_embed_parameter),
        reader.option(_embed_parameter),
    )
    hints = [hint for hint, _ in filter(None, found) if hint is not None]
    joins: list[JoinType] = [join for _, join in filter(None, found) if join is not None]
    return hints[0] if hints else None, joins[0] if joins else None


def _embed_parameter(reader: Reader) -> EmbedParameter:
    reader.character("!")
    return reader.either(_left, _inner, _hint)


def _left(reader: Reader) -> EmbedParameter:
    reader.attempt(lambda inner: inner.word("left"))
    return None, "left"


def _inner(reader: Reader) -> EmbedParameter:
    reader.attempt(lambda inner: inner.word("inner"))
    return None, "inner"


def _hint(reader: Reader) -> EmbedParameter:
    return reader.attempt(field_name), None


# --- fields --------------------------------------------------------------------------------------


def _alias(reader: Reader) -> str:
    def aliased(inner: Reader) -> str:
        name = field_name(inner)
        inner.character(":")
        inner.not_ahead(lambda innermost: innermost.character(":"))
        return name

    return reader.attempt(aliased)


_item_end = stops_at(")", ",")


def _select_field(reader: Reader) -> SelectItem:
    return padded(reader, _any_field)


def _any_field(reader: Reader) -> SelectItem:
    return reader.either(_star, _count, _column)


def _star(reader: Reader) -> SelectItem:
    def star(inner: Reader) -> SelectItem:
        inner.word("*")
        _item_end(inner)
        return SelectField(Field("*"))

    return reader.attempt(star)


def _count(reader: Reader) -> SelectItem:
    def count(inner: Reader) -> SelectItem:
        alias = inner.option(_alias)
        inner.word("count()")
        cast = inner.option(_cast)
        _item_end(inner)
        return SelectField(Field("*"), alias=alias, aggregate="count", aggregate_cast=cast)

    return reader.attempt(count)


def _column(reader: Reader) -> SelectItem:
    alias = reader.option(_alias)
    column = field(reader)
    cast = reader.option(_cast)
    aggregate = reader.option(_aggregate)
    aggregate_cast = reader.option(_cast)
    _item_end(reader)
    return SelectField(column, alias, cast, aggregate, aggregate_cast)


def _cast(reader: Reader) -> str:
    reader.word("::")
    return identifier(reader)


def _aggregate(reader: Reader) -> Aggregate:
    return reader.attempt(_aggregate_call)


def _aggregate_call(reader: Reader) -> Aggregate:
    reader.character(".")
    name: Aggregate = reader.either(*_AGGREGATES)
    reader.word("()")
    return name


def _aggregate_name(name: Aggregate, keeps_input: bool) -> Rule[Aggregate]:
    def word(reader: Reader) -> Aggregate:
        reader.word(name)
        return name

    return word if keeps_input else lambda reader: reader.attempt(word)


# `max` and `min` begin alike, so they give their input back.
_AGGREGATES: tuple[Rule[Aggregate], ...] = (
    _aggregate_name("sum", keeps_input=True),
    _aggregate_name("avg", keeps_input=True),
    _aggregate_name("count", keeps_input=True),
    _aggregate_name("max", keeps_input=False),
    _aggregate_name("min", keeps_input=False),
)
assert len(_AGGREGATES) == len(get_args(Aggregate))
