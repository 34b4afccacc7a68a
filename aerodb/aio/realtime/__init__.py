# GENERATED from aerodb_async_src/realtime/__init__.py by scripts/generate.py [88e28d8fbf37]: do not edit
"""Realtime: channels over one WebSocket for each client."""

from __future__ import annotations

from .channel import AsyncRealtimeChannel as AsyncRealtimeChannel
from .channel import AsyncRealtimeChannel as RealtimeChannel
from .client import AsyncRealtimeClient as AsyncRealtimeClient
from .client import AsyncRealtimeClient as RealtimeClient
from .stream import AsyncEventStream as AsyncEventStream
from .stream import AsyncEventStream as EventStream

__all__ = ["EventStream", "RealtimeChannel", "RealtimeClient"]
