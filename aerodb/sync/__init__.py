# GENERATED from aerodb_async_src/__init__.py by scripts/generate.py [2b2d6e6390de]: do not edit
"""Everything of one colour: the names are the same in both, the module path tells which it is."""

from __future__ import annotations

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

if TYPE_CHECKING:
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
