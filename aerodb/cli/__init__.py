"""The command `aerodb`. Its parts are loaded when they are called, and say what they miss."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from aerodb._version import __version__
from aerodb.local.extra import missing_text

_COMMANDS = {
    "dev": ("aerodb.local.commands", "serve", "Run an AeroDB on this machine, for development."),
    "users": ("aerodb.local.users_command", "users", "Users of an AeroDB on this machine."),
    "health": ("aerodb.cli.asking", "health", "Ask a server how it is."),
    "tables": ("aerodb.cli.asking", "tables", "List tables and their columns."),
    "select": ("aerodb.cli.selecting", "select", "Print rows of a table."),
    "rpc": ("aerodb.cli.asking", "rpc", "Call a function of the database."),
    "types": ("aerodb.cli.asking", "types", "Write Python classes for the rows of a database."),
    "storage": ("aerodb.cli.storage", "storage", "List, copy and remove objects."),
    "listen": ("aerodb.cli.listen", "listen", "Print the events of a realtime channel."),
    "status": ("aerodb.local.status_command", "status", "Tell whether an AeroDB runs here."),
    "db": ("aerodb.local.db_command", "db", "The database of an AeroDB on this machine."),
    "doctor": ("aerodb.cli.doctor", "doctor", "Look for what is wrong."),
}
_USAGE = f"""\
Usage: aerodb COMMAND [OPTIONS]

Commands:
{"".join(f"  {name:<10} {text}{chr(10)}" for name, (_, _, text) in _COMMANDS.items())}
Options:
  --version  Show the version and exit.
  --help     Show this message and exit. `aerodb COMMAND --help` shows those of a command.

Where the server is comes from AERODB_URL and AERODB_KEY.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] in (["--version"], ["-V"]):
        sys.stdout.write(f"aerodb {__version__}\n")
        return 0
    if not words or words[0] in ("--help", "-h", "help"):
        sys.stdout.write(_USAGE)
        return 0
    if words[0] not in _COMMANDS:
        sys.stderr.write(f"aerodb: there is no command {words[0]!r}\n\n{_USAGE}")
        return 2
    return _run(words[0], words[1:])


def _run(command: str, words: list[str]) -> int:
    module, name, _ = _COMMANDS[command]
    try:
        called = getattr(import_module(module), name)
    except ModuleNotFoundError as problem:
        text = _missing(module, problem)
        if text is None:
            raise
        sys.stderr.write(f"aerodb {command}: {text}")
        return 1
    from aerodb.cli.failing import run  # with click, which the command has loaded

    run(called, words, f"aerodb {command}")
    return 0


def _missing(module: str, problem: ModuleNotFoundError) -> str | None:
    text = missing_text(problem)
    if text is None or module.startswith("aerodb.local"):
        return text
    return f"{problem.name} is missing. Install it with\n\n    pip install 'aerodb[cli]'\n"
