# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""Tells a caller how far a transfer has come, and survives what the caller does with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, TypeVar

from aerodb._core.storage.models import TransferProgress
from aerodb._io.on_asyncio import call, logger
from aerodb._io.on_asyncio.transfers import progress_bar
from aerodb.types import AeroDBResponse

T = TypeVar("T")

Progress = bool | Callable[[TransferProgress], Any] | None
"""`True` for a bar; a function, which gets a `TransferProgress`; None for nothing."""


class AsyncMeter:
    """The progress of one transfer. A function that raises is not called again (reliability S7)."""

    __slots__ = ("_close", "_direction", "_path", "_problem", "_show", "total")

    def __init__(
        self, progress: Progress, path: str, direction: Literal["upload", "download"]
    ) -> None:
        """Raise TypeError or ValueError for a `progress` that is of no use."""
        self._show: Callable[[TransferProgress], Any] | None = None
        self._close: Callable[[], None] | None = None
        if progress is True:
            self._show, self._close = progress_bar()
        elif callable(progress):
            self._show = progress
        elif progress:
            raise TypeError(f"progress must be True or a function, not {type(progress).__name__}")
        self._path = path
        self._direction: Literal["upload", "download"] = direction
        self._problem: str | None = None
        self.total: int | None = None

    async def at(self, transferred: int) -> None:
        """So many bytes have passed."""
        if self._show is None:
            return
        progress = TransferProgress(self._path, transferred, self.total, self._direction)
        try:
            await call(self._show, progress)
        except Exception as error:  # noqa: BLE001  # the user's function; the transfer goes on
            self._show = None
            self._problem = f"the progress function failed: {type(error).__name__}: {error}"
            logger().exception("the progress function of a transfer failed")

    def ended(self, response: AeroDBResponse[T]) -> AeroDBResponse[T]:
        """Take the bar down; say in the response what went wrong here."""
        if self._close is not None:
            self._close()
        if self._problem is None:
            return response
        warnings = (*response.meta.warnings, self._problem)
        return replace(response, meta=replace(response.meta, warnings=warnings))
