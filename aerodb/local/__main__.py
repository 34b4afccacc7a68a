"""`python -m aerodb.local`."""

from __future__ import annotations

from aerodb.local.commands import serve

if __name__ == "__main__":
    serve(prog_name="python -m aerodb.local")
