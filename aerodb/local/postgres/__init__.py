"""A private PostgreSQL cluster in a folder: found, initialised, started, watched and stopped."""

from __future__ import annotations

from aerodb.local.postgres.binaries import Binaries, find_binaries
from aerodb.local.postgres.cluster import Cluster

__all__ = ["Binaries", "Cluster", "find_binaries"]
