# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""The database client: tables, functions, queries."""

from __future__ import annotations

from .client import AsyncDatabaseClient as AsyncDatabaseClient
from .client import AsyncQuerySource as AsyncQuerySource
from .query import AsyncQueryBuilder as AsyncQueryBuilder
from .rows import AsyncRowStream as AsyncRowStream
