"""Blobs in a bucket of S3, or of what speaks its language (MinIO, R2, Ceph, ...).

`s3://BUCKET/PREFIX?endpoint=https://...&region=...`; credentials come from where AWS programs look
for them (`AWS_ACCESS_KEY_ID`, ...), never from the URL.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from aerodb.local.errors import LocalError
from aerodb.local.storage.blobs import BlobMissing

_PART_BYTES = 8 * 1024 * 1024
_CONCURRENCY = 2
_CHUNK_BYTES = 256 * 1024
_PARAMETERS = frozenset({"endpoint", "region", "path_style"})
_MISSING = """\
objects in S3 need the package obstore. Install it with

    pip install 'aerodb[s3]'
"""


class S3Store:
    """A prefix of a bucket. An upload to it becomes visible as a whole or not at all."""

    def __init__(self, url: str) -> None:
        try:
            import obstore
            from obstore.store import S3Store as Remote
        except ModuleNotFoundError:
            raise LocalError(_MISSING) from None
        self._obstore: Any = obstore
        bucket, prefix, options = _parsed(url)
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
            client_options={"allow_http": plain, "timeout": timedelta(days=1)},
        )

    async def start(self) -> None:
        """Nothing to make ready."""

    async def stop(self) -> None:
        """Nothing to let go of."""

    async def put(self, name: str, chunks: AsyncIterator[bytes]) -> None:
        """Write a blob in parts of 8 MiB."""
        source = _Source(chunks)
        try:
            await self._obstore.put_async(
                self._store,
                name,
                source,
                use_multipart=True,
                chunk_size=_PART_BYTES,
                max_concurrency=_CONCURRENCY,
            )
        except Exception:
            if source.problem is not None:
                raise source.problem from None
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
        yield _as_bytes(found.stream(min_chunk_size=_CHUNK_BYTES))

    async def delete(self, name: str) -> None:
        """Remove a blob."""
        with contextlib.suppress(FileNotFoundError):
            await self._obstore.delete_async(self._store, name)


class _Source:
    """Keeps what went wrong with the bytes: on its way through the library it would be wrapped."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self.problem: BaseException | None = None

    def __aiter__(self) -> _Source:
        return self

    async def __anext__(self) -> bytes:
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


def _parsed(url: str) -> tuple[str, str, dict[str, str]]:
    parts = urlsplit(url)
    if parts.scheme != "s3" or not parts.netloc:
        raise LocalError("--storage-url must be s3://BUCKET/PREFIX or file:///FOLDER.")
    if "@" in parts.netloc:
        raise LocalError("--storage-url must hold no credentials: set AWS_ACCESS_KEY_ID, ...")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(options.keys() - _PARAMETERS)
    if unknown:
        known = ", ".join(sorted(_PARAMETERS))
        raise LocalError(f"--storage-url: {unknown[0]!r} is none of {known}")
    return parts.netloc, parts.path.strip("/"), options
