"""One bar for all files of a command, on a terminal, if there is a library that draws one."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import aerodb
from aerodb._io.progress_bars import progress_bar


@contextmanager
def shown_progress(
    total: int, *, quiet: bool
) -> Generator[Callable[[aerodb.TransferProgress], None] | None]:
    """A function for `progress=` that adds up all transfers; None if nothing is to be shown."""
    bar = None if quiet or not sys.stderr.isatty() else _bar()
    if bar is None:
        yield None
        return
    show, close = bar
    try:
        yield Sum(show, total)
    finally:
        close()


def _bar() -> tuple[Callable[[Any], None], Callable[[], None]] | None:
    try:
        return progress_bar()
    except ValueError:  # neither tqdm nor rich
        return None


class Sum:
    """How far several transfers at once have come together. They report from threads."""

    def __init__(self, show: Callable[[Any], None], total: int) -> None:
        self._show = show
        self._total = total
        self._each: dict[str, int] = {}
        self._mutex = threading.Lock()

    def __call__(self, now: aerodb.TransferProgress) -> None:
        """One of them has come so far."""
        with self._mutex:
            self._each[now.path] = now.transferred
            done = sum(self._each.values())
            self._show(aerodb.TransferProgress(now.path, done, self._total, now.direction))
