"""Commands that ask a server: health, tables, rpc, types."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from aerodb._codegen import STYLES, Style, module_source
from aerodb._core.tables import Table
from aerodb._display import printable
from aerodb.cli.options import SETTINGS, Failure, client, data_of, server, show

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
    if as_json:
        show(found, as_json=True)
    for table in found if not as_json else ():
        click.echo("\n".join([printable(table.name), *map(printable, _columns(table))]))


def _columns(table: Table) -> list[str]:
    """A line for each column, nothing of it cut."""
    names = max((len(column.name) for column in table.columns), default=0)
    kinds = max((len(column.format or "json") for column in table.columns), default=0)
    lines = []
    for column in table.columns:
        more = "primary key" if column.primary else "" if column.nullable else "not null"
        line = f"  {column.name:<{names}}  {column.format or 'json':<{kinds}}  {more}"
        lines.append(line.rstrip())
    return lines


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
        raise Failure(f"there is no table {', '.join(sorted(missing))}")
    source = module_source([t for t in found if not only or t.name in only], style)
    if output is None:
        sys.stdout.write(source)
    else:
        output.write_text(source, encoding="utf-8")
        count = len(only) or len(found)
        click.echo(f"{output}: {count} {'table' if count == 1 else 'tables'}", err=True)
