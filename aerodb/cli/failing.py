"""How a command ends that did not succeed: a line on stderr, JSON if JSON was asked for."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

_FIELDS = ("code", "status", "message", "hint", "details", "request_id")


def run(command: click.Command, words: Sequence[str], name: str) -> None:
    """Run a command as click does by itself, but for `--json`: then errors are JSON too."""
    try:
        status = command.main([*words], prog_name=name, standalone_mode=False)
        sys.stdout.flush()  # here a reader that has left is known of, at the exit it is not
    except click.ClickException as problem:
        _end(problem, as_json="--json" in words)
    except click.Abort:
        click.echo("Aborted!", err=True)
        sys.exit(1)
    except OSError as problem:
        if problem.errno != errno.EPIPE:
            raise
        _leave_closed_pipe()
    if isinstance(status, int) and status:
        sys.exit(status)


def _end(problem: click.ClickException, *, as_json: bool) -> NoReturn:
    if as_json:
        error = getattr(problem, "error", None)
        said = {name: getattr(error, name, None) for name in _FIELDS}
        said["message"] = said["message"] or problem.format_message()
        line = json.dumps({"error": said}, ensure_ascii=False, default=str)
        click.echo(line, err=True)
    else:
        problem.show()
    sys.exit(problem.exit_code)


def _leave_closed_pipe() -> NoReturn:
    """Whoever read the output has gone, as `head` does: nothing more is written, no error told."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(1)
