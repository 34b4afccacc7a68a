"""The async side of the shim: asyncio. Same names as `on_threads`, same shapes of calls."""

from __future__ import annotations

from aerodb._io.forks import loading
from aerodb._io.forks import watch as watch_forks
from aerodb._io.log import call_log, logger
from aerodb._io.mutex import Mutex
from aerodb._io.on_asyncio.aside import apart, settle, soon, whole
from aerodb._io.on_asyncio.client import HttpClient
from aerodb._io.on_asyncio.colour import ContextGuard, Executable
from aerodb._io.on_asyncio.dispatch import Dispatcher, at_exit, check_handler, is_own
from aerodb._io.on_asyncio.primitives import Event, Lock, Queue, Worker, call, pause, settled
from aerodb._io.on_asyncio.stream import ByteStream
from aerodb._io.on_asyncio.websocket import WebSocket
from aerodb._io.values import jitter, monotonic, new_id, wall_clock

__all__ = [
    "ByteStream",
    "ContextGuard",
    "Dispatcher",
    "Event",
    "Executable",
    "HttpClient",
    "Lock",
    "Mutex",
    "Queue",
    "WebSocket",
    "Worker",
    "apart",
    "at_exit",
    "call",
    "call_log",
    "check_handler",
    "is_own",
    "jitter",
    "loading",
    "logger",
    "monotonic",
    "new_id",
    "pause",
    "settle",
    "settled",
    "soon",
    "wall_clock",
    "watch_forks",
    "whole",
]
