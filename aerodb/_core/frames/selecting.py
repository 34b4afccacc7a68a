"""Which columns a select list gives, and of which types, as far as a description tells.

The grammar is the server's (wire-contract §3.4). What cannot be known is left to the values:
an unknown type, or, for an unknown name, no column before a row has it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from aerodb._core.frames.kinds import JSON, TEXT, UNKNOWN, Kind, kind_of_type

__all__ = ["Columns", "columns_of", "items_of", "kinds_of_select"]

Columns = dict[str, Kind]

_TOKEN = re.compile(
    r'"(?:[^"\\]|\\.)*"|->>|->|::|\.\.\.|[(),:!.]|(?:(?!->|\.)[^"(),:!])+|.', re.DOTALL
)
_AGGREGATES = frozenset({"avg", "count", "max", "min", "sum"})
_INDEX = re.compile(r"-?[0-9]+").fullmatch


def columns_of(table: Any) -> Columns:
    """The kinds of a described table's columns (`aerodb._core.tables.Table`)."""
    return {
        one.name: TEXT if one.words else JSON if one.kind is None and not one.format
        else kind_of_type(one.format)
        for one in table.columns
    }  # fmt: skip


def kinds_of_select(select: str, table: str, tables: Mapping[str, Columns]) -> Columns:
    """The columns of `select` on `table`, in order."""
    own = tables.get(table, {})
    found: Columns = {}
    for item in items_of(select):
        found.update(_columns_of_item(item, own, tables))
    return found


def items_of(select: str) -> list[list[str]]:
    """The items of a select list as words; commas inside parentheses and quotes part nothing."""
    items: list[list[str]] = [[]]
    depth = 0
    for word in _TOKEN.findall(select):
        depth += (word == "(") - (word == ")")
        if word == "," and depth == 0:
            items.append([])
        elif depth or word.strip():
            items[-1].append(word if word[0] == '"' else word.strip())
    return [item for item in items if item]


def _columns_of_item(words: Sequence[str], own: Columns, tables: Mapping[str, Columns]) -> Columns:
    if list(words) == ["*"]:
        return own
    spread = words[0] == "..."
    alias, rest = (None, words[1:]) if spread else _alias(words)
    if not rest:
        return {}
    if "(" in rest:
        at = list(rest).index("(")
        name = _plain(rest[at - 1]) if at else ""
        if name in _AGGREGATES and list(rest[at : at + 2]) == ["(", ")"]:
            return _aggregate(alias, name, rest, at, own)
        if spread:
            inner = "".join(rest[at + 1 : -1])
            target = _plain(rest[0])
            return kinds_of_select(inner, target, tables) if target in tables else {}
        return {alias or _plain(rest[0]): JSON}
    return {} if spread else _column(alias, rest, own)


def _alias(words: Sequence[str]) -> tuple[str | None, Sequence[str]]:
    if len(words) > 2 and words[1] == ":":
        return _plain(words[0]), words[2:]
    return None, words


def _column(alias: str | None, words: Sequence[str], own: Columns) -> Columns:
    path, cast = _cast(words)
    name = _plain(path[0]) if path else ""
    kind = own.get(name, UNKNOWN)
    arrows = [at for at, word in enumerate(path) if word in ("->", "->>")]
    if arrows:
        kind = TEXT if path[arrows[-1]] == "->>" else JSON
        keys = [_plain("".join(path[at + 1 : at + 2])) for at in arrows]
        name = next((key for key in reversed(keys) if not _INDEX(key)), name)
    if cast:
        kind = kind_of_type(cast)
    return {alias or name: kind}


def _aggregate(
    alias: str | None, name: str, words: Sequence[str], at: int, own: Columns
) -> Columns:
    path, _ = _cast(words[:at])
    cast = _cast(words[at:])[1]
    kind = Kind("int64") if name == "count" else UNKNOWN
    if name in ("max", "min") and len(path) == 3:
        kind = own.get(_plain(path[0]), UNKNOWN)
    return {alias or name: kind_of_type(cast) if cast else kind}


def _cast(words: Sequence[str]) -> tuple[Sequence[str], str]:
    if "::" not in words:
        return words, ""
    at = list(words).index("::")
    return words[:at], "".join(words[at + 1 :])


def _plain(word: str) -> str:
    if len(word) > 1 and word[0] == word[-1] == '"':
        return re.sub(r"\\(.)", r"\1", word[1:-1], flags=re.DOTALL)
    return word
