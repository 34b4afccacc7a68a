# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""Realtime: channels over one WebSocket for each client."""

from __future__ import annotations

from .channel import AsyncRealtimeChannel as AsyncRealtimeChannel
from .channel import AsyncRealtimeChannel as RealtimeChannel
from .client import AsyncRealtimeClient as AsyncRealtimeClient
from .client import AsyncRealtimeClient as RealtimeClient
from .stream import AsyncEventStream as AsyncEventStream
from .stream import AsyncEventStream as EventStream

__all__ = ["EventStream", "RealtimeChannel", "RealtimeClient"]
