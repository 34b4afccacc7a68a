# GENERATED from aerodb_async_src/_refreshing.py by scripts/generate.py [312a2551aa17]: do not edit
"""One refresh of a session: its worker, its outcome, and the waiting for it."""

from __future__ import annotations

import os

from aerodb._core.identity import Session
from aerodb._core.session import Outcome
from aerodb._io.on_threads import Event, Worker, monotonic
from aerodb.types import AeroDBError


class Refreshing:
    """One refresh on its way, and who waits for it."""

    __slots__ = ("done", "error", "generation", "outcome", "pid", "session", "worker")

    def __init__(self, session: Session, generation: int) -> None:
        self.session = session
        self.generation = generation
        self.outcome: Outcome | None = None
        self.error: AeroDBError | None = None
        self.done = Event()
        self.worker: Worker | None = None
        self.pid = os.getpid()

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or will never: its loop or process is gone."""
        lost = self.worker is None or not self.worker.is_alive or self.pid != os.getpid()
        return lost or self.done.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait for its end; False if that did not come in time."""
        until = monotonic() + seconds
        while True:
            left = until - monotonic()
            # in slices, as a worker whose event loop is thrown away says no goodbye
            if self.done.wait(max(0.0, min(left, 1.0))) or self.is_over:
                return True
            if left <= 1.0:
                return False
