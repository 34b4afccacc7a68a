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


@lru_cache(maxsize=1024)
def sql(text: LiteralString) -> Fragment:
    """A constant piece of SQL, without a percent sign."""
    return Fragment(text)


def join(separator: LiteralString, fragments: Iterable[Fragment]) -> Fragment:
    texts: list[str] = []
    params: list[Slot] = []
    for fragment in fragments:
        texts.append(fragment.text)
        if fragment.params:
            params += fragment.params
    return Fragment(separator.join(texts), tuple(params))


def concat(*fragments: Fragment) -> Fragment:
    return join("", fragments)


@lru_cache(maxsize=4096)
def ident(name: str) -> Fragment:
    """A quoted identifier, cut at a NUL as no identifier can hold one."""
    quoted = psycopg.sql.Identifier(name.split("\0", 1)[0]).as_string(None)
    return Fragment(quoted.replace("%", "%%"))


@lru_cache(maxsize=4096)
def literal(value: str) -> Fragment:
    """A quoted literal: only for what shapes the query (JSON keys), never for compared values."""
    quoted = psycopg.sql.Literal(value.split("\0", 1)[0]).as_string(None)
    return Fragment(quoted.strip().replace("%", "%%"))


@lru_cache(maxsize=4096)
def qualified(name: Name) -> Fragment:
    if name.schema:
        return concat(ident(name.schema), sql("."), ident(name.name))
    return ident(name.name)


@lru_cache(maxsize=8192)
def column(table: Name, name: str) -> Fragment:
    if name == "*":
        return qualified(table) + sql(".*")
    return concat(qualified(table), sql("."), ident(name))


def type_name(printed: str) -> Fragment:
    """A type as PostgreSQL's `format_type` printed it."""
    return Fragment(printed.replace("%", "%%"))


def expression(printed: str) -> Fragment:
    """An expression as PostgreSQL printed it (the default of a column)."""
    return Fragment(printed.replace("%", "%%"))


_CAST = re.compile(r"[\w $]+\Z")


def cast_target(requested: str) -> Fragment:
    """A type name from `::cast`. Not quoted: `int` and `double precision` are syntax, not names."""
    if not _CAST.match(requested):
        raise RestError(400, "42704", f'type "{requested}" does not exist')
    return Fragment(requested)


def param(slot: Slot) -> Fragment:
    """A parameter. Texts are untyped: PostgreSQL infers the type from the place, as it does for
    `'literal'`."""
    return Fragment("%s", (slot,))


def call(function: Name, argument: Fragment) -> Fragment:
    return concat(qualified(function), sql("("), argument, sql(")"))


def current_setting(name: LiteralString) -> Fragment:
    """A setting of this transaction, NULL when empty or never set."""
    return sql("nullif(current_setting('") + sql(name) + sql("', true), '')")
