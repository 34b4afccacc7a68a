"""A user's own client: which library it is of, and whether it is of the right colour."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, Literal

from aerodb._core.http import TransportError
from aerodb._core.http_settings import HttpSettings

_LIBRARIES = ("httpx", "httpx2")
_NAMES = {"AsyncClient": "AsyncAeroDBClient", "Client": "AeroDBClient"}


def library_of(client: Any, wanted: Literal["AsyncClient", "Client"]) -> ModuleType:
    """The module whose `wanted` class the client is of; TypeError if there is none.

    The library is not imported for this: whoever made the client has done so.
    """
    other = "Client" if wanted == "AsyncClient" else "AsyncClient"
    for name in _LIBRARIES:
        module = sys.modules.get(name)
        if module is None:
            continue
        if isinstance(client, getattr(module, wanted)):
            return module
        if isinstance(client, getattr(module, other)):
            raise TypeError(
                f"{_NAMES[wanted]} needs {name}.{wanted} as http_client, "
                f"got {name}.{other}; that one goes with {_NAMES[other]}"
            )
    raise TypeError(f"http_client must be an httpx.{wanted}, got {type(client).__name__}")


def check_extras(settings: HttpSettings) -> None:
    """Raise at construction if a setting needs a package that is not there."""
    if settings.http2:
        from importlib.util import find_spec

        if find_spec("h2") is None:
            raise ValueError("http2=True needs the package h2: pip install 'httpx[http2]'")


def used_before_fork() -> TransportError:
    """A user's client was used before the fork: its sockets are the parent's."""
    message = "the http_client was used before this process was forked: make one in the child"
    return TransportError("unsupported", message, sent=False)
