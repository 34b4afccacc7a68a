"""`python -m aerodb.local`."""

from __future__ import annotations

import sys

from aerodb.local.extra import missing_text

if __name__ == "__main__":
    try:
        from aerodb.local.commands import serve
    except ModuleNotFoundError as problem:
        text = missing_text(problem)
        if text is None:
            raise
        sys.exit(text)
    serve(prog_name="python -m aerodb.local")
