# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""Everything of one colour: the names are the same in both, the module path tells which it is."""

from __future__ import annotations

from aerodb.types import AeroDBAPIError, AeroDBError, AeroDBResponse, ResponseMeta

from .client import AsyncAeroDBClient as AeroDBClient
from .client import AsyncAeroDBClient as AsyncAeroDBClient

__all__ = [
    "AeroDBAPIError",
    "AeroDBClient",
    "AeroDBError",
    "AeroDBResponse",
    "ResponseMeta",
]
