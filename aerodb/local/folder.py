"""The data folder: everything that an instance keeps, used by one instance at a time.

.aerodb/.gitignore      `*`, so that nothing in here is ever committed
.aerodb/instance.lock   locked by the instance that runs, holds its process id
.aerodb/secrets.json    see keys.py
.aerodb/postgres/       the cluster
.aerodb/postgres.log
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import time
import weakref
from pathlib import Path

from aerodb.local.errors import LocalError

TAKEOVER_SECONDS = 15.0
_locked: weakref.WeakSet[DataFolder] = weakref.WeakSet()


class DataFolder:
    """An opened and locked data folder. `path` None makes a temporary one."""

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        self.temporary = path is None
        if path is None:
            self.path = Path(tempfile.mkdtemp(prefix="aerodb-data-"))
        else:
            self.path = Path(path).expanduser().absolute()
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError), open(self.path / ".gitignore", "x") as ignore:
            ignore.write("*\n")
        self.lock: int = self._lock()
        _locked.add(self)

    @property
    def cluster(self) -> Path:
        """Where the PostgreSQL cluster is."""
        return self.path / "postgres"

    @property
    def log(self) -> Path:
        """Where PostgreSQL's messages go."""
        return self.path / "postgres.log"

    def close(self) -> None:
        """Release the lock. A temporary folder is removed by the watchdog, or by the caller."""
        lock, self.lock = self.lock, -1
        _locked.discard(self)
        if lock >= 0:
            os.close(lock)

    def _lock(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        lock = os.open(self.path / "instance.lock", flags, 0o600)
        deadline = time.monotonic() + TAKEOVER_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(lock, 32, 0).decode(errors="replace").strip()
                # The watchdog holds the lock too: if the owner was killed, it is about to let go.
                if _is_alive(holder) or time.monotonic() > deadline:
                    os.close(lock)
                    raise LocalError(
                        f"Another AeroDB (process {holder or 'unknown'}) runs on the data folder "
                        f"{self.path}. Stop it, or choose another folder."
                    ) from None
                time.sleep(0.05)
                continue
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
            return lock


def _is_alive(process_id: str) -> bool:
    if not process_id.isdigit():
        return False
    try:
        os.kill(int(process_id), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _release_in_child() -> None:
    for folder in list(_locked):
        folder.close()


os.register_at_fork(after_in_child=_release_in_child)
