"""The library's logger. `logging` is loaded when something is logged: importing it costs as much
as a quarter of this library, and most programs never see a line of ours.

Without `AERODB_LOG` the application alone decides what becomes of the lines. `AERODB_LOG=debug`
writes them to stderr, one for each call, without installing anything in the program.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging

    from aerodb._core.operation import Operation

__all__ = ["CallLog", "call_log", "logger"]

VARIABLE = "AERODB_LOG"
_LEVELS = ("debug", "info", "warning", "error")
_told: set[str] = set()  # values of the variable that were no levels
_FORMAT = "[%(asctime)s %(name)s %(levelname)s] %(message)s"


def logger(name: str = "aerodb") -> logging.Logger:
    """The logger of that name; the application decides what becomes of its lines."""
    module = import_module("logging")
    ours: logging.Logger = module.getLogger("aerodb")
    if not ours.handlers:
        ours.addHandler(module.NullHandler())
    found: logging.Logger = module.getLogger(name)
    return found


def call_log() -> CallLog | None:
    """What writes a line for each call, if anybody would read it; None as a rule.

    `AERODB_LOG` is read each time a client is made. A logger that the program itself has set to
    DEBUG by then is heeded too.
    """
    if text := os.environ.get(VARIABLE, "").strip():
        _heed(text)
    if "logging" not in sys.modules:
        return None
    ours = logger()
    return CallLog(ours) if ours.isEnabledFor(sys.modules["logging"].DEBUG) else None


def _heed(text: str) -> None:
    """Do as the variable says; say so once if it says nothing that is known."""
    if text.lower() in _LEVELS:
        logger().setLevel(text.upper())
        _write_somewhere()
    elif text not in _told:
        _told.add(text)
        _write_somewhere()
        logger().warning("%s=%.40s is not one of %s", VARIABLE, text, ", ".join(_LEVELS))


def _write_somewhere() -> None:
    """Write to stderr, unless the program has handlers of its own, which get the lines then."""
    ours = logger()
    module = sys.modules["logging"]
    silent = all(isinstance(one, module.NullHandler) for one in ours.handlers)
    if silent and not module.getLogger().handlers:
        handler = module.StreamHandler()
        handler.setFormatter(module.Formatter(_FORMAT))
        ours.addHandler(handler)


class CallLog:
    """Writes a line for each call that has ended. No value, body, header or key is in it."""

    __slots__ = ("_logger",)

    def __init__(self, to: logging.Logger) -> None:
        self._logger = to

    @contextmanager
    def observe(self, operation: Operation) -> Generator[None, None, None]:
        """Around one call, as `Telemetry.observe`."""
        try:
            yield
        except BaseException as broken_off:
            self._write(operation, type(broken_off).__name__)
            raise
        self._write(operation, operation.error_code)

    def _write(self, operation: Operation, problem: str | None) -> None:
        self._logger.debug(
            "%s %s: %s, %d attempt%s, %.1f ms",
            operation.method,
            operation.path,
            " ".join(str(part) for part in (operation.status, problem) if part is not None),
            operation.attempts,
            "" if operation.attempts == 1 else "s",
            operation.elapsed * 1000,
            extra={
                "aerodb_operation": operation.name,
                "aerodb_status": operation.status,
                "aerodb_error": problem,
                "aerodb_attempts": operation.attempts,
                "aerodb_seconds": operation.elapsed,
            },
        )
