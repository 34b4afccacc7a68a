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

Options:
  --version  Show the version and exit.
  --help     Show this message and exit. `aerodb dev --help` shows the options of dev.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["dev"]:
        return _dev(words[1:])
    if words[:1] in (["--version"], ["-V"]):
        sys.stdout.write(f"aerodb {__version__}\n")
        return 0
    if not words or words[0] in ("--help", "-h", "help"):
        sys.stdout.write(_USAGE)
        return 0
    sys.stderr.write(f"aerodb: there is no command {words[0]!r}\n\n{_USAGE}")
    return 2


def _dev(words: list[str]) -> int:
    try:
        from aerodb.local.commands import serve
    except ModuleNotFoundError as problem:
        text = missing_text(problem)
        if text is None:
            raise
        sys.stderr.write(f"aerodb dev: {text}")
        return 1
    serve(words, prog_name="aerodb dev")
    return 0


if __name__ == "__main__":
    sys.exit(main())
