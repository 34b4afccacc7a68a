"""What the commands that ask a server have in common: where it is, and how answers are printed."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

import click

import aerodb
from aerodb._display import WIDEST_CELL, printable, text_table

Command = Callable[..., Any]
SETTINGS = {"show_default": True, "max_content_width": 100}
_PYTHONS_WORDS = (
    (", or pass url=", ", or say --url URL"),
    ("; in a network you trust, ClientOptions(allow_insecure=True)", ""),
    ("; pass the key as `key`", "; the key belongs into AERODB_KEY"),
    (" or ClientOptions(verify='/path/to/ca.pem')", ""),
    (", or raise ClientOptions(max_response_bytes=...)", ""),
    ("; iterate() and all() get every row, count='exact' the total", ""),
    (" (allow more time with timeout=)", ""),
)
"""Advice for who writes Python, and what to say to who types commands."""


class Failure(click.ClickException):
    """What did not succeed, in words of the command line; `error` is the client's own, if any."""

    def __init__(self, message: str, error: aerodb.AeroDBError | None = None) -> None:
        super().__init__(printable(in_words_of_the_command_line(message)))
        self.error = error


_SCHEMA = re.compile(r"client\.schema\('([^']*)'\)\.(?:from_|rpc)\('([^']*)'\)")


def in_words_of_the_command_line(text: str) -> str:
    """The message without advice that only helps in Python."""
    text = _SCHEMA.sub(r"\2 --schema \1", text)
    for python, words in _PYTHONS_WORDS:
        text = text.replace(python, words)
    return text


def server(function: Command) -> Command:
    """`--url` and `--schema`. The key comes from the environment only: every user of the machine
    can read arguments (reliability C10)."""
    for option in (
        click.option("--schema", default=None, help="Schema of the database."),
        click.option("--url", default=None, help="Where AeroDB is; AERODB_URL if unsaid."),
    ):
        function = option(function)
    return function


def client(url: str | None, schema: str | None) -> aerodb.AeroDBClient:
    """The client of a command; how to set it up, if that is missing."""
    given = {"url": url, "schema": schema}
    arguments = {name: value for name, value in given.items() if value}
    try:
        return aerodb.AeroDBClient.from_env(**arguments)
    except (ValueError, TypeError) as problem:
        raise Failure(str(problem)) from None


def data_of(response: aerodb.AeroDBResponse[Any], *, warn: bool = True) -> Any:
    """The data, and what is to be known about it on stderr; or the error there, and the end of
    the program with status 1."""
    if response.error is not None:
        raise Failure(str(response.error), response.error)
    for warning in response.meta.warnings if warn else ():
        click.echo(f"Warning: {printable(in_words_of_the_command_line(warning))}", err=True)
    return response.data


def show(data: Any, *, as_json: bool) -> None:
    """Print rows as a table, or as JSON for other programs. A terminal is shown the beginning of
    long values, which ends in an ellipsis there."""
    if as_json:
        json.dump(data, sys.stdout, ensure_ascii=False, indent=None, default=_plain)
        sys.stdout.write("\n")
    else:
        widest = WIDEST_CELL if sys.stdout.isatty() else None
        click.echo(text_table(data, most_rows=None, most_columns=None, widest=widest))


def _plain(value: Any) -> Any:
    if hasattr(value, "__dataclass_fields__"):
        return {name: getattr(value, name) for name in value.__dataclass_fields__}
    return dict(value) if isinstance(value, Mapping) else str(value)
