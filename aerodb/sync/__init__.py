# GENERATED from aerodb_async_src/__init__.py by scripts/generate.py [29f9eb4b3d84]: do not edit
"""Everything of one colour: the names are the same in both, the module path tells which it is."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aerodb.types import AeroDBAPIError, AeroDBError, AeroDBResponse, ResponseMeta

    from ._changes import AuthSubscription
    from .auth import AuthAdmin as AuthAdmin
    from .auth import AuthAdmin as AuthAdmin
    from .auth import AuthClient as AuthClient
    from .auth import AuthClient as AuthClient
    from .auth import AuthEvents as AuthEvents
    from .auth import AuthEvents as AuthEvents
    from .client import AeroDBClient as AeroDBClient
    from .client import AeroDBClient as AeroDBClient
    from .database import DatabaseClient as DatabaseClient
    from .database import DatabaseClient as DatabaseClient
    from .database.query import QueryBuilder as QueryBuilder
    from .database.query import QueryBuilder as QueryBuilder
    from .database.rows import RowStream as RowStream
    from .database.rows import RowStream as RowStream
    from .functions import FunctionsClient as FunctionsClient
    from .functions import FunctionStream as FunctionStream
    from .realtime import EventStream as EventStream
    from .realtime import EventStream as EventStream
    from .realtime import RealtimeChannel as RealtimeChannel
    from .realtime import RealtimeChannel as RealtimeChannel
    from .realtime import RealtimeClient as RealtimeClient
    from .realtime import RealtimeClient as RealtimeClient
    from .storage import DownloadStream as DownloadStream
    from .storage import DownloadStream as DownloadStream
    from .storage import StorageBucket as StorageBucket
    from .storage import StorageBucket as StorageBucket
    from .storage import StorageClient as StorageClient
    from .storage import StorageClient as StorageClient

__all__ = [
    "AeroDBAPIError",
    "AeroDBClient",
    "AeroDBError",
    "AeroDBResponse",
    "AuthAdmin",
    "AuthClient",
    "AuthEvents",
    "AuthSubscription",
    "DatabaseClient",
    "DownloadStream",
    "EventStream",
    "FunctionStream",
    "FunctionsClient",
    "QueryBuilder",
    "RealtimeChannel",
    "RealtimeClient",
    "ResponseMeta",
    "RowStream",
    "StorageBucket",
    "StorageClient",
]

_HOMES = {
    "AeroDBAPIError": "aerodb.types",
    "AeroDBClient": ".client",
    "AeroDBError": "aerodb.types",
    "AeroDBResponse": "aerodb.types",
    "AuthAdmin": ".auth",
    "AuthClient": ".auth",
    "AuthEvents": ".auth",
    "AuthSubscription": "._changes",
    "DatabaseClient": ".database",
    "DownloadStream": ".storage",
    "EventStream": ".realtime",
    "FunctionStream": ".functions",
    "FunctionsClient": ".functions",
    "QueryBuilder": ".database.query",
    "RealtimeChannel": ".realtime",
    "RealtimeClient": ".realtime",
    "ResponseMeta": "aerodb.types",
    "RowStream": ".database.rows",
    "StorageBucket": ".storage",
    "StorageClient": ".storage",
}


def __getattr__(name: str) -> Any:
    """Every name is loaded when it is asked for, by this or by the class's own name."""
    home = _HOMES.get(name.removeprefix("Async"))
    if home is not None:
        module = import_module(home, __name__)
        for known in (name, "Async" + name):
            if hasattr(module, known):
                value = globals()[name] = getattr(module, known)
                return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
