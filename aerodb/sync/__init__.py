# GENERATED from aerodb_async_src/__init__.py by scripts/generate.py [00a3b0ae28dd]: do not edit
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
    from .functions import FunctionsClient as FunctionsClient
    from .functions import FunctionStream as FunctionStream

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
        from .functions import FunctionsClient

        return FunctionsClient
    if name == "FunctionStream":
        from .functions import FunctionStream

        return FunctionStream
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
