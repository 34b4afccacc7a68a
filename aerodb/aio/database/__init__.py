# GENERATED from aerodb_async_src/database/__init__.py by scripts/generate.py [28b22800a472]: do not edit
"""The database client: tables, functions, queries."""

from __future__ import annotations

from .client import AsyncDatabaseClient as AsyncDatabaseClient
from .client import AsyncQuerySource as AsyncQuerySource
from .query import AsyncQueryBuilder as AsyncQueryBuilder
from .rows import AsyncRowStream as AsyncRowStream
