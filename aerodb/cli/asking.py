"""Commands that ask a server: health, tables, select, rpc, types."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from aerodb._codegen import STYLES, Style, module_source
from aerodb.cli.options import SETTINGS, client, data_of, server, show

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command(context_settings=SETTINGS)
@server
@_JSON
def health(url: str | None, schema: str | None, as_json: bool) -> None:
    """Ask a server how it is. Ends with 1 if it is not well, or not there."""
    with client(url, schema) as asking:
        report = data_of(asking.health())
    if as_json:
        shown = {name: getattr(report, name) for name in ("status", "version", "name")}
        services, features = dict(report.services), sorted(report.features)
        show({**shown, "services": services, "features": features}, as_json=True)
        return
    click.echo(f"{report.name or 'server'} {report.version or ''}: {report.status}")
    for name, state in sorted(report.services.items()):
        click.echo(f"  {name:<12}{state}")


@click.command(context_settings=SETTINGS)
@server
@_JSON
def tables(url: str | None, schema: str | None, as_json: bool) -> None:
    """List the tables and views that the key may use, with their columns."""
    with client(url, schema) as asking:
        found = data_of(asking.tables())
    show(found, as_json=as_json)


@click.command(context_settings=SETTINGS)
@click.argument("table")
@click.option("--columns", default="*", help="Columns and embedded tables, as select() takes them.")
@click.option(
    "--where", "filters", multiple=True, metavar="COLUMN=OP.VALUE",
    help="Filter in PostgREST's words, such as 'age=gt.18'; repeatable.",
)  # fmt: skip
@click.option("--order", default=None, metavar="COLUMN[.desc]", help="Order of the rows.")
@click.option("--limit", type=click.IntRange(min=0), default=100, help="Most rows to print.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@_JSON
@server
def select(table: str, filters: tuple[str, ...], **options: Any) -> None:
    """Print rows of TABLE."""
    with client(options["url"], options["schema"]) as asking:
        query: Any = asking.from_(table).select(options["columns"]).limit(options["limit"])
        for text in filters:
            column, operator, value = _filter(text)
            query = query.filter(column, operator, value)
        if options["order"]:
            column, _, way = options["order"].partition(".")
            query = query.order(column, ascending=way != "desc")
        rows = data_of(query.csv() if options["as_csv"] else query.execute())
    if options["as_csv"]:
        sys.stdout.write(rows)
    else:
        show(rows, as_json=options["as_json"])


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


@click.command(context_settings=SETTINGS)
@click.argument("function")
@click.argument("arguments", nargs=-1, metavar="[NAME=VALUE]...")
@_JSON
@server
def rpc(function: str, arguments: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Call FUNCTION. Values are JSON where they can be read as that, and text else."""
    values = dict(_argument(text) for text in arguments)
    with client(options["url"], options["schema"]) as asking:
        show(data_of(asking.rpc(function, values).execute()), as_json=as_json)


def _argument(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise click.BadParameter(f"{text!r} is not of the form NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


@click.command(context_settings=SETTINGS)
@click.option("--style", type=click.Choice(STYLES), default="typeddict", help="What a row is.")
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), default=None, metavar="FILE.py",
    help="Write here; to stdout if unsaid.",
)  # fmt: skip
@click.option("--table", "only", multiple=True, help="Only this one; repeatable.")
@server
def types(style: Style, output: Path | None, only: tuple[str, ...], **options: Any) -> None:
    """Write Python classes for the rows of a database: Row, Insert and Update of each table."""
    with client(options["url"], options["schema"]) as asking:
        found = data_of(asking.tables())
    missing = set(only) - {table.name for table in found}
    if missing:
        raise click.ClickException(f"there is no table {', '.join(sorted(missing))}")
    source = module_source([t for t in found if not only or t.name in only], style)
    if output is None:
        sys.stdout.write(source)
    else:
        output.write_text(source, encoding="utf-8")
        click.echo(f"{output}: {len(only) or len(found)} tables", err=True)
