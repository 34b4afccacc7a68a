"""Column names, select lists, embedded tables and order terms (wire-contract §3.4, §3.5)."""

from __future__ import annotations

import re
from typing import Any

from aerodb._core.database.encode import quoted
from aerodb._core.values import BadValue, describe

__all__ = ["Embed", "embed", "name_text", "order_term", "path_text", "select_list"]

# Keys with a meaning of their own: as columns they must be quoted.
_RESERVED = frozenset({"select", "columns", "on_conflict", "order", "limit", "offset", "and", "or"})
_IDENTIFIER = re.compile(r"[A-Za-z0-9_$]+(?:[ -][A-Za-z0-9_$]+)*").fullmatch
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)+"', re.DOTALL).fullmatch
_ARROW = re.compile(r'"(?:[^"\\]|\\.)*"|(->>?)', re.DOTALL)
_INDEX = re.compile(r"-?[0-9]+").fullmatch
_JSON_KEY = re.compile(r'[^(:.,>)"\s-]+(?:[ -][^(:.,>)"\s-]+)*').fullmatch
_DOTTED = re.compile(r'"(?:[^"\\]|\\.)*"|[^."]+|\.|"', re.DOTALL)


def name_text(name: str) -> str:
    """One identifier, quoted if it is not a plain one. Text already in quotes stays as it is."""
    if _IDENTIFIER(name) or _QUOTED(name):
        return name
    if not name:
        raise BadValue("an empty column name was given, expected a name")
    if all(c.isalpha() or c in "_$" or (c.isascii() and c.isdigit()) for c in name):
        return name
    return quoted(name)


def path_text(column: Any, *, dotted: bool = True) -> str:
    """A column as a filter names it: `col`, `table.col`, `col->key->>0`.

    Each part is quoted on its own where it must be. With `dotted=False` (inside an and/or tree,
    where the grammar has no tables) a dot outside quotes is refused.
    """
    if not isinstance(column, str):
        if isinstance(column, BadValue):  # what could not be said when it was built
            raise BadValue(column.message)
        raise BadValue(
            f"column: {describe(column)} was given, expected a str",
            hint="col() begins a condition: where(col('age') > 18)."
            if hasattr(column, "select_text")
            else None,
        )
    if _IDENTIFIER(column) and column not in _RESERVED:
        return column
    base, *steps = _split_arrows(column)
    parts = _split_dots(base)
    if len(parts) > 1 and not dotted:
        raise BadValue(
            f"column {column!r} was given, expected one of the table itself",
            hint="Name the embedded table with foreign_table=; quote a name that has a dot.",
        )
    names = [name_text(part) for part in parts]
    if names[-1] in _RESERVED:
        names[-1] = quoted(names[-1])
    return ".".join(names) + _json_steps(column, steps)


def whole_name(column: Any) -> Any:
    """A column whose name may have any character: quoted if need be, but for JSON steps. What is
    no text waits for its error."""
    if not isinstance(column, str) or _IDENTIFIER(column) or column == "*":
        return column
    base, *steps = _split_arrows(column)
    if base and not _IDENTIFIER(base) and not _QUOTED(base):
        base = quoted(base)
    return base + "".join(steps)


def _split_arrows(text: str) -> list[str]:
    parts: list[str] = []
    start = 0
    for match in _ARROW.finditer(text):
        if match[1]:
            parts += [text[start : match.start()], match[1]]
            start = match.end()
    return [*parts, text[start:]]


def _split_dots(text: str) -> list[str]:
    if '"' not in text:
        return text.split(".")
    parts = [""]
    for piece in _DOTTED.findall(text):
        if piece == ".":
            parts.append("")
        else:
            parts[-1] += piece
    return parts


def _json_steps(column: str, steps: list[str]) -> str:
    text = ""
    for arrow, key in zip(steps[::2], steps[1::2], strict=True):
        if not key:
            raise BadValue(f"column {column!r} was given, expected a key after {arrow}")
        plain = _INDEX(key) or _JSON_KEY(key) or _QUOTED(key) or key == '""'
        text += arrow + (key if plain else quoted(key))
    return text


def json_key(key: str | int) -> str:
    """One step of a JSON path: a member by name, an element by number."""
    if isinstance(key, int):
        return str(int(key))
    return key if _JSON_KEY(key) and not _INDEX(key) else quoted(key)


_SPACE = re.compile(r'("(?:[^"\\]|\\.)*")|\s*(->>?|\.\.\.|::|[,():!.])\s*|\s+', re.DOTALL)


def select_list(columns: tuple[Any, ...]) -> str:
    """The value of `select`. Strings are the server's grammar and trusted; spaces and line breaks
    around separators go."""
    return ",".join([_select_item(item) for item in columns]) if columns else "*"


def _select_item(item: Any) -> str:
    if isinstance(item, str):
        return _SPACE.sub(_squeeze, item.strip()) if not _IDENTIFIER(item) else item
    render = getattr(item, "select_text", None)
    if render is None:
        raise BadValue(
            f"select: {describe(item)} was given, expected a str, col() or embed()",
            hint="Names are arguments of their own: select(*names)."
            if isinstance(item, list | tuple)
            else None,
        )
    text: str = render()
    return text


def _squeeze(match: re.Match[str]) -> str:
    return match[1] or match[2] or " "


class Embed:
    """A related table inside a select list. Made by `embed`."""

    __slots__ = ("_columns", "_head")

    def __init__(self, head: tuple[Any, Any, Any, str, str], columns: tuple[Any, ...]) -> None:
        self._head = head
        self._columns = columns

    def select_text(self) -> str:
        """The text of this item in `select`."""
        alias, table, hint, spread, join = self._head
        head = spread + (f"{_named(alias, 'alias')}:" if alias else "") + _named(table, "table")
        head += f"!{_named(hint, 'hint')}" if hint else ""
        return f"{head}{join}({select_list(self._columns)})"

    def __repr__(self) -> str:
        try:
            return self.select_text()
        except BadValue as error:
            return f"<bad embed: {error.message}>"


def _named(name: Any, what: str) -> str:
    if not isinstance(name, str):
        raise BadValue(f"embed: {what}: {describe(name)} was given, expected a str")
    return name_text(name)


def embed(
    table: str,
    *columns: str | Embed | Any,
    inner: bool = False,
    left: bool = False,
    alias: str | None = None,
    hint: str | None = None,
    spread: bool = False,
) -> Embed:
    """Select related rows: `select("id", embed("posts", "title", inner=True))`.

    Args:
        table: The related table, or the foreign key column or constraint that leads to it.
        columns: What to select of it; all columns if none are named.
        inner: Leave out rows that have no related row.
        left: Keep them (the default of the server, said out loud).
        alias: The name in the answer.
        hint: Which foreign key to follow if there are several.
        spread: Put the related columns into the row itself (to-one relations).
    """
    if inner and left:
        raise TypeError("embed() takes inner=True or left=True, not both")
    if spread and alias is not None:
        raise TypeError("embed() with spread=True has no alias")
    join = "!inner" if inner else "!left" if left else ""
    return Embed((alias, table, hint, "..." if spread else "", join), columns)


_RELATED = re.compile(r"([^()]+)\(([^()]+)\)").fullmatch


def order_term(column: Any, ascending: bool, nulls_first: bool | None) -> str:
    """One term of `order`: `created_at.desc.nullslast`, `author(name).asc`."""
    if not isinstance(column, str):
        column = getattr(column, "path", column)
        if isinstance(column, BadValue):  # what could not be said when it was built
            raise BadValue(column.message)
        if not isinstance(column, str):
            raise BadValue(f"order: {describe(column)} was given, expected a column name")
    related = None if column.startswith('"') else _RELATED(column)
    text = f"{name_text(related[1])}({_own(related[2])})" if related else _own(column)
    nulls = "" if nulls_first is None else ".nullsfirst" if nulls_first else ".nullslast"
    return text + (".asc" if ascending else ".desc") + nulls


_DIRECTED = re.compile(r"[^\"]*\s(?:asc|desc)", re.IGNORECASE).fullmatch


def _own(column: str) -> str:
    if _DIRECTED(column):
        raise BadValue(
            f"order: {column!r} was given, expected the name of a column",
            hint="Descending is desc=True in Python, name.desc on the command line; a name that "
            "really ends so goes in quotes, '\"...\"'.",
        )
    if "," in column and not column.startswith('"'):
        raise BadValue(
            f"order: {column!r} was given, expected one column",
            hint="Call order() once for each; on the command line, give --order once for each.",
        )
    try:
        return path_text(column, dotted=False)
    except BadValue as error:
        raise BadValue(
            f"order: {error.message}",
            hint='Say the direction with ascending=; sort by a related row with "table(column)".',
        ) from None
