"""The endpoints that give an object's bytes (wire contract §5.2, §5.4)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

from aerodb.local.replies import Header
from aerodb.local.storage import ranges
from aerodb.local.storage.blobs import BlobMissing, StoreUnavailable
from aerodb.local.storage.disposition import attachment, is_active, safety_headers
from aerodb.local.storage.errors import StorageError, no_object
from aerodb.local.storage.http import FileReply, Request
from aerodb.local.storage.intake import store_silent
from aerodb.local.storage.parts import Parts
from aerodb.local.storage.ranges import Span, Unsatisfiable
from aerodb.local.storage.rows import find_object

log = logging.getLogger("aerodb.local.storage")
Find = Callable[[], Awaitable[dict[str, Any]]]
_ATTEMPTS = 5


class Downloading:
    """GET and HEAD, for the three ways in: as oneself, to what is public, with a signed URL."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def own(self, request: Request, bucket: str, key: str) -> FileReply:
        """GET or HEAD /object/{bucket}/{path}."""
        caller = self._parts.callers.of(request)

        async def find() -> dict[str, Any]:
            async with self._parts.store.as_caller(caller) as connection:
                return await find_object(connection, bucket, key)

        return await self._answer(request, find, request.query.get("download"))

    async def public(self, request: Request, bucket: str, key: str) -> FileReply:
        """GET or HEAD /object/public/{bucket}/{path}; credentials are not looked at."""

        async def find() -> dict[str, Any]:
            async with self._parts.store.as_service() as connection:
                return await find_object(connection, bucket, key, public=True)

        return await self._answer(request, find, request.query.get("download"))

    async def signed(self, request: Request, bucket: str, key: str) -> FileReply:
        """GET or HEAD /object/sign/{bucket}/{path}?token=..."""
        grant = self._parts.signer.check(request.query.get("token"), "download", bucket, key)

        async def find() -> dict[str, Any]:
            async with self._parts.store.as_service() as connection:
                return await find_object(connection, bucket, key)

        asked = request.query.get("download")
        return await self._answer(
            request, find, asked if grant.download is None else grant.download
        )

    async def _answer(self, request: Request, find: Find, download: str | None) -> FileReply:
        """Look at the row, then open the bytes.

        In between they may be replaced, and those that the row spoke of removed: then again.
        """
        for _ in range(_ATTEMPTS):
            reply, span, name = _described(request, await find(), download)
            if span is None:
                return reply
            opened = AsyncExitStack()
            reading = self._parts.blobs.reading(name, span.start, span.length)
            try:
                chunks = await opened.enter_async_context(reading)
            except BlobMissing:
                continue
            except StoreUnavailable:
                raise store_silent() from None
            return replace(reply, chunks=chunks, opened=opened)
        log.error("the bytes of an object are missing from the object store")
        raise no_object()


def _described(
    request: Request, row: dict[str, Any], download: str | None
) -> tuple[FileReply, Span | None, str]:
    """Return an answer without its bytes, and which bytes of which blob belong to it."""
    changed, etag, size = row["updated_at"], row["etag"], row["size"]
    name: str = row["content_id"].hex
    headers: list[Header] = [
        (b"etag", etag.encode()),
        (b"last-modified", ranges.http_date(changed)),
        (b"cache-control", (row["cache_control"] or "no-cache").encode()),
        (b"accept-ranges", b"bytes"),
    ]
    if ranges.not_modified(request.headers, etag, changed):
        return FileReply(304, tuple(headers)), None, name
    span: Span | None = None
    try:
        if request.method == "GET":  # ranges are of no other method (RFC 9110 §14.2)
            span = ranges.wanted_span(request.headers, size, etag, changed)
    except Unsatisfiable:
        whole = (b"content-range", f"bytes */{size}".encode())
        message = "None of the bytes that were asked for exists"
        raise StorageError("range_not_satisfiable", message, headers=(whole,)) from None
    headers += _shown(row, download)
    if row["sha256"] is not None:  # of the whole, also with a part
        headers.append((b"x-checksum-sha256", row["sha256"].hex().encode()))
    part = span or Span(0, size)
    headers.append((b"content-length", str(part.length).encode()))
    if span is not None:
        headers.append((b"content-range", span.header(size)))
    reply = FileReply(200 if span is None else 206, tuple(headers))
    return reply, (None if request.method == "HEAD" else part), name


def _shown(row: dict[str, Any], download: str | None) -> list[Header]:
    """How a browser is to treat the object."""
    headers = [
        (b"content-type", row["content_type"].encode()),
        *safety_headers(row["content_type"]),
    ]
    name = row["name"].rpartition("/")[2]
    if download is not None or is_active(row["content_type"]):
        headers.append((b"content-disposition", attachment(download or name)))
    return headers
