"""The clients of the process: made when first used, made anew when the settings change."""

from __future__ import annotations

import asyncio
import atexit
import threading
from typing import Any, cast

from django.core.signals import setting_changed

from aerodb import AeroDBClient, AsyncAeroDBClient
from aerodb.contrib.django import conf

_lock = threading.Lock()
_made: dict[type[Any], Any] = {}


def get_client() -> AeroDBClient:
    """The blocking client, for views and commands; shared by all threads."""
    return cast("AeroDBClient", _get(AeroDBClient))


def get_aclient() -> AsyncAeroDBClient:
    """The async client, for async views. It keeps connections for each event loop."""
    return cast("AsyncAeroDBClient", _get(AsyncAeroDBClient))


def _get(kind: type[Any]) -> Any:
    found = _made.get(kind)
    if found is None:
        with _lock:
            found = _made.get(kind) or _made.setdefault(kind, kind(**conf.arguments()))
    return found


class _Lazy:
    """Stands for a client that is made when something is asked of it."""

    __slots__ = ("_get",)

    def __init__(self, get: Any) -> None:
        self._get = get

    def __getattr__(self, name: str) -> Any:
        return getattr(self._get(), name)

    def __repr__(self) -> str:
        return repr(self._get())


client = cast("AeroDBClient", _Lazy(get_client))
"""The process's blocking client, acting by the key: `client.from_("todos")...execute()`."""

aclient = cast("AsyncAeroDBClient", _Lazy(get_aclient))
"""The same, to be awaited."""


def _forget(*, setting: str, **rest: Any) -> None:
    """Tests change settings; the next use makes clients by the new ones."""
    if setting == "AERODB":
        old = _made.pop(AeroDBClient, None)
        _made.clear()
        if old is not None:
            old.close()


setting_changed.connect(_forget, dispatch_uid="aerodb.contrib.django.clients")


@atexit.register
def _end() -> None:
    """They live as long as the process. Connections of event loops that have ended are given up."""
    made, amade = _made.pop(AeroDBClient, None), _made.pop(AsyncAeroDBClient, None)
    if made is not None:
        made.close()
    if amade is not None:
        asyncio.run(amade.close())
