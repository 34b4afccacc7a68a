"""Pieces of SQL that carry their parameters, so that text and values never get out of step.

The text of a fragment comes only from literals of this package (`sql`), quoted identifiers
(`ident`, `qualified`, `column`), quoted literals that belong to the query's shape (`literal`) and
names that PostgreSQL itself printed (`type_name`, `expression`). Everything else is a parameter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import LiteralString

import psycopg.sql

from aerodb.local.rest.ast import Name
from aerodb.local.rest.errors import RestError
from aerodb.local.rest.plan.slots import Slot


@dataclass(slots=True)
class Fragment:
    """SQL text with `%s` placeholders and as many slots; a value, never changed.

    Not frozen, as a plan makes hundreds of these and a frozen one costs three times as much.
    """

    text: str
    params: tuple[Slot, ...] = ()

    def __add__(self, other: Fragment) -> Fragment:
        return Fragment(self.text + other.text, self.params + other.params)

    def __bool__(self) -> bool:
        return bool(self.text)


EMPTY = Fragment("")
SOURCE = Name("", "pgrst_source")
"""The common table expression that reads, writes or calls."""
_CACHED_LENGTH = 128
"""Longer names come from requests alone: nothing in a database is called so."""


@lru_cache(maxsize=1024)
def sql(text: LiteralString) -> Fragment:
    """A constant piece of SQL, without a percent sign."""
    return Fragment(text)


def join(separator: LiteralString, fragments: Iterable[Fragment]) -> Fragment:
    """Fragments with a constant between them."""
    texts: list[str] = []
    params: list[Slot] = []
    for fragment in fragments:
        texts.append(fragment.text)
        if fragment.params:
            params += fragment.params
    return Fragment(separator.join(texts), tuple(params))


def concat(*fragments: Fragment) -> Fragment:
    """Fragments one after the other."""
    return join("", fragments)


def ident(name: str) -> Fragment:
    """A quoted identifier, cut at a NUL as no identifier can hold one."""
    return _ident(name) if len(name) <= _CACHED_LENGTH else _ident.__wrapped__(name)


@lru_cache(maxsize=4096)
def _ident(name: str) -> Fragment:
    quoted = psycopg.sql.Identifier(name.split("\0", 1)[0]).as_string(None)
    return Fragment(quoted.replace("%", "%%"))


def literal(value: str) -> Fragment:
    """A quoted literal: only for what shapes the query (JSON keys), never for compared values."""
    quoted = psycopg.sql.Literal(value.split("\0", 1)[0]).as_string(None)
    return Fragment(quoted.strip().replace("%", "%%"))


@lru_cache(maxsize=1024)
def qualified(name: Name) -> Fragment:
    """A name with its schema, if it has one. Names of the catalog, or made from them."""
    if name.schema:
        return concat(ident(name.schema), sql("."), ident(name.name))
    return ident(name.name)


def column(table: Name, name: str) -> Fragment:
    """A qualified column, or all of them for `*`."""
    owner = qualified(table)
    if name == "*":
        return Fragment(f"{owner.text}.*")
    return Fragment(f"{owner.text}.{ident(name).text}")


def type_name(printed: str) -> Fragment:
    """A type as PostgreSQL's `format_type` printed it."""
    return Fragment(printed.replace("%", "%%"))


def expression(printed: str) -> Fragment:
    """An expression as PostgreSQL printed it (the default of a column)."""
    return Fragment(printed.replace("%", "%%"))


_CAST = re.compile(r"[\w ]+\Z")


def cast_target(requested: str) -> Fragment:
    """A type name from `::cast`.

    Not quoted, as `int` and `double precision` are syntax and not names; but a dollar could begin a
    string.
    """
    if "$" in requested:
        return ident(requested)
    if not _CAST.match(requested):
        raise RestError(400, "42704", f'type "{requested}" does not exist')
    return Fragment(requested)


def param(slot: Slot) -> Fragment:
    """A parameter. Texts are untyped: PostgreSQL infers the type from the place, as it does for
    `'literal'`."""
    return Fragment("%s", (slot,))


def call(function: Name, argument: Fragment) -> Fragment:
    """A function of one argument."""
    return concat(qualified(function), sql("("), argument, sql(")"))


def current_setting(name: LiteralString) -> Fragment:
    """A setting of this transaction, NULL when empty or never set."""
    return sql("nullif(current_setting('") + sql(name) + sql("', true), '')")
