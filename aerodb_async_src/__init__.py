# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""Everything of one colour: the names are the same in both, the module path tells which it is."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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
from .database import AsyncQueryBuilder as AsyncQueryBuilder
from .database import AsyncQueryBuilder as QueryBuilder
from .database import AsyncRowStream as AsyncRowStream
from .database import AsyncRowStream as RowStream
from .storage import AsyncDownloadStream as AsyncDownloadStream
from .storage import AsyncDownloadStream as DownloadStream
from .storage import AsyncStorageBucket as AsyncStorageBucket
from .storage import AsyncStorageBucket as StorageBucket
from .storage import AsyncStorageClient as AsyncStorageClient
from .storage import AsyncStorageClient as StorageClient

if TYPE_CHECKING:
    from .functions import AsyncFunctionsClient as FunctionsClient
    from .functions import AsyncFunctionStream as FunctionStream
    from .realtime import AsyncEventStream as AsyncEventStream
    from .realtime import AsyncEventStream as EventStream
    from .realtime import AsyncRealtimeChannel as AsyncRealtimeChannel
    from .realtime import AsyncRealtimeChannel as RealtimeChannel
    from .realtime import AsyncRealtimeClient as AsyncRealtimeClient
    from .realtime import AsyncRealtimeClient as RealtimeClient

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

_WHEN_ASKED_FOR = {
    "EventStream": ".realtime",
    "FunctionStream": ".functions",
    "FunctionsClient": ".functions",
    "RealtimeChannel": ".realtime",
    "RealtimeClient": ".realtime",
}


def __getattr__(name: str) -> Any:
    """What many programs never use is loaded when it is asked for."""
    plain = name.removeprefix("Async")
    home = _WHEN_ASKED_FOR.get(plain)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(home, __name__)
    found = getattr(module, plain, None)
    return getattr(module, "Async" + plain) if found is None else found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
