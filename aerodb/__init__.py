"""AeroDB for Python: one library, two colours.

`AeroDBClient` blocks, for scripts, Django views and notebooks; `AsyncAeroDBClient` awaits, for
FastAPI and other asyncio programs. Both answer every operation with an `AeroDBResponse`.
Names are loaded when first used, so that `import aerodb` costs next to nothing.
"""

from __future__ import annotations

from aerodb._version import __version__

TYPE_CHECKING = False  # as in `typing`, which would be most of what this import costs
if TYPE_CHECKING:
    from typing import Any

    from aerodb._core.database import Range, col, embed
    from aerodb._core.functions import FunctionInfo, ServerSentEvent
    from aerodb._core.health import HealthStatus
    from aerodb._core.identity import (
        AuthChange,
        AuthData,
        Page,
        PasswordPolicy,
        Session,
        SessionInfo,
        User,
    )
    from aerodb._core.options import ClientOptions
    from aerodb._core.tables import Column, Table
    from aerodb._io.session_file import FileSessionStore, MemorySessionStore, SessionStore
    from aerodb.aio.client import AsyncAeroDBClient
    from aerodb.sync.client import AeroDBClient
    from aerodb.types import AeroDBAPIError, AeroDBError, AeroDBResponse, ResponseMeta

__all__ = [
    "AeroDBAPIError",
    "AeroDBClient",
    "AeroDBError",
    "AeroDBResponse",
    "AsyncAeroDBClient",
    "AuthChange",
    "AuthData",
    "ClientOptions",
    "Column",
    "FileSessionStore",
    "FunctionInfo",
    "HealthStatus",
    "MemorySessionStore",
    "Page",
    "PasswordPolicy",
    "Range",
    "ResponseMeta",
    "ServerSentEvent",
    "Session",
    "SessionInfo",
    "SessionStore",
    "Table",
    "User",
    "__version__",
    "col",
    "embed",
]

_HOMES = {
    "AeroDBAPIError": "aerodb.types",
    "AeroDBClient": "aerodb.sync.client",
    "AeroDBError": "aerodb.types",
    "AeroDBResponse": "aerodb.types",
    "AsyncAeroDBClient": "aerodb.aio.client",
    "AuthChange": "aerodb._core.identity",
    "AuthData": "aerodb._core.identity",
    "ClientOptions": "aerodb._core.options",
    "Column": "aerodb._core.tables",
    "FileSessionStore": "aerodb._io.session_file",
    "FunctionInfo": "aerodb._core.functions",
    "HealthStatus": "aerodb._core.health",
    "MemorySessionStore": "aerodb._io.session_file",
    "Page": "aerodb._core.identity",
    "PasswordPolicy": "aerodb._core.identity",
    "Range": "aerodb._core.database",
    "ResponseMeta": "aerodb.types",
    "ServerSentEvent": "aerodb._core.functions",
    "Session": "aerodb._core.identity",
    "SessionInfo": "aerodb._core.identity",
    "SessionStore": "aerodb._io.session_file",
    "Table": "aerodb._core.tables",
    "User": "aerodb._core.identity",
    "col": "aerodb._core.database",
    "embed": "aerodb._core.database",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'aerodb' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__} - {"TYPE_CHECKING"})
