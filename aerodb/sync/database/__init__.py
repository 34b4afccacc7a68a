# GENERATED from aerodb_async_src/database/__init__.py by scripts/generate.py [fe308f3f8721]: do not edit
"""The database client: where queries begin; what they are (`.query`) is loaded then."""

from __future__ import annotations

from .client import DatabaseClient as DatabaseClient
from .client import QuerySource as QuerySource
