"""Sessions kept in a file, which several processes may share (reliability R5, C4 S6).

The file is readable by its owner alone, is replaced in one step, and is never followed through a
link. A second file beside it is the lock: its holder may spend the refresh token. The system takes
the lock back when a process dies, however it dies.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from aerodb._core.identity import Session
from aerodb._io import forks
from aerodb._io.values import new_id

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows: files there are private to the user, and one process is served
    fcntl = None

__all__ = ["FileSessionStore", "HeldLock", "MemorySessionStore", "SessionStore"]

_PRIVATE = 0o600
_MAX_BYTES = 256 * 1024
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # a pipe would wait for its other end
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


class SessionStore(Protocol):
    """Where a session is kept beyond one client. Methods may be `async` for the async client.

    A store that several processes share also has `try_lock`, as `FileSessionStore` does: without
    it two of them may spend one refresh token, which ends the session.
    """

    def load(self) -> Any:
        """The `Session` that is kept, or None."""

    def save(self, session: Session) -> Any:
        """Keep this session; `session.dump()` is its text."""

    def clear(self) -> Any:
        """Keep none."""


class MemorySessionStore:
    """Keeps a session for several clients of one process; gone when the process ends.

    A client without any store keeps its session to itself, which is the default.
    """

    __slots__ = ("_session",)

    def __init__(self) -> None:
        self._session: Session | None = None

    def load(self) -> Session | None:
        """The session last saved, if it was not cleared since."""
        return self._session

    def save(self, session: Session) -> None:
        """Keep this session."""
        self._session = session

    def clear(self) -> None:
        """Keep none."""
        self._session = None

    def __repr__(self) -> str:
        return f"<MemorySessionStore {'empty' if self._session is None else 'with a session'}>"


class FileSessionStore:
    """Keeps a session in a file of mode 0600; processes that share it share one session.

    Args:
        path: The file. Its folder is made with mode 0700 if it does not exist.

    Its methods raise OSError: `PermissionError` for a file that others can read or that is not
    the user's own. Clients turn whatever a store raises into an `error`.
    """

    __slots__ = ("_path",)

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(os.path.abspath(os.path.expanduser(os.fspath(path))))

    @property
    def path(self) -> Path:
        """Where the session is kept."""
        return self._path

    def load(self) -> Session | None:
        """Read the session; None if there is no file, or an empty one.

        Raises:
            OSError: The file cannot be read, or is not for its owner alone.
            ValueError: What is in it is no session.
        """
        try:
            opened = os.open(self._path, os.O_RDONLY | _NO_WAIT | _NO_FOLLOW)
        except FileNotFoundError:
            return None
        with os.fdopen(opened, "rb") as file:
            _refuse_shared(file.fileno(), self._path)
            data = file.read(_MAX_BYTES + 1)
        if not data.strip():
            return None
        try:
            if len(data) <= _MAX_BYTES:
                return Session.load(data.decode("utf-8"))
        except ValueError:
            pass  # which may show what was read
        raise ValueError(f"{self._path} holds no session")

    def save(self, session: Session) -> None:
        """Write the session beside the file, then put it in the file's place."""
        data = session.dump().encode("utf-8")
        if len(data) > _MAX_BYTES:
            raise OSError(f"the session is larger than {_MAX_BYTES} bytes: metadata does not fit")
        self._make_folder()
        beside = self._path.with_name(f".{self._path.name}.{new_id()}")
        opened = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW, _PRIVATE)
        try:
            with os.fdopen(opened, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._path)
        except BaseException:
            with suppress(OSError):
                beside.unlink()
            raise

    def clear(self) -> None:
        """Remove the file."""
        with suppress(FileNotFoundError):
            self._path.unlink()

    def try_lock(self) -> Callable[[], None] | None:
        """Take the lock without waiting; what releases it, or None if another holds it."""
        if fcntl is None:
            return _nothing
        self._make_folder()
        path = self._path.with_name(self._path.name + ".lock")
        opened = os.open(path, os.O_RDWR | os.O_CREAT | _NO_FOLLOW, _PRIVATE)
        try:
            _refuse_shared(opened, path)
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(opened)
            return None
        except BaseException:
            os.close(opened)
            raise
        return HeldLock(opened).release

    def _make_folder(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)

    def __repr__(self) -> str:
        return f"FileSessionStore({str(self._path)!r})"

    def __eq__(self, other: object) -> bool:
        return self._path == other._path if isinstance(other, FileSessionStore) else NotImplemented

    def __hash__(self) -> int:
        return hash((FileSessionStore, self._path))

    def __reduce__(self) -> tuple[Any, ...]:
        return FileSessionStore, (str(self._path),)


class HeldLock:
    """An open lock file. A forked child closes its copy, or it would hold the parent's lock on.

    Whoever asked for it may have been interrupted before it was there: then it goes with this.
    """

    __slots__ = ("__weakref__", "_opened")

    def __init__(self, opened: int) -> None:
        self._opened: int | None = opened
        forks.watch(self)

    def reset_after_fork(self) -> None:
        self.release()

    def release(self) -> None:
        """Let others have it. May be called again."""
        opened, self._opened = self._opened, None
        if opened is not None:
            os.close(opened)

    def __del__(self) -> None:
        self.release()


def _nothing() -> None:
    """Release a lock that there is no need of."""


def _refuse_shared(opened: int, path: Path) -> None:
    found = os.fstat(opened)
    if not stat.S_ISREG(found.st_mode):
        raise PermissionError(f"{path} is no regular file: no session is kept there")
    if os.name != "posix":
        return
    if found.st_mode & 0o077:
        raise PermissionError(f"{path} can be read by others: chmod 600 it, or use another file")
    if found.st_uid != os.geteuid():
        raise PermissionError(f"{path} belongs to another user: use another file")
