"""Several jobs at once, at most so many."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["together"]


class _Crew:
    """Threads that take jobs off one list."""

    def __init__(self, jobs: Iterable[Callable[[], Any]]) -> None:
        self._jobs = iter(list(jobs))
        self._lock = threading.Lock()
        self.stopped = False
        self.problem: BaseException | None = None

    def _next(self) -> Callable[[], Any] | None:
        with self._lock:
            return None if self.stopped else next(self._jobs, None)

    def work(self) -> None:
        while (job := self._next()) is not None:
            try:
                job()
            except BaseException as error:  # noqa: BLE001  # raised again by who waits
                self.problem = self.problem or error
                self.stopped = True


def together(jobs: Iterable[Callable[[], Any]], limit: int) -> None:
    """Run all jobs. What one raises is raised here; those that have not begun are left out then.

    After a Ctrl-C the jobs under way come to their end on daemon threads.
    """
    crew = _Crew(jobs)
    threads = [
        threading.Thread(target=crew.work, name=f"aerodb-transfer-{number}", daemon=True)
        for number in range(limit)
    ]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        crew.stopped = True
    if crew.problem is not None:
        raise crew.problem
