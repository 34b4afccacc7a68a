"""How answers look: a table for people in terminals and notebooks, cut to what can be read.

Standard library only, like `aerodb.types`, which asks it. Cells come from a database: control
characters, escape sequences and markup in them are shown, never carried out (reliability C10).
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any

MOST_ROWS = 20
MOST_COLUMNS = 12
WIDEST_CELL = 40
_MOST_DETAILS = 500
_UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def text_table(
    data: Any,
    *,
    most_rows: int | None = MOST_ROWS,
    most_columns: int | None = MOST_COLUMNS,
    widest: int | None = WIDEST_CELL,
) -> str:
    """Rows as an aligned table; anything else as one short text. None is no limit."""
    if hasattr(data, "__arrow_c_stream__"):  # a data frame shows itself, on lines of its own
        return "\n".join(map(printable, str(data).split("\n")))
    grid = _grid(data, most_rows, most_columns)
    if grid is None:
        return cell(data, limit=1000 if widest is not None else None)
    columns, rows, left_out = grid
    if not columns:
        return "no rows"
    shown = [[cell(value, limit=widest) for value in row] for row in rows]
    aligned = _numeric(columns, rows)
    widths = [max(map(len, texts)) for texts in zip(columns, *shown, strict=True)]
    lines = [_line(columns, widths, aligned), "  ".join("-" * width for width in widths)]
    lines += [_line(row, widths, aligned) for row in shown]
    return "\n".join([*lines, *left_out])


def cut_note(response: Any, remedy: str) -> str | None:
    """What to say of an answer whose rows are not all that were asked for; None if they are."""
    if response.meta.truncated is not True or not isinstance(response.data, Sequence):
        return None
    came = f"only {len(response.data):,}"
    if response.count is not None:
        return f"{came} of {response.count:,} rows came: {remedy}"
    return f"{came} rows came, and there may be more: {remedy}"


def notes(response: Any) -> list[str]:
    """What stands below the rows of an answer: how many there are, and whether all came."""
    total = response.count
    if total is None or (type(response.data) is int and response.data == total):
        found = []
    else:
        found = [f"{total:,} rows in all"]
    cut = cut_note(response, ".all() gets every row")
    return found if cut is None else [*found, cut]


def short_repr(response: Any) -> str:
    """An answer on one line: the first of its rows, and how many there are."""
    name = type(response).__name__
    if response.error is not None:
        return f"<{name} error {printable(str(response.error))}>"
    parts = [cut_reprs().repr(response.data)]
    if isinstance(response.data, list):
        rows = len(response.data)
        parts.insert(0, f"{rows:,} {'row' if rows == 1 else 'rows'}")
    if response.count is not None:
        parts.insert(-1, f"count {response.count:,}")
    return f"<{name} {', '.join(parts[:-1])}{': ' if parts[:-1] else ''}{parts[-1]}>"


@cache
def cut_reprs() -> Any:
    """What makes short texts of values of any size."""
    reprs: Any = import_module("reprlib").Repr()
    reprs.maxlist, reprs.maxdict, reprs.maxlevel = 2, 6, 3
    reprs.maxstring = reprs.maxother = WIDEST_CELL
    return reprs


def rich_text(text: str) -> Any:
    """What rich prints, which alone asks for it: nothing in it is markup."""
    return import_module("rich.text").Text(text)


def html_table(data: Any, *, most_rows: int | None = MOST_ROWS, title: str = "") -> str:
    """The same as HTML; every value is escaped. A data frame shows itself."""
    own: Any = getattr(data, "_repr_html_", None)
    if hasattr(data, "columns") and callable(own):
        return str(own())
    grid = _grid(data, most_rows, MOST_COLUMNS)
    if grid is None:
        return f"<pre>{html.escape(cell(data, limit=1000))}</pre>"
    columns, rows, left_out = grid
    if not columns:
        return "<p>no rows</p>"
    right = _numeric(columns, rows)
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{' style=text-align:right' if at_right else ''}>{html.escape(cell(value))}</td>"
            for value, at_right in zip(row, right, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in left_out)
    named = f"<caption>{html.escape(printable(title))}</caption>" if title else ""
    return f"<table>{named}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{notes}"


def text_error(error: Any) -> str:
    """An error and its details. They may hold values, so they are not in the error's own text."""
    more = f"\n{cell(error.details, limit=_MOST_DETAILS)}" if error.details is not None else ""
    return f"{printable(str(error))}{more}"


def html_error(label: str, error: Any) -> str:
    """An error as HTML: its code and status, what happened, the details, what to do."""
    message, hint = error.message, error.hint
    more = f"<br><em>{html.escape(printable(hint))}</em>" if hint else ""
    if error.details is not None:
        more = f"<br>{html.escape(cell(error.details, limit=_MOST_DETAILS))}{more}"
    code = f"<strong>{html.escape(printable(label))}</strong> " if label else ""
    style = "color:#b00020"
    return f'<p style="{style}">{code}{html.escape(printable(message))}{more}</p>'


def cell(value: Any, *, limit: int | None = WIDEST_CELL) -> str:
    """One value on one line, cut at `limit` characters."""
    if value is None:
        text = "None"
    elif isinstance(value, str):
        text = value
    elif isinstance(value, dict | list):
        text = json.dumps(value, ensure_ascii=False, default=str)
    elif isinstance(value, tuple):
        text = ", ".join(map(str, value))
    else:
        text = str(value)
    if limit is None:
        return printable(text)
    text = printable(text[: limit + 1])
    return text if len(text) <= limit else text[: limit - 1] + "…"


def printable(text: str) -> str:
    """The text with everything that could move a cursor, or turn the writing round, spelled out."""
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


def _grid(
    data: Any, most_rows: int | None, most_columns: int | None
) -> tuple[list[str], list[list[Any]], list[str]] | None:
    """Column names, rows and notes on what is left out; None if this is no table."""
    rows = [data] if isinstance(data, Mapping) else data
    if not isinstance(rows, Sequence) or isinstance(rows, str | bytes | bytearray):
        return None
    mappings = [_mapping(row) for row in rows[:most_rows]]
    if any(row is None for row in mappings):
        return None
    names = list(dict.fromkeys(str(name) for row in mappings if row for name in row))
    notes = []
    if len(rows) > len(mappings):
        notes.append(f"... {len(rows) - len(mappings):,} more rows")
    shown = names[:most_columns]
    if len(names) > len(shown):
        notes.append(f"... {len(names) - len(shown)} more columns")
    table = [[(row or {}).get(name) for name in shown] for row in mappings]
    return [cell(name) for name in shown], table, notes


def _mapping(row: Any) -> Mapping[str, Any] | None:
    """A row as a mapping: a dict, or an object with named fields."""
    if isinstance(row, Mapping):
        return row
    names = (
        getattr(row, "__dataclass_fields__", None)
        or getattr(row, "__struct_fields__", None)
        or getattr(type(row), "model_fields", None)
    )
    if names:
        return {name: getattr(row, name, None) for name in names}
    return None


def _numeric(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[bool]:
    """Which columns hold nothing but numbers, and go to the right."""
    return [
        any(row[at] is not None for row in rows)
        and all(
            row[at] is None or (isinstance(row[at], int | float) and not isinstance(row[at], bool))
            for row in rows
        )
        for at in range(len(columns))
    ]


def _line(texts: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    cells = (
        text.rjust(width) if at_right else text.ljust(width)
        for text, width, at_right in zip(texts, widths, right, strict=True)
    )
    return "  ".join(cells).rstrip()
