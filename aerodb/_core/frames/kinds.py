"""What a PostgreSQL type becomes in a column: one word for all three libraries."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

__all__ = ["JSON", "TEXT", "UNKNOWN", "Kind", "Word", "kind_of_type"]

Word = Literal[
    "bool", "int16", "int32", "int64", "float32", "float64", "decimal", "text", "bytes",
    "timestamptz", "timestamp", "date", "time", "json", "unknown",
]  # fmt: skip


class Kind(NamedTuple):
    """The type of a column: `depth` lists around `word`."""

    word: Word
    depth: int = 0


UNKNOWN = Kind("unknown")
JSON = Kind("json")
TEXT = Kind("text")

_WORDS: dict[str, Word] = {
    "boolean": "bool", "bool": "bool",
    "smallint": "int16", "int2": "int16", "int16": "int16", "smallserial": "int16",
    "integer": "int32", "int": "int32", "int4": "int32", "int32": "int32", "serial": "int32",
    "bigint": "int64", "int8": "int64", "int64": "int64", "bigserial": "int64",
    "real": "float32", "float4": "float32",
    "double precision": "float64", "float8": "float64", "float": "float64",
    "numeric": "decimal", "decimal": "decimal",
    "text": "text", "character varying": "text", "varchar": "text", "character": "text",
    "char": "text", "bpchar": "text", "citext": "text", "name": "text", "uuid": "text",
    "xml": "text", "money": "text", "interval": "text", "inet": "text", "cidr": "text",
    "macaddr": "text", "time with time zone": "text", "timetz": "text", "tsvector": "text",
    "int4range": "text", "int8range": "text", "numrange": "text", "daterange": "text",
    "tsrange": "text", "tstzrange": "text", "bit": "text", "bit varying": "text",
    "bytea": "bytes",
    "timestamp with time zone": "timestamptz", "timestamptz": "timestamptz",
    "timestamp without time zone": "timestamp", "timestamp": "timestamp",
    "date": "date",
    "time without time zone": "time", "time": "time",
    "json": "json", "jsonb": "json",
}  # fmt: skip
_LENGTH = re.compile(r"\([0-9, -]*\)")


def kind_of_type(name: str) -> Kind:
    """The kind of a type by PostgreSQL's name of it: `int8`, `numeric(10,2)`, `text[]`.

    A type that is not known (a composite, an extension's) is `UNKNOWN`: the values then decide.
    """
    base = _LENGTH.sub("", name).strip().lower().removeprefix("pg_catalog.")
    base = " ".join(base.split())
    depth = 0
    while base.endswith("[]"):
        base, depth = base[:-2].rstrip(), depth + 1
    word = _WORDS.get(base)
    return UNKNOWN if word is None else Kind(word, depth)
