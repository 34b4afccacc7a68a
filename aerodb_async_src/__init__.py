# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""Everything of one colour: the names are the same in both, the module path tells which it is."""

from __future__ import annotations

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

if TYPE_CHECKING:
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
    "EventStream",
    "QueryBuilder",
    "RealtimeChannel",
    "RealtimeClient",
    "ResponseMeta",
    "RowStream",
]

_WHEN_ASKED_FOR = frozenset({"EventStream", "RealtimeChannel", "RealtimeClient"})


def __getattr__(name: str) -> Any:
    """Realtime is loaded when it is first asked for: most programs never need it."""
    plain = name.removeprefix("Async")
    if plain not in _WHEN_ASKED_FOR:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import realtime

    return getattr(realtime, plain)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
