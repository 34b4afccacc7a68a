# GENERATED from aerodb_async_src/realtime/__init__.py by scripts/generate.py [14ec8223b03e]: do not edit
"""Realtime: channels over one WebSocket for each client."""

from __future__ import annotations

from .channel import RealtimeChannel as RealtimeChannel
from .channel import RealtimeChannel as RealtimeChannel
from .client import RealtimeClient as RealtimeClient
from .client import RealtimeClient as RealtimeClient
from .stream import EventStream as EventStream
from .stream import EventStream as EventStream

__all__ = ["EventStream", "RealtimeChannel", "RealtimeClient"]
