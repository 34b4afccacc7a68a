"""`aerodb select`: rows of a table, all of them wherever somebody else than a person reads them."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import click

import aerodb
from aerodb.cli.options import SETTINGS, client, data_of, server, show

ON_A_TERMINAL = 100
"""Rows that a person is shown who did not say how many."""
PAGE = 1000
_AGGREGATE = re.compile(r"\b(?:count|sum|avg|min|max)\(\)")
_RANGE = re.compile(r"(\d+)-(\d+)/")
_HEADER = re.compile(r'\A(?:"(?:[^"]|"")*"|[^"\n])*(?:\n|\Z)')
_TERM = re.compile(r"(.+?)(?:\.(asc|desc))?(?:\.(nullsfirst|nullslast))?", re.DOTALL)


@click.command(context_settings=SETTINGS)
@click.argument("table")
@click.option("--columns", default="*", help="Columns and embedded tables, as select() takes them.")
@click.option(
    "--where", "filters", multiple=True, metavar="COLUMN=OP.VALUE",
    help="Filter in PostgREST's words, such as 'age=gt.18'; repeatable.",
)  # fmt: skip
@click.option(
    "--order", "orders", multiple=True, metavar="COLUMN[.desc][,...]",
    help="Order of the rows; repeatable.",
)  # fmt: skip
@click.option(
    "--limit", type=click.IntRange(min=0), default=None,
    help=f"Most rows to print. Default: all; on a terminal {ON_A_TERMINAL}.",
)  # fmt: skip
@click.option("--all", "everything", is_flag=True, help="All rows, on a terminal too.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@server
def select(table: str, filters: tuple[str, ...], **options: Any) -> None:
    """Print rows of TABLE: all of them, whatever the server gives at once. Only a table on a
    terminal ends after the first ones, and says so."""
    if options["as_json"] and options["as_csv"]:
        raise click.UsageError("--json and --csv exclude each other")
    if options["everything"] and options["limit"] is not None:
        raise click.UsageError("--all and --limit exclude each other")
    wanted = [_filter(text) for text in filters]
    orders = [_term(text) for group in options["orders"] for text in group.split(",")]
    with client(options["url"], options["schema"]) as asking:
        query: Any = asking.from_(table).select(options["columns"])
        for column, operator, value in wanted:
            query = query.filter(column, operator, value)
        for column, way in orders:
            query = query.order(column, **way)
        _print(asking, query, table, bool(orders), options)


def _print(
    asking: aerodb.AeroDBClient, query: Any, table: str, ordered: bool, options: dict[str, Any]
) -> None:
    limit, for_programs = options["limit"], options["as_json"] or options["as_csv"]
    if limit is None and not (for_programs or options["everything"] or not sys.stdout.isatty()):
        _print_first(query)
        return
    key = _key(asking, table, options["columns"], limit)
    if options["as_csv"]:
        _print_csv(_in_order(query, key), limit, certain=bool(key))
        return
    if key and not ordered:
        pages = query.pages(page_size=PAGE, key=key, max_rows=limit)
    else:
        pages = _in_order(query, key).pages(page_size=PAGE, max_rows=limit)
    found = _rows(pages, certain=bool(key))
    if options["as_json"]:
        _print_json(found)
    else:
        show(list(found), as_json=False)


def _rows(pages: Iterator[Any], *, certain: bool) -> Iterator[Any]:
    for number, page in enumerate(pages):
        rows = data_of(page, warn=False)
        if number == 1 and rows and not certain:
            _warn_of_pages()
        yield from rows


def _warn_of_pages() -> None:
    click.echo(
        "Warning: without a primary key that is known, pages may overlap or leave rows out, "
        "unless --order gives every row a place of its own.",
        err=True,
    )


def _print_first(query: Any) -> None:
    rows = data_of(query.limit(ON_A_TERMINAL + 1).execute())
    show(rows[:ON_A_TERMINAL], as_json=False)
    if len(rows) > ON_A_TERMINAL:
        said = f"These are the first {ON_A_TERMINAL} rows; --limit N or --all prints more."
        click.echo(said, err=True)


def _print_json(rows: Iterator[Any]) -> None:
    """One array, written as the rows come."""
    separator = "["
    for row in rows:
        sys.stdout.write(separator)
        json.dump(row, sys.stdout, ensure_ascii=False, default=str)
        separator = ", "
    sys.stdout.write("[]\n" if separator == "[" else "]\n")


def _print_csv(query: Any, limit: int | None, *, certain: bool) -> None:
    """What PostgreSQL makes of the rows, page by page; only the first has a header line."""
    offset = 0
    while True:
        asked = PAGE if limit is None else min(PAGE, limit - offset)
        response = query.offset(offset).limit(asked).csv()
        text = data_of(response, warn=False)
        came = _RANGE.match(response.meta.headers.get("content-range", ""))
        rows = int(came[2]) - int(came[1]) + 1 if came else 0
        if offset and rows and offset <= PAGE and not certain:
            _warn_of_pages()
        if offset:
            text = _HEADER.sub("", text, count=1) if rows else ""
        sys.stdout.write(text if not text or text.endswith("\n") else f"{text}\n")
        offset += rows
        if not rows or offset == limit:
            break


def _key(asking: aerodb.AeroDBClient, table: str, columns: str, limit: int | None) -> list[str]:
    """The primary key, if pages may need it: what makes their order certain."""
    if _AGGREGATE.search(columns) or (limit is not None and limit <= ON_A_TERMINAL):
        return []
    known = asking.tables().data or []
    found = next((one for one in known if one.name == table), None)
    return [column.name for column in found.columns if column.primary] if found else []


def _in_order(query: Any, key: list[str]) -> Any:
    for column in key:
        query = query.order(column)
    return query


def _filter(text: str) -> tuple[str, str, str]:
    column, equals, rest = text.partition("=")
    operator, dot, value = rest.partition(".")
    if operator == "not" and dot:
        inner, dot, value = value.partition(".")
        operator = f"not.{inner}"
    if not (column and equals and dot):
        raise click.BadParameter(
            f"{text!r} is not of the form COLUMN=OP.VALUE", param_hint="--where"
        )
    return column, operator, value


def _term(text: str) -> tuple[str, dict[str, bool]]:
    """A column and how it is sorted; `-column` is the same as `column.desc`."""
    found = _TERM.fullmatch(text.strip())
    plain = found is not None and not re.search(r'["(>]', found[1])
    if found is None or (plain and re.search(r"[\s.]", found[1])):
        raise click.BadParameter(
            f"{text!r} is not of the form COLUMN[.desc], such as id.desc", param_hint="--order"
        )
    way = {} if found[2] is None else {"desc": found[2] == "desc"}
    if found[3]:
        way["nulls_first"] = found[3] == "nullsfirst"
    return found[1], way
