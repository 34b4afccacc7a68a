"""Blobs as files of one folder of this machine.

ROOT/parts/ID         what is being written
ROOT/blobs/ab/ID      what is complete; `ab` are the first letters of ID

A file is written under the first name, brought to the disk, and moved to the second. Nobody but the
instance gives names, so no path of a user ever reaches the file system (reliability C2).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from aerodb.local.errors import LocalError
from aerodb.local.storage.blobs import BlobMissing, StoreFull

T = TypeVar("T")
CHUNK_BYTES = 256 * 1024
_THREADS = 8
_NAME = re.compile(r"[0-9a-f]{32}")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


class FileStore:
    """A folder. `exclusive` says that nobody else uses it: then unfinished files are nobody's."""

    def __init__(self, root: Path, *, exclusive: bool) -> None:
        self._root = root
        self._exclusive = exclusive
        self._lock = threading.Lock()
        self._made: set[Path] = set()
        self._threads = ThreadPoolExecutor(_THREADS, "aerodb-local-files")

    async def start(self) -> None:
        """Make the folders, and remove what a crash has left unfinished."""
        await self._run(self._prepare)

    async def stop(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False)

    async def put(self, name: str, chunks: AsyncIterator[bytes]) -> None:
        """Write a blob, in blocks of `chunks`."""
        unfinished = self._unfinished(name)
        try:
            descriptor = await self._open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            try:
                async for chunk in chunks:
                    await self._run(_write, descriptor, chunk)
                await self._run(os.fsync, descriptor)
            finally:
                os.close(descriptor)
            await self._run(self._finish, unfinished, self._complete(name))
        except BaseException as problem:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(unfinished)
            if isinstance(problem, OSError) and problem.errno in _FULL:
                raise StoreFull from None
            raise

    @contextlib.asynccontextmanager
    async def reading(
        self, name: str, start: int, length: int
    ) -> AsyncGenerator[AsyncIterator[bytes]]:
        """Open a blob: what is open stays whole, also when its name is gone."""
        try:
            descriptor = await self._open(self._complete(name), os.O_RDONLY)
        except FileNotFoundError:
            raise BlobMissing(name) from None
        try:
            yield self._chunks(descriptor, start, length)
        finally:
            os.close(descriptor)

    async def delete(self, name: str) -> None:
        """Remove a blob."""
        for path in (self._complete(name), self._unfinished(name)):
            with contextlib.suppress(FileNotFoundError):
                await self._run(os.unlink, path)

    async def _chunks(self, descriptor: int, start: int, length: int) -> AsyncIterator[bytes]:
        end = start + length
        while start < end:
            chunk = await self._run(os.pread, descriptor, min(CHUNK_BYTES, end - start), start)
            if not chunk:
                raise OSError(errno.EIO, "a blob is shorter than it was")
            start += len(chunk)
            yield chunk

    def _finish(self, unfinished: Path, complete: Path) -> None:
        """Give the file its final name, and see that the name is on the disk too."""
        folder = complete.parent
        with self._lock:
            if folder not in self._made:
                folder.mkdir(mode=0o700, exist_ok=True)
                _sync(folder.parent)
                self._made.add(folder)
        os.rename(unfinished, complete)
        _sync(folder)

    def _prepare(self) -> None:
        try:
            for folder in (self._root, self._root / "parts", self._root / "blobs"):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _sync(self._root)
            _sync(self._root.parent)
            # Whoever may write here may put another file in the place of an object (D7).
            if self._root.stat().st_mode & 0o002:
                raise LocalError(f"Everybody may write to {self._root}: close it (chmod 700).")
            if self._exclusive:
                for path in (self._root / "parts").iterdir():
                    path.unlink()
        except OSError as problem:
            raise LocalError(f"The storage folder {self._root} cannot be used: {problem}") from None

    def _unfinished(self, name: str) -> Path:
        return self._root / "parts" / _checked(name)

    def _complete(self, name: str) -> Path:
        return self._root / "blobs" / name[:2] / _checked(name)

    async def _open(self, path: Path, flags: int) -> int:
        future = self._submit(os.open, path, flags | _FLAGS, 0o600)
        try:
            return await _finished(future)
        except asyncio.CancelledError:
            if future.exception() is None:
                os.close(future.result())
            raise

    async def _run(self, function: Callable[..., T], *arguments: object) -> T:
        return await _finished(self._submit(function, *arguments))

    def _submit(self, function: Callable[..., T], *arguments: object) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)


async def _finished(future: asyncio.Future[T]) -> T:
    """Wait for a thread; who is cancelled waits too, as the thread may use a descriptor of ours."""
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        while not future.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([future])
        raise


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"not the name of a blob: {name!r}")
    return name


def _write(descriptor: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync(folder: Path) -> None:
    """See that the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | _FLAGS)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
