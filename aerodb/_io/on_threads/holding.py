"""Locks that are not left behind by a KeyboardInterrupt.

It may strike right behind `lock.acquire(...)`, before the answer is known. Entering a lock by
`with` is safe; where a lock is only tried, or waited for with a limit, it is an RLock, which knows
its owner:

    try:
        if lock.acquire(blocking=False):
            ...
    finally:
        give_back(lock)
"""

from __future__ import annotations

from typing import Any


def holds(lock: Any) -> bool:
    """Whether this very thread has the RLock."""
    found: bool = lock._is_owned()  # threading.Condition asks it the same
    return found


def give_back(lock: Any) -> None:
    """Release the RLock if this thread has it."""
    if holds(lock):
        lock.release()
