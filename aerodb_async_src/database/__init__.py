# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""The database client: tables, functions, queries."""

from __future__ import annotations

from .client import AsyncDatabaseClient
from .query import AsyncQueryBuilder
from .rows import AsyncRowStream

__all__ = ["AsyncDatabaseClient", "AsyncQueryBuilder", "AsyncRowStream"]
