"""`aerodb listen CHANNEL`: what comes over a realtime channel, a line for each event."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import click

import aerodb
from aerodb._display import printable
from aerodb.cli.options import SETTINGS, Failure, client, data_of, server

_CHANGES = ("INSERT", "UPDATE", "DELETE")
_EVENTS = (*_CHANGES, "BROADCAST", "PRESENCE")
INTERRUPTED = 130
_CONNECT_SECONDS = 10.0
_ASK_SECONDS = 5.0


@click.command(context_settings=SETTINGS)
@click.argument("channel")
@click.option(
    "--event", "events", multiple=True, type=click.Choice(_EVENTS, case_sensitive=False),
    help="Only these; repeatable.",
)  # fmt: skip
@click.option("--table", default=None, help="Changes of this table, if it is not the channel's.")
@click.option(
    "--filter", "only", default=None, metavar="COLUMN=OP.VALUE[,...]",
    help="Changes of such rows only, such as 'done=eq.false'.",
)  # fmt: skip
@click.option("--count", type=click.IntRange(min=1), default=None, help="End after so many.")
@click.option(
    "--timeout", type=click.FloatRange(min=0, min_open=True), default=None, metavar="SECONDS",
    help="End after so long, connecting included; with 1 if --count was not reached.",
)  # fmt: skip
@click.option("--private", is_flag=True, help="The channel is a private one.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, an object on each line.")
@server
def listen(channel: str, **options: Any) -> None:
    """Print the events of CHANNEL until Ctrl-C. One named like a table has its changes."""
    try:
        _listen(channel, **options)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _listen(name: str, **options: Any) -> None:
    wanted, count, timeout = options["events"], options["count"], options["timeout"]
    until = None if timeout is None else time.monotonic() + timeout
    with client(options["url"], options["schema"]) as asking:
        channel = asking.channel(name, private=options["private"] or None)
        _narrow(channel, wanted, options["table"], options["only"])
        with channel.events() as stream:
            data_of(channel.subscribe(timeout=min(_CONNECT_SECONDS, timeout or _CONNECT_SECONDS)))
            asking.realtime.on_status(_Connection())
            click.echo(printable(f"listening to {name}; Ctrl-C ends it"), err=True)
            _warn_of_no_table(asking, name, wanted, options)
            seen = 0
            while count is None or seen < count:
                event = _next(stream, until)
                if event is None:
                    break
                if event.type == "GAP" or not wanted or event.type in wanted:
                    _print(event, as_json=options["as_json"])
                    seen += event.type != "GAP"
    if count is not None and seen < count:
        raise Failure(f"{seen} of {count} events came")


class _Connection:
    """Says on stderr when the connection is lost, and when it is there again."""

    def __init__(self) -> None:
        self._is_lost = False

    def __call__(self, status: Any, error: Any) -> None:
        if status == "reconnecting" and not self._is_lost:
            self._is_lost = True
            why = f": {error}" if error is not None else ""
            click.echo(printable(f"the connection is lost{why}; connecting again"), err=True)
        elif status == "open" and self._is_lost:
            self._is_lost = False
            click.echo("connected again", err=True)


def _warn_of_no_table(
    asking: Any, channel: str, wanted: tuple[str, ...], options: dict[str, Any]
) -> None:
    """A channel may have any name, so a typing error in that of a table is no error. What
    `--table` names, the server looks for itself."""
    if options["table"] is not None or (wanted and not set(wanted) & {*_CHANGES}):
        return
    known = asking.with_options(timeout=_ASK_SECONDS).tables().data
    if known is not None and channel.rpartition(":")[2] not in {one.name for one in known}:
        said = f"Warning: the key may use no table {channel}, so no changes of rows will come"
        click.echo(printable(said), err=True)


def _narrow(channel: Any, wanted: tuple[str, ...], table: str | None, only: str | None) -> None:
    """Ask the server for some changes alone: what a handler asks for is what it sends."""
    if table is None and only is None:
        return
    changes = [event for event in wanted if event in _CHANGES]
    for event in changes or ["*"]:
        try:
            channel.on_changes(event, table=table, filter=only, callback=_ignore)
        except (TypeError, ValueError) as problem:
            raise click.UsageError(printable(str(problem))) from None


def _ignore(change: Any) -> None:
    """The stream has it."""


def _next(stream: Any, until: float | None) -> Any:
    try:
        return stream.get(None if until is None else max(0.0, until - time.monotonic()))
    except aerodb.AeroDBAPIError as problem:
        raise Failure(str(problem.error), problem.error) from None


def _print(event: Any, *, as_json: bool) -> None:
    said = {"channel": event.channel, "sequence": event.sequence, **event}
    if as_json:
        sys.stdout.write(json.dumps(said, ensure_ascii=False, default=str) + "\n")
    else:
        sys.stdout.write(printable(_line(event)) + "\n")
    sys.stdout.flush()


def _line(event: Any) -> str:
    if event.type in _CHANGES:
        row = event.new if event.new is not None else event.old
        return f"{event.type} {event.schema}.{event.table} {_compact(row)}"
    if event.type == "GAP":
        return f"GAP {event.reason}: {event.missed or 'some'} missing"
    what = event.payload if event.type == "BROADCAST" else event.presences
    return f"{event.type} {event.event} {_compact(what)}"


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
