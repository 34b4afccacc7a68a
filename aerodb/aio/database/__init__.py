# GENERATED from aerodb_async_src/database/__init__.py by scripts/generate.py [67f0230af77d]: do not edit
"""The database client: tables, functions, queries."""

from __future__ import annotations

from .client import AsyncDatabaseClient as AsyncDatabaseClient
from .query import AsyncQueryBuilder as AsyncQueryBuilder
from .rows import AsyncRowStream as AsyncRowStream
