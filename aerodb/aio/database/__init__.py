# GENERATED from aerodb_async_src/database/__init__.py by scripts/generate.py [810d2a7c5a44]: do not edit
"""The database client: where queries begin; what they are (`.query`) is loaded then."""

from __future__ import annotations

from .client import AsyncDatabaseClient as AsyncDatabaseClient
from .client import AsyncQuerySource as AsyncQuerySource
