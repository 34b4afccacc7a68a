"""A whole AeroDB on this machine, over an embedded PostgreSQL: `python -m aerodb.local`.

from aerodb.local import LocalServer

with LocalServer(schema=["create table notes (id int primary key, body text)"]) as server:
    print(server.url, server.anon_key)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aerodb.local.extra import missing_text

if TYPE_CHECKING:
    from aerodb.local.errors import LocalError
    from aerodb.local.server import LocalServer

__all__ = ["LocalError", "LocalServer"]


def __getattr__(name: str) -> Any:
    """Import on first use: the rest needs the extra `[local]`, this module does not."""
    if name == "LocalServer":
        try:
            from aerodb.local.server import LocalServer
        except ModuleNotFoundError as problem:
            text = missing_text(problem)
            if text is None:
                raise
            raise ImportError(text) from None
        return LocalServer
    if name == "LocalError":
        from aerodb.local.errors import LocalError

        return LocalError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
