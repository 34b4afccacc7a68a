"""AeroDB in Django: one client for the process, the caller's own view for each request.

    INSTALLED_APPS += ["aerodb.contrib.django"]
    MIDDLEWARE += ["aerodb.contrib.django.AeroDBMiddleware"]  # after SessionMiddleware
    AERODB = {"URL": os.environ["AERODB_URL"], "KEY": os.environ["AERODB_KEY"]}

    def todos(request):
        return JsonResponse({"todos": request.aerodb.from_("todos").select("*").execute().unwrap()})

Nothing is made, and no setting is read, before it is first used: servers that fork are safe.
Needs `pip install aerodb[django]`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from aerodb.contrib._extras import needs

if TYPE_CHECKING:
    from aerodb.contrib.django.backends import AeroDBBackend
    from aerodb.contrib.django.clients import aclient, client
    from aerodb.contrib.django.middleware import AeroDBMiddleware
    from aerodb.contrib.django.requests import AeroDBHttpRequest, RequestClient
    from aerodb.contrib.django.storage import AeroDBStorage

__all__ = [
    "AeroDBBackend",
    "AeroDBHttpRequest",
    "AeroDBMiddleware",
    "AeroDBStorage",
    "RequestClient",
    "aclient",
    "client",
]

_HOMES = {
    "AeroDBBackend": "aerodb.contrib.django.backends",
    "AeroDBHttpRequest": "aerodb.contrib.django.requests",
    "AeroDBMiddleware": "aerodb.contrib.django.middleware",
    "AeroDBStorage": "aerodb.contrib.django.storage",
    "RequestClient": "aerodb.contrib.django.requests",
    "aclient": "aerodb.contrib.django.clients",
    "client": "aerodb.contrib.django.clients",
}


def __getattr__(name: str) -> Any:
    """Load a name when it is first used: Django imports this package before its settings."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(home), name)
    except ModuleNotFoundError as problem:
        raise needs("django", problem) from None
