"""Files that appear whole or not at all, and small ones that hold a state. Blocking.

A part is written beside its target, readable by its owner only, and takes the target's place when
it is complete and on the disk (reliability S3). A link in the target's place is replaced, not
followed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
import threading
from typing import Any

from aerodb._core.http import SourceError
from aerodb._io.sources import file_error


class PartFile:
    """A file in the making. `digest` is asked for at construction, as it costs time."""

    def __init__(self, target: Any, *, hashed: bool) -> None:
        self._target = os.fsdecode(os.fspath(target))
        folder, name = os.path.split(self._target)
        self._folder = folder or "."
        if not name or os.path.isdir(self._target):
            raise SourceError("FILE_ERROR", f"{self._target} is a folder: name a file in it")
        self._hashed = hashed
        self._digest = hashlib.sha256()
        try:
            # mkstemp: O_CREAT | O_EXCL | O_NOFOLLOW, mode 0600, a name nobody can foresee
            handle, self._part = tempfile.mkstemp(".part", f".{name[:80]}.", self._folder)
        except OSError as error:
            raise file_error("write", self._target, error) from None
        self._file = os.fdopen(handle, "wb", buffering=0)
        self._lock = threading.Lock()  # who gave up must not close it under a thread that writes

    def write(self, blocks: list[bytes]) -> None:
        """Append."""
        with self._lock:
            self._write(blocks)

    def _write(self, blocks: list[bytes]) -> None:
        try:
            for block in blocks:
                _write_all(self._file, block)
                if self._hashed:
                    self._digest.update(block)
        except OSError as error:
            raise file_error("write", self._target, error) from None

    def restart(self) -> None:
        """Drop what is there."""
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
            self._file.close()
        with contextlib.suppress(OSError):
            os.unlink(self._part)


class OpenedFile:
    """A file of the caller's to write to; from where it stands."""

    def __init__(self, file: Any, *, hashed: bool) -> None:
        self._file = file
        self._hashed = hashed
        self._digest = hashlib.sha256()
        seekable = getattr(file, "seekable", None)
        self._start: int | None = file.tell() if seekable is not None and seekable() else None

    def write(self, blocks: list[bytes]) -> None:
        """Append."""
        try:
            for block in blocks:
                _write_all(self._file, block)
                if self._hashed:
                    self._digest.update(block)
        except OSError as error:
            raise file_error("write", None, error) from None

    def restart(self) -> None:
        """Go back to where it stood."""
        if self._start is None:
            raise SourceError(
                "SOURCE_CHANGED", "the download has to begin anew, and the file cannot go back"
            )
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
            flush()

    def discard(self) -> None:
        """It is the caller's."""


def open_target(target: Any, hashed: bool) -> PartFile | OpenedFile:
    """Where a download goes: a path, or a file opened for writing. Raises SourceError."""
    if isinstance(target, str | bytes | os.PathLike):
        return PartFile(target, hashed=hashed)
    if hasattr(target, "write"):
        return OpenedFile(target, hashed=hashed)
    message = f"cannot download to a {type(target).__name__}: give a path, or a file to write to"
    raise SourceError("INVALID_ARGUMENT", message)


def _write_all(file: Any, block: bytes) -> None:
    view = memoryview(block)
    while view:
        written = file.write(view)
        view = view[len(view) if written is None else written :]


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
    except OSError as error:
        raise file_error("read", os.fsdecode(os.fspath(path)), error) from None


def write_state(path: Any, data: bytes) -> None:
    """Replace a small file, whole or not at all."""
    part = PartFile(path, hashed=False)
    try:
        part.write([data])
        part.commit()
    finally:
        part.discard()


def drop_state(path: Any) -> None:
    """Remove a small file that has served."""
    with contextlib.suppress(OSError):
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
    except OSError as error:
        raise file_error("write", place, error) from None
    return os.path.join(place, name)
