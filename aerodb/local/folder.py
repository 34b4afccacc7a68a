"""The data folder: everything that an instance keeps, used by one instance at a time.

.aerodb/.gitignore      `*`, so that nothing in here is ever committed
.aerodb/instance.lock   locked by the instance that runs, holds its process id
.aerodb/running.json    where it answers, see running.py
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
from aerodb.local.postgres.private import write_private
from aerodb.local.running import LOCK, withdraw

TAKEOVER_SECONDS = 15.0
EXIT_SECONDS = 0.5  # a process that was killed needs a moment until its files are closed
_locked: weakref.WeakSet[DataFolder] = weakref.WeakSet()


class DataFolder:
    """An opened and locked data folder. `path` None makes a temporary one."""

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        self.temporary = path is None
        if path is None:
            self.path = Path(tempfile.mkdtemp(prefix="aerodb-data-"))
        else:
            self.path = Path(path).expanduser().absolute()
        try:
            self._prepare()
            self._owner_lock, self.server_lock = self._take_locks()
        except OSError as problem:
            raise LocalError(f"The data folder {self.path} cannot be used: {problem}") from None
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
        """Release the locks. A temporary folder is removed by the watchdog, or by the caller."""
        locks = (self._owner_lock, self.server_lock)
        self._owner_lock = self.server_lock = -1
        _locked.discard(self)
        for lock in locks:
            if lock >= 0:
                os.close(lock)

    def _prepare(self) -> None:
        if not self.temporary:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            _refuse_open(self.path)
        with contextlib.suppress(FileExistsError):
            write_private(self.path / ".gitignore", "*\n")

    def _take_locks(self) -> tuple[int, int]:
        """Take the owner's lock, or fail at once; then wait for the server's.

        A living owner holds the first. The second may be held a little longer by the watchdog of
        an owner that was killed, until it has stopped PostgreSQL.
        """
        owner, server = self._open(LOCK), self._open("postgres.lock")
        try:
            if not _try_lock(owner, EXIT_SECONDS):
                holder = os.pread(owner, 32, 0).decode(errors="replace").strip()
                raise LocalError(
                    f"Another AeroDB (process {holder or 'unknown'}) runs on the data folder "
                    f"{self.path}. Stop it, or choose another folder."
                )
            os.ftruncate(owner, 0)
            os.pwrite(owner, f"{os.getpid()}\n".encode(), 0)
            withdraw(self.path, own=False)  # what an instance that was killed has left
            if not _try_lock(server, TAKEOVER_SECONDS):
                raise LocalError(f"An old PostgreSQL on {self.path} does not come to its end.")
        except BaseException:
            os.close(owner)
            os.close(server)
            raise
        return owner, server

    def _open(self, name: str) -> int:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        return os.open(self.path / name, flags, 0o600)


def _refuse_open(path: Path) -> None:
    """Whoever may write here may put another file in the place of the keys (reliability D7)."""
    mode = path.stat().st_mode
    if mode & 0o002:
        raise LocalError(
            f"Everybody may write to the data folder {path}: close it (chmod 700), or choose a "
            "folder of your own."
        )


def _try_lock(descriptor: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        else:
            return True


def _release_in_child() -> None:
    for folder in list(_locked):
        folder.close()


os.register_at_fork(after_in_child=_release_in_child)
