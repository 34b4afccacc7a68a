# GENERATED from aerodb_async_src/storage/__init__.py by scripts/generate.py [50c0f7ea0376]: do not edit
"""Buckets and the objects in them."""

from __future__ import annotations

from ._download import DownloadStream as DownloadStream
from .bucket import StorageBucket as StorageBucket
from .client import StorageClient as StorageClient
