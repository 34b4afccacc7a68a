# GENERATED from aerodb_async_src/__init__.py by scripts/generate.py [089dcaa31731]: do not edit
"""Everything of one colour: the names are the same in both, the module path tells which it is."""

from __future__ import annotations

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
