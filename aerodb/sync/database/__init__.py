# GENERATED from aerodb_async_src/database/__init__.py by scripts/generate.py [33e18c28170c]: do not edit
"""The database client: tables, functions, queries."""

from __future__ import annotations

from .client import DatabaseClient as DatabaseClient
from .query import QueryBuilder as QueryBuilder
from .rows import RowStream as RowStream
