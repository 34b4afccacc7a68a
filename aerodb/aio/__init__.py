# GENERATED from aerodb_async_src/__init__.py by scripts/generate.py [4216726d801c]: do not edit
"""Everything of one colour: the names are the same in both, the module path tells which it is."""

from __future__ import annotations

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
    "QueryBuilder",
    "ResponseMeta",
    "RowStream",
    "StorageBucket",
    "StorageClient",
]
