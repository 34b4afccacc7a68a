"""Blobs in a bucket of S3, or of what speaks its language (MinIO, R2, Ceph, ...).

`s3://BUCKET/PREFIX?endpoint=https://...&region=...`; credentials come from where AWS programs look
for them (`AWS_ACCESS_KEY_ID`, ...), never from the URL.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

from aerodb.local.errors import LocalError
from aerodb.local.storage.blobs import BlobMissing, StoreUnavailable

log = logging.getLogger("aerodb.local.storage")
_PART_BYTES = 8 * 1024 * 1024
_CONCURRENCY = 2
_CHUNK_BYTES = 256 * 1024
_MISSING = """\
objects in S3 need the package obstore. Install it with

    pip install 'aerodb[s3]'
"""


class S3Store:
    """A prefix of a bucket. An upload to it becomes visible as a whole or not at all."""

    def __init__(self, bucket: str, prefix: str, options: Mapping[str, str]) -> None:
        try:
            import obstore
            from obstore.exceptions import BaseError
            from obstore.store import S3Store as Remote
        except ModuleNotFoundError:
            raise LocalError(_MISSING) from None
        self._obstore: Any = obstore
        self._errors = (BaseError, OSError)
        endpoint = options.get("endpoint")
        config: dict[str, Any] = {"virtual_hosted_style_request": False}
        if endpoint is not None:
            config["endpoint"] = endpoint
            config["virtual_hosted_style_request"] = options.get("path_style") == "false"
        if "region" in options:
            config["region"] = options["region"]
        plain = endpoint is not None and endpoint.startswith("http://")
        self._store: Any = Remote(
            bucket,
            prefix=prefix or None,
            config=config,  # type: ignore[arg-type]
            # Large blobs take as long as they take: only silence is an error.
            client_options={
                "allow_http": plain,
                "timeout": timedelta(days=1),
                "read_timeout": timedelta(seconds=60),
            },
            retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=30)},
        )

    async def start(self) -> None:
        """Nothing to make ready."""

    async def stop(self) -> None:
        """Nothing to let go of."""

    async def put(self, name: str, chunks: AsyncIterator[bytes]) -> None:
        """Write a blob: a small one with one request, others in parts of 8 MiB."""
        source = _Source(chunks)
        begin = await source.begin(_PART_BYTES)
        try:
            await self._obstore.put_async(
                self._store,
                name,
                begin if source.ended else source,
                use_multipart=not source.ended,
                chunk_size=_PART_BYTES,
                max_concurrency=_CONCURRENCY,
            )
        except Exception as problem:
            if source.problem is not None:
                raise source.problem from None
            if isinstance(problem, self._errors):
                raise _unavailable(problem) from None
            raise

    @contextlib.asynccontextmanager
    async def reading(
        self, name: str, start: int, length: int
    ) -> AsyncGenerator[AsyncIterator[bytes]]:
        """Open a blob with one request: what it gives is one version of it, from end to end."""
        if length == 0:
            yield _nothing()
            return
        try:
            found = await self._obstore.get_async(
                self._store, name, options={"range": (start, start + length)}
            )
        except FileNotFoundError:
            raise BlobMissing(name) from None
        except self._errors as problem:
            raise _unavailable(problem) from None
        yield _as_bytes(found.stream(min_chunk_size=_CHUNK_BYTES))

    async def delete(self, name: str) -> None:
        """Remove a blob."""
        try:
            await self._obstore.delete_async(self._store, name)
        except FileNotFoundError:
            return
        except self._errors as problem:
            raise _unavailable(problem) from None


def _unavailable(problem: Exception) -> StoreUnavailable:
    """The library's text has addresses and bodies, so it goes to the log alone."""
    log.warning("the object store failed: %s", str(problem).partition("\n")[0])
    return StoreUnavailable()


class _Source:
    """The bytes of a blob.

    Keeps what went wrong with them: on its way through the library it would be wrapped.
    """

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._begin: bytes | None = None
        self.ended = False
        self.problem: BaseException | None = None

    async def begin(self, least: int) -> bytes:
        """Read so many bytes, or all there are; they come again."""
        found = bytearray()
        async for chunk in self._chunks:
            found += chunk
            if len(found) >= least:
                break
        else:
            self.ended = True
        self._begin = bytes(found)
        return self._begin

    def __aiter__(self) -> _Source:
        return self

    async def __anext__(self) -> bytes:
        if self._begin is not None:
            begin, self._begin = self._begin, None
            return begin
        try:
            return await anext(self._chunks)
        except StopAsyncIteration:
            raise
        except BaseException as problem:
            self.problem = problem
            raise


async def _as_bytes(chunks: Any) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        yield bytes(chunk)


async def _nothing() -> AsyncIterator[bytes]:
    nothing: tuple[bytes, ...] = ()
    for chunk in nothing:
        yield chunk
