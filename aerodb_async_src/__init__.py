# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""Everything of one colour: the names are the same in both, the module path tells which it is."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aerodb.types import AeroDBAPIError, AeroDBError, AeroDBResponse, ResponseMeta

    from ._changes import AuthSubscription
    from .auth import AsyncAuthAdmin as AsyncAuthAdmin
    from .auth import AsyncAuthAdmin as AuthAdmin
    from .auth import AsyncAuthClient as AsyncAuthClient
    from .auth import AsyncAuthClient as AuthClient
    from .auth import AsyncAuthEvents as AsyncAuthEvents
    from .auth import AsyncAuthEvents as AuthEvents
    from .client import AsyncAeroDBClient as AeroDBClient
    from .client import AsyncAeroDBClient as AsyncAeroDBClient
    from .database import AsyncDatabaseClient as AsyncDatabaseClient
    from .database import AsyncDatabaseClient as DatabaseClient
    from .database.query import AsyncQueryBuilder as AsyncQueryBuilder
    from .database.query import AsyncQueryBuilder as QueryBuilder
    from .database.rows import AsyncRowStream as AsyncRowStream
    from .database.rows import AsyncRowStream as RowStream
    from .functions import AsyncFunctionsClient as FunctionsClient
    from .functions import AsyncFunctionStream as FunctionStream
    from .realtime import AsyncEventStream as AsyncEventStream
    from .realtime import AsyncEventStream as EventStream
    from .realtime import AsyncRealtimeChannel as AsyncRealtimeChannel
    from .realtime import AsyncRealtimeChannel as RealtimeChannel
    from .realtime import AsyncRealtimeClient as AsyncRealtimeClient
    from .realtime import AsyncRealtimeClient as RealtimeClient
    from .storage import AsyncDownloadStream as AsyncDownloadStream
    from .storage import AsyncDownloadStream as DownloadStream
    from .storage import AsyncStorageBucket as AsyncStorageBucket
    from .storage import AsyncStorageBucket as StorageBucket
    from .storage import AsyncStorageClient as AsyncStorageClient
    from .storage import AsyncStorageClient as StorageClient

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
