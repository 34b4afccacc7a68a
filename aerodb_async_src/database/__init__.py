# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""The database client: where queries begin; what they are (`.query`) is loaded then."""

from __future__ import annotations

from .client import AsyncDatabaseClient as AsyncDatabaseClient
from .client import AsyncQuerySource as AsyncQuerySource
