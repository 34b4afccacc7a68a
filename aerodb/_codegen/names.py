"""Python names for whatever tables and columns are called."""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection

_WORDS = re.compile(r"[A-Za-z0-9]+")


def class_stem(table: str, taken: Collection[str]) -> str:
    """`CamelCase` of a table's name, unlike those that are taken."""
    words = _WORDS.findall(table)
    stem = "".join(word[0].upper() + word[1:] for word in words)
    if not stem or stem[0].isdigit():
        stem = f"Table{stem}"
    return _unlike(stem, taken)


def field_name(column: str, taken: Collection[str]) -> str:
    """A name that a field of a class may have, unlike those that are taken.

    The column's own if that is one: no keyword, and without leading underscores, which classes keep
    for themselves.
    """
    if is_plain(column) and column not in taken:
        return column
    stem = "_".join(_WORDS.findall(column)).lower()
    if not stem or stem[0].isdigit():
        stem = f"column_{stem}".rstrip("_")
    if keyword.iskeyword(stem) or not is_plain(stem):
        stem = f"{stem}_"
    return _unlike(stem, taken)


def is_plain(name: str) -> bool:
    """Whether a column can be a field under its own name. `model_` is pydantic's."""
    return (
        name.isascii()
        and name.isidentifier()
        and not keyword.iskeyword(name)
        and not keyword.issoftkeyword(name)
        and not name.startswith(("_", "model_"))
        and name not in _OWN
    )


_OWN = frozenset(
    {"construct", "copy", "dict", "from_orm", "json", "mro", "parse_file", "parse_obj", "parse_raw"}
    | {"schema", "schema_json", "update_forward_refs", "validate"}
    | {"int", "str", "float", "bool", "list", "bytes", "datetime", "date", "time", "timedelta"}
    | {"field", "dataclass"}
)
"""Names that models use themselves, or that annotations in the same class would then mean."""


def _unlike(stem: str, taken: Collection[str]) -> str:
    name, number = stem, 2
    while name in taken:
        name = f"{stem}{number}" if stem[-1] != "_" else f"{stem}{number}_"
        number += 1
    return name
