# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""Buckets and the objects in them."""

from __future__ import annotations

from ._download import AsyncDownloadStream as AsyncDownloadStream
from .bucket import AsyncStorageBucket as AsyncStorageBucket
from .client import AsyncStorageClient as AsyncStorageClient
