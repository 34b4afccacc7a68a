"""The command `aerodb`. Its parts come with extras; without them it says how to get them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from aerodb._version import __version__
from aerodb.local.extra import missing_text

_USAGE = """\
Usage: aerodb COMMAND [OPTIONS]

Commands:
  dev        Run an AeroDB on this machine, for development and tests.
  users      Create, list and delete the users of an AeroDB on this machine.

Options:
  --version  Show the version and exit.
  --help     Show this message and exit. `aerodb COMMAND --help` shows those of a command.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] in (["dev"], ["users"]):
        return _local(words[0], words[1:])
    if words[:1] in (["--version"], ["-V"]):
        sys.stdout.write(f"aerodb {__version__}\n")
        return 0
    if not words or words[0] in ("--help", "-h", "help"):
        sys.stdout.write(_USAGE)
        return 0
    sys.stderr.write(f"aerodb: there is no command {words[0]!r}\n\n{_USAGE}")
    return 2


def _local(command: str, words: list[str]) -> int:
    try:
        from aerodb.local.commands import serve
        from aerodb.local.users_command import users
    except ModuleNotFoundError as problem:
        text = missing_text(problem)
        if text is None:
            raise
        sys.stderr.write(f"aerodb {command}: {text}")
        return 1
    called = {"dev": serve, "users": users}[command]
    called(words, prog_name=f"aerodb {command}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
