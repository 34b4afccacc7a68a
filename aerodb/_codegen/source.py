"""The module that `aerodb types` writes: Row, Insert and Update of every table.

`Row` is in the style that was asked for; `Insert` and `Update` are TypedDicts in every style, since
what is left out of a write must be left out of it, and a dict can do that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from aerodb._codegen.column_types import MODULES, annotation
from aerodb._codegen.names import class_stem, field_name, is_plain
from aerodb._core.tables import Column, Table

Style = Literal["typeddict", "dataclass", "pydantic", "msgspec"]
STYLES: tuple[Style, ...] = ("typeddict", "dataclass", "pydantic", "msgspec")
_WORD = re.compile(r"[A-Za-z]+")
_LITERAL = re.compile(r"""\"(?:[^"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'""")
_MSGSPEC_CANNOT = re.compile(r'["\\\x00-\x1f]')


def module_source(tables: Sequence[Table], style: Style = "typeddict") -> str:
    """The text of a module with the classes of these tables. It defines classes and does nothing
    else, whatever the tables and columns are called."""
    taken: set[str] = set()
    bodies: list[str] = []
    names: list[str] = []
    for table in tables:
        stem = class_stem(table.name, taken)
        taken.add(stem)
        written = _classes(stem, table, style)
        names += [name for name, _ in written]
        bodies += [text for _, text in written]
    body = "\n\n\n".join(bodies)
    listed = "".join(f'    "{name}",\n' for name in sorted(names))
    parts = [
        '"""Rows of the database, written by `aerodb types`. Not to be edited: run it again."""\n',
        *_imports(body),
        f"__all__ = [\n{listed}]\n",
    ]
    return "\n".join(parts) + (f"\n\n{body}\n" if body else "")


def _imports(body: str) -> list[str]:
    """What the classes need, in the order of linters; a line more than needed is not there."""
    words = set(_WORD.findall(_LITERAL.sub("", body).replace("msgspec.field", "msgspec")))
    used: dict[str, list[str]] = {}
    for name, module in MODULES.items():
        if name in words:
            used.setdefault(module, []).append(name)
    lines = {
        module: f"from {module} import {', '.join(sorted(names, key=_constants_first))}\n"
        for module, names in sorted(used.items())
    }
    if "msgspec" in words:
        lines["msgspec"] = "import msgspec\n"
    theirs = [lines.pop(module) for module in ("msgspec", "pydantic") if module in lines]
    return ["".join(group) for group in (list(lines.values()), theirs) if group]


def _constants_first(name: str) -> tuple[bool, str]:
    return (not name.isupper(), name)


def _classes(stem: str, table: Table, style: Style) -> list[tuple[str, str]]:
    row = f"{stem}Row"
    made = [(row, _ROWS[style](row, table))]
    if table.writable and table.columns:
        insert = [(c, annotation(c, parsed=False), c.optional) for c in table.columns]
        update = [(c, annotation(c, parsed=False), True) for c in table.columns]
        made.append((f"{stem}Insert", _typed_dict(f"{stem}Insert", insert, f"For {table.name}.")))
        made.append((f"{stem}Update", _typed_dict(f"{stem}Update", update, f"For {table.name}.")))
    return made


def _about(table: Table) -> str:
    return table.description.strip() or f"A row of {table.name}."


def _docstring(text: str) -> str:
    """A docstring that cannot end before its end."""
    plain = text.isprintable() and text.isascii() and not set(text) & set('"\\')
    return f'    """{text}"""' if plain and len(text) < 80 else f"    {text!a}"


# --- styles -----------------------------------------------------------------------------------


def _typed_dict(name: str, fields: Sequence[tuple[Column, str, bool]], about: str) -> str:
    typed = [(c, f"NotRequired[{said}]" if optional else said) for c, said, optional in fields]
    if all(_may_be_key(column.name) for column, _ in typed):
        lines = [f"    {column.name}: {said}" for column, said in typed]
        return "\n".join([f"class {name}(TypedDict):", _docstring(about), "", *lines])
    members = [f"        {column.name!a}: {said}," for column, said in typed]
    return "\n".join([f"{name} = TypedDict(", f'    "{name}",', "    {", *members, "    },", ")"])


def _may_be_key(name: str) -> bool:
    return is_plain(name) or (name.isascii() and name.isidentifier() and name in _SAFE_KEYS)


_SAFE_KEYS = frozenset(
    {"copy", "json", "schema", "construct", "validate", "field", "match", "type"}
)
"""Names that models use themselves, and that are keys like any other in a TypedDict."""


def _row_typed_dict(name: str, table: Table) -> str:
    fields = [(column, annotation(column, parsed=False), False) for column in table.columns]
    return _typed_dict(name, fields, _about(table))


def _row_dataclass(name: str, table: Table) -> str:
    head = ["@dataclass(kw_only=True, slots=True)", f"class {name}:", _docstring(_about(table))]

    def other(column: str) -> str:
        return f'field(metadata={{"column": {column!a}}})'

    return _fields(head, table, other)


def _row_pydantic(name: str, table: Table) -> str:
    head = [f"class {name}(BaseModel):", _docstring(_about(table))]
    if any(not is_plain(column.name) for column in table.columns):
        head += ["", "    model_config = ConfigDict(populate_by_name=True)"]
    return _fields(head, table, lambda column: f"Field(alias={column!a})")


def _row_msgspec(name: str, table: Table) -> str:
    head = [f"class {name}(msgspec.Struct, kw_only=True):", _docstring(_about(table))]
    columns = tuple(c for c in table.columns if not _MSGSPEC_CANNOT.search(c.name))
    if len(columns) < len(table.columns):
        head += ["", "    # columns are left out whose names msgspec cannot have"]
        table = replace(table, columns=columns)
    return _fields(head, table, lambda column: f"msgspec.field(name={column!a})")


def _fields(head: list[str], table: Table, other_name: Callable[[str], str]) -> str:
    taken: set[str] = set()
    lines = []
    for column in sorted(table.columns, key=lambda c: not is_plain(c.name)):
        field = field_name(column.name, taken)
        taken.add(field)
        said = annotation(column, parsed=True)
        given = "" if field == column.name else f" = {other_name(column.name)}"
        lines.append(f"    {field}: {said}{given}")
    return "\n".join([*head, "", *lines] if lines else head)


_ROWS: dict[str, Callable[[str, Table], str]] = {
    "typeddict": _row_typed_dict,
    "dataclass": _row_dataclass,
    "pydantic": _row_pydantic,
    "msgspec": _row_msgspec,
}
