"""Files that appear whole or not at all, and small ones that hold a state. Blocking.

A part is written beside its target, readable by its owner only, and takes the target's place when
it is complete and on the disk (reliability S3). A link in the target's place is replaced, not
followed.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import hashlib
import io
import os
import stat
import threading
from collections.abc import Generator
from typing import Any

from aerodb._core.http import SourceError
from aerodb._io.sources import Source, can_seek, file_error


class PartFile:
    """A file in the making, by its path. `digest` is asked for at construction, as it costs time.

    Nothing is on the disk before `open`, so that whoever gives up meanwhile has what to `discard`.
    """

    def __init__(self, target: Any, *, hashed: bool) -> None:
        self._target = os.fsdecode(os.fspath(target))
        folder, self._name = os.path.split(self._target)
        self._folder = folder or "."
        self._hashed = hashed
        self._digest = hashlib.sha256()
        self._part: str | None = None
        self._file: Any = None
        self._over = False
        self._process = os.getpid()
        self._lock = threading.Lock()  # who gave up must not close it under a thread that writes

    def open(self) -> None:
        """Begin it, unless it has been discarded meanwhile."""
        with self._lock:
            if self._over:
                return
            try:
                self._look()
                _making.add(self)
                self._make()
            except (OSError, ValueError) as error:
                raise file_error("write", self._target, error) from None

    def _look(self) -> None:
        """Only a file can be replaced by one: what stands for a device must stay what it is."""
        if not self._name or os.path.isdir(self._target):
            raise SourceError("FILE_ERROR", f"{self._target} is a folder: name a file in it")
        for look in (os.lstat, os.stat):
            with contextlib.suppress(FileNotFoundError):
                mode = look(self._target).st_mode
                if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
                    hint = "to write to what it stands for, open it, and give the open file"
                    message = f"{self._target} is no file, and would be replaced by one"
                    raise SourceError("FILE_ERROR", message, hint=hint)

    def _make(self) -> None:
        while True:
            # A name may have 255 bytes, and each character of this one takes up to four.
            name = f".{self._name[:50]}.{os.urandom(8).hex()}.part"
            self._part = os.path.join(self._folder, name)
            try:
                handle = os.open(self._part, _NEW, 0o600)
            except FileExistsError:
                self._part = None
            else:
                self._file = os.fdopen(handle, "wb", buffering=0)
                return

    def write(self, blocks: list[bytes]) -> None:
        """Append."""
        with self._lock:
            if self._over:
                return
            try:
                for block in blocks:
                    _write_all(self._file, block)
                    if self._hashed:
                        self._digest.update(block)
            except OSError as error:
                raise file_error("write", self._target, error) from None

    def restart(self) -> None:
        """Drop what is there."""
        with self._lock:
            if self._over:
                return
            try:
                self._file.seek(0)
                self._file.truncate()
            except OSError as error:
                raise file_error("write", self._target, error) from None
            self._digest = hashlib.sha256()

    def sha256(self) -> str:
        """The digest of what is there, in hex."""
        return self._digest.hexdigest()

    def commit(self) -> None:
        """Put it in the target's place, for good."""
        with self._lock:
            if self._over or self._part is None:
                raise SourceError("FILE_ERROR", f"{self._target} was given up")
            try:
                os.fsync(self._file.fileno())
                self._file.close()
                os.replace(self._part, self._target)
            except OSError as error:
                raise file_error("write", self._target, error) from None
        _sync_folder(self._folder)

    def discard(self) -> None:
        """Leave nothing behind; does nothing after `commit`."""
        with self._lock:
            self._over = True
            if self._file is not None:
                self._file.close()
            if self._part is not None:
                with contextlib.suppress(OSError):
                    os.unlink(self._part)
        _making.discard(self)

    def discard_own(self) -> None:
        """As `discard`, unless it is another process's, of which this one is a fork."""
        if self._process == os.getpid():
            self.discard()


_BEYOND: int = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)  # where there are such
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BEYOND

_making: set[PartFile] = set()


@atexit.register
def _leave_none() -> None:
    """What a daemon thread has in hand when the process ends, as after a Ctrl-C."""
    for part in list(_making):
        part.discard_own()


class OpenedFile:
    """A file of the caller's to write to; from where it stands."""

    def __init__(self, file: Any, *, hashed: bool) -> None:
        self._file = file
        self._hashed = hashed
        self._digest = hashlib.sha256()
        self._start: int | None = None

    def open(self) -> None:
        """Take note of where it stands."""
        with _as_source_error():
            self._start = self._file.tell() if can_seek(self._file) else None

    def write(self, blocks: list[bytes]) -> None:
        """Append."""
        with _as_source_error():
            for block in blocks:
                _write_all(self._file, block)
                if self._hashed:
                    self._digest.update(block)

    def restart(self) -> None:
        """Go back to where it stood."""
        if self._start is None:
            raise SourceError(
                "SOURCE_CHANGED", "the download has to begin anew, and the file cannot go back"
            )
        with _as_source_error():
            self._file.seek(self._start)
            self._file.truncate()
        self._digest = hashlib.sha256()

    def sha256(self) -> str:
        """The digest of what was written, in hex."""
        return self._digest.hexdigest()

    def commit(self) -> None:
        """What becomes of it is the caller's affair, but the bytes are handed on."""
        flush = getattr(self._file, "flush", None)
        if flush is not None:
            with _as_source_error():
                flush()

    def discard(self) -> None:
        """It is the caller's."""


@contextlib.contextmanager
def _as_source_error() -> Generator[None]:
    """What a file of the caller's raises, as ours."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise file_error("write", None, error) from None
    except TypeError as error:
        message = f"the file takes no bytes: {error}"
        raise SourceError("INVALID_ARGUMENT", message[:200], hint=_BINARY) from None


_BINARY = "open files in binary mode: open(path, 'wb')"


def target_of(target: Any, hashed: bool) -> PartFile | OpenedFile:
    """Where a download goes: a path, or a file opened for writing. Nothing is opened yet.

    Raises SourceError.
    """
    if isinstance(target, str | bytes | os.PathLike):
        return PartFile(target, hashed=hashed)
    if isinstance(target, io.TextIOBase):
        message = "a download is bytes, and the file takes text"
        raise SourceError("INVALID_ARGUMENT", message, hint=_BINARY)
    if hasattr(target, "write"):
        return OpenedFile(target, hashed=hashed)
    message = f"cannot download to a {type(target).__name__}: give a path, or a file to write to"
    raise SourceError("INVALID_ARGUMENT", message)


def _write_all(file: Any, block: bytes) -> None:
    view = memoryview(block)
    while view:
        written = file.write(view)
        if written is None and not isinstance(file, io.RawIOBase):
            return  # as simple files of others' do, which take all of it
        if not written:
            raise BlockingIOError(errno.EAGAIN, "a file that does not wait takes no more")
        view = view[written:]


def _sync_folder(folder: str) -> None:
    """Make the new name last; not every system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


# --- states -----------------------------------------------------------------------------------


def read_state(path: Any) -> bytes | None:
    """The content of a small file; None if there is none."""
    try:
        with open(path, "rb") as file:
            return file.read(64 * 1024)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise file_error("read", os.fsdecode(os.fspath(path)), error) from None


def write_state(path: Any, data: bytes) -> None:
    """Replace a small file, whole or not at all."""
    part = PartFile(path, hashed=False)
    try:
        part.open()
        part.write([data])
        part.commit()
    finally:
        part.discard()


def is_same_file(path: Any, source: Source) -> bool:
    """Whether a state kept there would replace what is uploaded."""
    try:
        return source.name is not None and os.path.samefile(path, source.name)
    except (OSError, ValueError):  # there is none
        return False


def drop_state(path: Any) -> None:
    """Remove a small file that has served."""
    with contextlib.suppress(OSError, ValueError):
        os.unlink(path)


# --- folders ----------------------------------------------------------------------------------


def place_below(folder: Any, path: str) -> str:
    """Where an object belongs below a folder; its own folders are made. Raises SourceError.

    No segment leads out of the folder: what a system reads as more than a name is refused, and so
    is a link on the way (reliability C2).
    """
    place = os.fsdecode(os.fspath(folder))
    *above, name = path.split("/")
    for segment in (*above, name):
        if os.path.basename(segment) != segment or os.path.splitdrive(segment)[0]:
            raise SourceError("INVALID_ARGUMENT", f"{path[:80]!a} is no file name on this system")
    try:
        os.makedirs(place, exist_ok=True)
        for segment in above:
            place = os.path.join(place, segment)
            with contextlib.suppress(FileExistsError):
                os.mkdir(place)
            if not stat.S_ISDIR(os.lstat(place).st_mode):
                raise SourceError("FILE_ERROR", f"{place} is no folder")
    except (OSError, ValueError) as error:
        raise file_error("write", place, error) from None
    return os.path.join(place, name)
