# GENERATED from aerodb_async_src/__init__.py by scripts/generate.py [f6f405ef978f]: do not edit
"""Everything of one colour: the names are the same in both, the module path tells which it is."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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
from .database import QueryBuilder as QueryBuilder
from .database import QueryBuilder as QueryBuilder
from .database import RowStream as RowStream
from .database import RowStream as RowStream
from .storage import DownloadStream as DownloadStream
from .storage import DownloadStream as DownloadStream
from .storage import StorageBucket as StorageBucket
from .storage import StorageBucket as StorageBucket
from .storage import StorageClient as StorageClient
from .storage import StorageClient as StorageClient

if TYPE_CHECKING:
    from .functions import FunctionsClient as FunctionsClient
    from .functions import FunctionStream as FunctionStream
    from .realtime import EventStream as EventStream
    from .realtime import EventStream as EventStream
    from .realtime import RealtimeChannel as RealtimeChannel
    from .realtime import RealtimeChannel as RealtimeChannel
    from .realtime import RealtimeClient as RealtimeClient
    from .realtime import RealtimeClient as RealtimeClient

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
