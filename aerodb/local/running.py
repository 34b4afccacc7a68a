"""Where a running instance is: `running.json` in its data folder, private, gone when it ends.

One that was killed leaves the file behind. What tells the two apart is the lock of the folder,
which the system takes from every process that ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = "running.json"
LOCK = "instance.lock"


@dataclass(frozen=True, slots=True)
class Running:
    """An instance that runs: where it answers, and its process."""

    url: str
    pid: int


def announce(folder: Path, url: str) -> None:
    """Write down where this process answers. No reader sees half a file; mode 0600 by mkstemp."""
    descriptor, temporary = tempfile.mkstemp(prefix=".running-", dir=folder)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(Running(url, os.getpid())), file)
        os.replace(temporary, folder / FILE)
    except BaseException:
        os.unlink(temporary)
        raise


def withdraw(folder: Path, *, own: bool = True) -> None:
    """Take it back: what this process wrote, or whatever is there. A forked child is another."""
    found = _read(folder / FILE)
    if own and (found is None or found.pid != os.getpid()):
        return
    with contextlib.suppress(FileNotFoundError):
        (folder / FILE).unlink()


def find_running(folder: Path) -> Running | None:
    """The instance that runs on a data folder; None if none does, whatever a file says."""
    found = _read(folder / FILE)
    return found if found is not None and _is_locked(folder / LOCK) else None


def _read(path: Path) -> Running | None:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return Running(str(said["url"]), int(said["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_locked(path: Path) -> bool:
    """Whether somebody holds the lock. To ask takes it for a moment, shared with others who ask;
    an instance that starts just then tries again."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
