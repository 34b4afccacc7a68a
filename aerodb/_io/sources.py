"""What is uploaded, read block by block: memory, files, iterators. Blocking, for both twins.

A file may change while it is read, and the object would then be neither the one nor the other: so
size, time and inode are compared before the end goes out (reliability S6).
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn, Protocol

from aerodb._core.http import SourceError

BLOCK = 256 * 1024  # a larger one is made of fresh pages each time, which costs more than it saves
SMALL_BLOCK = 256 * 1024  # of iterators: they may be slow, and somebody may wait for what they give

# Linux: fail rather than wait for a disk. Asked for by name: other systems have neither.
_NOWAIT: int = getattr(os, "RWF_NOWAIT", 0) if hasattr(os, "preadv") else 0

_COROUTINE = 0x80  # inspect.CO_COROUTINE

Identity = tuple[int, int, int]


class Source(Protocol):
    """Bytes from the beginning, as often as `replayable` allows.

    `size` is None if only reading will tell. `name` is a file's, for guessing its type;
    `fingerprint` tells one state of a file from another.
    """

    size: int | None
    replayable: bool
    name: str | None

    def seek(self, offset: int) -> None: ...
    def read(self, size: int) -> bytes | memoryview: ...
    def check(self) -> None: ...
    def close(self) -> None: ...
    @property
    def fingerprint(self) -> str: ...


class Span(NamedTuple):
    """A part of a source: `size` bytes from `start` on, all that comes if it is None."""

    source: Source
    start: int
    size: int | None


class MemorySource:
    """Bytes that are there already.

    What the caller can change is given out in copies: a piece of it that is still held somewhere,
    as by a transport that was answered early, would keep a bytearray or a map from being resized.
    """

    replayable = True
    name: str | None = None

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        view = memoryview(data)
        self._view = view.cast("B") if view.c_contiguous else memoryview(view.tobytes())
        self.size: int | None = len(self._view)
        self._lasting = isinstance(self._view.obj, bytes)
        self._at = 0

    def seek(self, offset: int) -> None:
        self._at = offset

    def read(self, size: int) -> bytes | memoryview:
        if self._lasting:
            block: bytes | memoryview = self._view[self._at : self._at + size]
        else:
            with self._view[self._at : self._at + size] as view:
                block = bytes(view)
        self._at += len(block)
        return block

    def check(self) -> None:
        """Nobody else can reach it."""

    def close(self) -> None:
        self._view.release()

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self._view).hexdigest()


class FileSource:
    """A file: ours if it was given by its path, else the caller's, which is never closed here.

    A caller's file is read from where it stands. Its size is what it says of itself: the file of
    the system below it may be another one, as below what `gzip.open` gives.
    """

    replayable = True

    def __init__(self, file: Any, path: str | None) -> None:
        self._at = 0
        self._left_at = -1  # where the file itself stands; -1: not known
        self._cache: bytearray | None = bytearray(SMALL_BLOCK) if path and _NOWAIT else None
        self._file = file
        self._path = path
        name = path if path is not None else getattr(file, "name", None)
        self.name: str | None = name if isinstance(name, str) else None
        self._identity = self._look()
        try:
            self._start = 0 if path is not None else file.tell()
            self.size: int | None = self._measured()
        except Exception as error:  # noqa: BLE001  # whatever a file of the caller's may raise
            raise file_error("read", self.name, error) from None

    def _measured(self) -> int | None:
        """How much there is to be read; None if only reading tells, as below /proc."""
        if self._path is not None and self._identity is not None:
            end = self._identity[0]
        else:
            try:
                end = self._file.seek(0, io.SEEK_END)
            except (OSError, ValueError):
                end = 0
        self._file.seek(self._start)
        if isinstance(end, int) and end > self._start:
            return end - self._start
        empty = not self._file.read(1)
        self._file.seek(self._start)
        return 0 if empty else None

    def _look(self) -> Identity | None:
        """Size, time and inode; None for what is no file of the system (BytesIO)."""
        try:
            found = os.fstat(self._file.fileno())
        except (OSError, AttributeError, ValueError):
            return None
        return (found.st_size, found.st_mtime_ns, found.st_ino) if _regular(found) else None

    def read_now(self, size: int) -> bytes | None:
        """The next bytes if the system has them in memory; None if they are to be waited for.

        So an event loop reads what is cached without a thread, which would cost more than that.
        """
        if self._cache is None:
            return None
        view = memoryview(self._cache)[:size]
        try:
            found = os.preadv(self._file.fileno(), [view], self._at, _NOWAIT)
        except BlockingIOError:
            return None
        except OSError:  # not on this file system
            self._cache = None
            return None
        self._at += found
        return bytes(view[:found])

    def seek(self, offset: int) -> None:
        self._at = self._start + offset
        try:
            self._file.seek(self._at)
            self._left_at = self._at
        except Exception as error:  # noqa: BLE001  # as in `read`
            raise file_error("read", self.name, error) from None

    def read(self, size: int) -> bytes:
        try:
            if self._path is not None and self._left_at != self._at:  # `read_now` moved only us
                self._file.seek(self._at)
            self._left_at = -1
            data = self._file.read(size)
        except Exception as error:  # noqa: BLE001  # zlib.error, LZMAError, EOFError: any
            raise file_error("read", self.name, error) from None
        if not isinstance(data, bytes):
            _refuse_piece(data)
        self._at += len(data)
        self._left_at = self._at
        self._look_who_reads()
        return data

    def _look_who_reads(self) -> None:
        """Raise if a file of the caller's does not stand behind what was read: two uploads of one
        open file at once would each get parts of what the other one passed over. A device has no
        size, and stands nowhere."""
        if self._path is None and self.size is not None:
            try:
                moved = self._file.tell() != self._at
            except Exception as error:  # noqa: BLE001  # as in `read`
                raise file_error("read", self.name, error) from None
            if moved:
                what = "the file" if self.name is None else self.name
                hint = "open it once for each upload, or give its path"
                message = f"{what} was read by somebody else while it was uploaded"
                raise SourceError("SOURCE_CHANGED", message, hint=hint)

    def check(self) -> None:
        """Raise if it is not as it was when it was opened, or goes on behind its end."""
        if self._look() != self._identity or not self._is_in_place() or self._goes_on():
            raise changed(self.name)

    def _goes_on(self) -> bool:
        at_the_end = self.size is not None and self._at == self._start + self.size
        return at_the_end and bool(self.read(1))

    def _is_in_place(self) -> bool:
        """Whether the path still names the file that was opened."""
        if self._path is None or self._identity is None:
            return True
        try:
            return os.stat(self._path).st_ino == self._identity[2]
        except OSError:
            return False

    def close(self) -> None:
        if self._path is not None:
            self._file.close()

    @property
    def fingerprint(self) -> str:
        return "-".join(map(str, (*(self._identity or ()), self.size, self._start)))


class IteratorSource:
    """An iterator of bytes, or a file that cannot go back. Read once."""

    replayable = False
    name: str | None = None
    size: int | None = None
    fingerprint = ""

    def __init__(self, pieces: Iterator[Any]) -> None:
        self._pieces = pieces

    def seek(self, offset: int) -> None:
        """There is only one way: forward."""

    def read(self, size: int) -> bytes:
        return gather(self._pieces, min(size, SMALL_BLOCK))

    def check(self) -> None:
        """It has no size that it could differ from."""

    def close(self) -> None:
        """It is the caller's."""


def gather(pieces: Iterator[Any], size: int) -> bytes:
    """The next pieces together, at least `size` bytes of them; b"" after the last."""
    found: list[bytes] = []
    have = 0
    for piece in pieces:
        block = checked_piece(piece)
        found.append(block)
        have += len(block)
        if have >= size:
            break
    return found[0] if len(found) == 1 else b"".join(found)


def checked_piece(piece: Any) -> bytes:
    """A piece of an iterator's as bytes."""
    if isinstance(piece, bytes):
        return piece
    return bytes(piece) if isinstance(piece, bytearray | memoryview) else _refuse_piece(piece)


def _refuse_piece(piece: object) -> NoReturn:
    message = f"a body is made of bytes, not {type(piece).__name__}"
    raise SourceError(
        "INVALID_ARGUMENT", message, hint="open files in binary mode: open(path, 'rb')"
    )


def open_blocking(file: Any) -> Source:
    """Make a source of whatever an upload may be given. Raises SourceError."""
    if isinstance(file, str):
        hint = "for a file, pass pathlib.Path(...); for the text itself, text.encode()"
        raise SourceError(
            "INVALID_ARGUMENT", "a str may mean a path or the content itself", hint=hint
        )
    if isinstance(file, bytes | bytearray | memoryview):
        return MemorySource(file)
    if isinstance(file, os.PathLike):
        return _open_path(os.fspath(file))
    if isinstance(file, io.TextIOBase):
        _refuse_piece("")
    if hasattr(file, "read"):
        return _opened(file)
    if hasattr(file, "__iter__") and not isinstance(file, dict | list | tuple | set | range):
        return IteratorSource(iter(file))
    if isinstance(file, list | tuple):
        return IteratorSource(iter(file))
    message = (
        f"cannot send a {type(file).__name__}: give bytes, a path, a file opened in binary mode, "
        "or an iterator of bytes"
    )
    raise SourceError("INVALID_ARGUMENT", message)


def _open_path(path: Any) -> Source:
    name = os.fsdecode(path)
    try:
        if not _regular(os.stat(path)):  # before it is opened: a FIFO would wait for a writer
            raise SourceError("FILE_ERROR", f"{name} is not a file")
        file = open(path, "rb", buffering=0)  # noqa: SIM115  # the source closes it
    except (OSError, ValueError) as error:
        raise file_error("read", name, error) from None
    return FileSource(file, name)


def _opened(file: Any) -> Source:
    """A file of the caller's: from the start again if it can seek, else once."""
    if can_seek(file):
        return FileSource(file, None)
    return IteratorSource(_pieces_of(file))


def _pieces_of(file: Any) -> Iterator[Any]:
    while True:
        try:
            piece = file.read(SMALL_BLOCK)
        except Exception as error:  # noqa: BLE001  # as in `FileSource.read`
            raise file_error("read", None, error) from None
        if isinstance(piece, bytes) and not piece:
            return
        yield piece


def can_seek(file: Any) -> bool:
    """Whether a file of the caller's says that it can go back. Raises SourceError."""
    seekable = getattr(file, "seekable", None)
    try:
        return seekable is not None and bool(seekable())
    except (OSError, ValueError) as error:  # it is closed
        raise file_error("read", None, error) from None


def is_async(file: Any) -> bool:
    """Whether it is an async iterator or file, which only the async twin can read."""
    if hasattr(file, "read"):
        return _awaited(file.read)
    return hasattr(file, "__aiter__")


def _awaited(method: Any) -> bool:
    """As `inspect` tells it, which takes long to load."""
    code = getattr(method, "__code__", None)
    return code is not None and bool(code.co_flags & _COROUTINE)


def sha256_of(source: Source, start: int, size: int | None) -> bytes:
    """The digest of a part of the source, or of all of it."""
    digest = hashlib.sha256()
    source.seek(start)
    left = size
    while left is None or left > 0:
        block = source.read(BLOCK if left is None else min(BLOCK, left))
        if not block:
            break
        digest.update(block)
        left = None if left is None else left - len(block)
    return digest.digest()


def _regular(found: os.stat_result) -> bool:
    return stat.S_ISREG(found.st_mode)


def changed(name: str | None) -> SourceError:
    """The file is not the one that was opened any more."""
    what = "the file" if name is None else name
    hint = "upload it again, from a copy that nobody writes to"
    return SourceError("SOURCE_CHANGED", f"{what} changed while it was uploaded", hint=hint)


def file_error(verb: str, name: str | None, error: Exception) -> SourceError:
    """A file of this machine that does not work."""
    what = "the file" if name is None else name
    number = error.errno if isinstance(error, OSError) else None
    reason = os.strerror(number) if number else f"{type(error).__name__}: {error}"[:200]
    return SourceError("FILE_ERROR", f"{what} cannot be {_PARTICIPLES[verb]}: {reason}")


_PARTICIPLES = {"read": "read", "write": "written"}
