# GENERATED from aerodb_async_src/database/__init__.py by scripts/generate.py [8263414627d2]: do not edit
"""The database client: tables, functions, queries."""

from __future__ import annotations

from .client import DatabaseClient as DatabaseClient
from .client import QuerySource as QuerySource
from .query import QueryBuilder as QueryBuilder
from .rows import RowStream as RowStream
