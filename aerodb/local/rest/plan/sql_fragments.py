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


@dataclass(frozen=True, slots=True)
class Fragment:
    """SQL text with `%s` placeholders and as many parameters."""

    text: str
    params: tuple[object, ...] = ()

    def __add__(self, other: Fragment) -> Fragment:
        return Fragment(self.text + other.text, self.params + other.params)

    def __bool__(self) -> bool:
        return bool(self.text)


EMPTY = Fragment("")
SOURCE = Name("", "pgrst_source")
"""The common table expression that reads, writes or calls."""


def sql(text: LiteralString) -> Fragment:
    """A constant piece of SQL, without a percent sign."""
    return Fragment(text)


def join(separator: LiteralString, fragments: Iterable[Fragment]) -> Fragment:
    parts = tuple(fragments)
    return Fragment(
        separator.join([part.text for part in parts]),
        tuple(value for part in parts for value in part.params),
    )


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


def qualified(name: Name) -> Fragment:
    if name.schema:
        return concat(ident(name.schema), sql("."), ident(name.name))
    return ident(name.name)


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


def param(value: str) -> Fragment:
    """An untyped text parameter: PostgreSQL infers its type from the place, as for `'literal'`."""
    if "\0" in value:
        raise RestError(400, "22021", 'invalid byte sequence for encoding "UTF8": 0x00')
    return Fragment("%s", (value,))


def param_list(values: tuple[str, ...]) -> Fragment:
    """A text[] parameter."""
    if any("\0" in value for value in values):
        raise RestError(400, "22021", 'invalid byte sequence for encoding "UTF8": 0x00')
    return Fragment("%s", (list(values),))


def param_bytes(value: bytes | None) -> Fragment:
    """A bytea parameter."""
    return Fragment("%s", (value,))


def array_literal(values: Iterable[str]) -> str:
    """The text of an array, every element quoted, for an untyped parameter."""
    quoted = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join(f'"{value}"' for value in quoted) + "}"


def call(function: Name, argument: Fragment) -> Fragment:
    return concat(qualified(function), sql("("), argument, sql(")"))


def current_setting(name: LiteralString) -> Fragment:
    """A setting of this transaction, NULL when empty or never set."""
    return sql("nullif(current_setting('") + sql(name) + sql("', true), '')")
