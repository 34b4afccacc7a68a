"""Functions: what is sent to one, and what comes back (wire-contract §6)."""

from __future__ import annotations

from aerodb._core.functions.bodies import Parts
from aerodb._core.functions.call import FunctionInfo, Invocation, invoke_call, list_call
from aerodb._core.functions.events import EventReader, ServerSentEvent
from aerodb._core.functions.lines import LineSplitter

__all__ = [
    "EventReader",
    "FunctionInfo",
    "Invocation",
    "LineSplitter",
    "Parts",
    "ServerSentEvent",
    "invoke_call",
    "list_call",
]
