"""The library's logger. `logging` is loaded when something is logged: importing it costs as much
as a quarter of this library, and most programs never see a line of ours."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging

__all__ = ["logger"]


def logger(name: str = "aerodb") -> logging.Logger:
    """The logger of that name; the application decides what becomes of its lines."""
    found: logging.Logger = import_module("logging").getLogger(name)
    return found
