"""AeroDB for Python: one library, two colours.

`AeroDBClient` blocks, for scripts, Django views and notebooks; `AsyncAeroDBClient` awaits, for
FastAPI and other asyncio programs. Both answer every operation with an `AeroDBResponse`.
Names are loaded when first used, so that `import aerodb` costs next to nothing.
"""

from __future__ import annotations

from aerodb._version import __version__

# False, as the one of `typing`, which would be most of what this import costs. Written so, editors
# that follow values (jedi: IPython, vim, Spyder) do not take the names below for dead code.
TYPE_CHECKING = not __name__
if TYPE_CHECKING:
    from typing import Any

    from aerodb._core.database import Range, col, embed
    from aerodb._core.functions import FunctionInfo, ServerSentEvent
    from aerodb._core.health import ClientStatus, HealthStatus
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
    from aerodb._core.realtime.messages import (
        BroadcastMessage,
        GapNotice,
        PresenceMessage,
        RealtimePayload,
        RealtimeStatus,
        SendResult,
        SubscribeStatus,
    )
    from aerodb._core.realtime_options import RealtimeOptions
    from aerodb._core.storage.models import (
        Bucket,
        FileObject,
        ListPage,
        SignedUploadUrl,
        SignedUrl,
        SignedUrlResult,
        TransferProgress,
    )
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
    "BroadcastMessage",
    "Bucket",
    "ClientOptions",
    "ClientStatus",
    "Column",
    "FileObject",
    "FileSessionStore",
    "FunctionInfo",
    "GapNotice",
    "HealthStatus",
    "ListPage",
    "MemorySessionStore",
    "Page",
    "PasswordPolicy",
    "PresenceMessage",
    "Range",
    "RealtimeOptions",
    "RealtimePayload",
    "RealtimeStatus",
    "ResponseMeta",
    "SendResult",
    "ServerSentEvent",
    "Session",
    "SessionInfo",
    "SessionStore",
    "SignedUploadUrl",
    "SignedUrl",
    "SignedUrlResult",
    "SubscribeStatus",
    "Table",
    "TransferProgress",
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
    "BroadcastMessage": "aerodb._core.realtime.messages",
    "Bucket": "aerodb._core.storage.models",
    "ClientOptions": "aerodb._core.options",
    "ClientStatus": "aerodb._core.health",
    "Column": "aerodb._core.tables",
    "FileObject": "aerodb._core.storage.models",
    "FileSessionStore": "aerodb._io.session_file",
    "FunctionInfo": "aerodb._core.functions",
    "GapNotice": "aerodb._core.realtime.messages",
    "HealthStatus": "aerodb._core.health",
    "ListPage": "aerodb._core.storage.models",
    "MemorySessionStore": "aerodb._io.session_file",
    "Page": "aerodb._core.identity",
    "PasswordPolicy": "aerodb._core.identity",
    "PresenceMessage": "aerodb._core.realtime.messages",
    "Range": "aerodb._core.database",
    "RealtimeOptions": "aerodb._core.realtime_options",
    "RealtimePayload": "aerodb._core.realtime.messages",
    "RealtimeStatus": "aerodb._core.realtime.messages",
    "ResponseMeta": "aerodb.types",
    "SendResult": "aerodb._core.realtime.messages",
    "ServerSentEvent": "aerodb._core.functions",
    "Session": "aerodb._core.identity",
    "SessionInfo": "aerodb._core.identity",
    "SessionStore": "aerodb._io.session_file",
    "SignedUploadUrl": "aerodb._core.storage.models",
    "SignedUrl": "aerodb._core.storage.models",
    "SignedUrlResult": "aerodb._core.storage.models",
    "SubscribeStatus": "aerodb._core.realtime.messages",
    "Table": "aerodb._core.tables",
    "TransferProgress": "aerodb._core.storage.models",
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
