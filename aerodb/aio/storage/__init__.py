# GENERATED from aerodb_async_src/storage/__init__.py by scripts/generate.py [4fe17ee5c8c9]: do not edit
"""Buckets and the objects in them."""

from __future__ import annotations

from ._download import AsyncDownloadStream as AsyncDownloadStream
from .bucket import AsyncStorageBucket as AsyncStorageBucket
from .client import AsyncStorageClient as AsyncStorageClient
