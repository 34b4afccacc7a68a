# GENERATED from aerodb_async_src/__init__.py by scripts/generate.py [4ff7dea92323]: do not edit
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
    from .functions import AsyncFunctionsClient as FunctionsClient
    from .functions import AsyncFunctionStream as FunctionStream

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
    "FunctionStream",
    "FunctionsClient",
    "QueryBuilder",
    "ResponseMeta",
    "RowStream",
]


def __getattr__(name: str) -> Any:
    """What many programs never use is loaded when it is asked for."""
    if name == "FunctionsClient":
        from .functions import AsyncFunctionsClient

        return AsyncFunctionsClient
    if name == "FunctionStream":
        from .functions import AsyncFunctionStream

        return AsyncFunctionStream
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
