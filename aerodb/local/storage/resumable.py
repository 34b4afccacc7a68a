"""Uploads in several requests: tus 1.0.0 (wire contract §5.5).

Every chunk is a content of its own, so what has arrived survives a crash, and any copy of the
server can go on. With the last one they become the object: its bytes are brought together under one
id, and the row of the object and the new offset are written in one transaction. Two chunks for one
place may arrive at once; the first that is complete counts, the other is told to look again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from typing import Any
from uuid import UUID

from aerodb.local.replies import Header
from aerodb.local.storage.blobs import BlobMissing
from aerodb.local.storage.errors import StorageError
from aerodb.local.storage.http import PREFIX, Gone, Reply, Request, compact
from aerodb.local.storage.intake import Content, too_large
from aerodb.local.storage.parts import Parts
from aerodb.local.storage.ranges import http_date
from aerodb.local.storage.store import Caller, Connection, every, one, run
from aerodb.local.storage.tus import (
    ALGORITHMS,
    CONTENT_TYPE,
    EXTENSIONS,
    VERSION,
    Announcement,
    announcement,
    check_version,
    offset,
    upload_checksum,
)
from aerodb.local.storage.writing import Description, Target

LIFETIME = timedelta(hours=24)
_FINAL = frozenset({401, 403, 404, 409, 412, 413, 415})
Endpoint = Callable[..., Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class _Upload:
    """A row of `storage.uploads`, and who goes on with it."""

    row: dict[str, Any]
    target: Target

    @property
    def id(self) -> UUID:
        found: UUID = self.row["id"]
        return found

    @property
    def left(self) -> int:
        return int(self.row["length"] - self.row["received"])

    @property
    def description(self) -> Description:
        row = self.row
        return Description(row["content_type"], row["cache_control"], row["metadata"])


def _speaks_tus(endpoint: Endpoint) -> Endpoint:
    """Every answer says which version it is of, the errors too."""

    @wraps(endpoint)
    async def speaking(self: Resumable, request: Request, *arguments: str) -> Reply:
        try:
            check_version(request)
            reply = await endpoint(self, request, *arguments)
        except StorageError as problem:
            raise problem.with_headers((b"tus-resumable", VERSION)) from None
        return Reply(reply.status, reply.body, (*reply.headers, (b"tus-resumable", VERSION)))

    return speaking


class Resumable:
    """The endpoints; with `signed` for those who have the token of a signed upload URL."""

    def __init__(self, parts: Parts, *, signed: bool) -> None:
        self._parts = parts
        self._store = parts.store
        self._intake = parts.intake
        self._signed = signed
        self._path = f"{PREFIX}/upload/resumable" + ("/sign" if signed else "")

    async def options(self, request: Request, *upload: str) -> Reply:
        """OPTIONS: what this server can do."""
        headers: tuple[Header, ...] = (
            (b"tus-resumable", VERSION),
            (b"tus-version", VERSION),
            (b"tus-extension", EXTENSIONS),
            (b"tus-max-size", str(self._parts.maximum).encode()),
            (b"tus-checksum-algorithm", ",".join(ALGORITHMS).encode()),
        )
        return Reply(204, headers=headers)

    @_speaks_tus
    async def create(self, request: Request) -> Reply:
        """POST: begin an upload."""
        announced = announcement(request)
        target = self._target(request, announced.bucket, announced.key)
        place = await self._parts.writer.prepare(target)
        self._intake.forget(place.content_id)
        place.check_type(announced.content_type)
        if announced.length > place.limit:
            raise too_large(place.limit)
        async with self._store.as_service() as connection:
            row = await _insert(connection, target, announced)
        if announced.length == 0:
            upload = _Upload(row, target)
            row = await self._complete(upload, await self._take(upload, _nothing()), [])
        location = f"{request.base_url}{self._path}/{row['id']}".encode()
        return Reply(201, headers=((b"location", location), _expires(row["expires_at"])))

    @_speaks_tus
    async def head(self, request: Request, upload_id: str) -> Reply:
        """HEAD: how far it is."""
        row = (await self._find(request, upload_id)).row
        return Reply(
            200,
            headers=(
                (b"upload-offset", str(row["received"]).encode()),
                (b"upload-length", str(row["length"]).encode()),
                (b"upload-metadata", row["announced"].encode()),
                _expires(row["expires_at"]),
            ),
        )

    @_speaks_tus
    async def patch(self, request: Request, upload_id: str) -> Reply:
        """PATCH: the next chunk."""
        if request.headers.get("content-type", "").strip().lower() != CONTENT_TYPE:
            raise StorageError("unsupported_media_type", f"A chunk must be {CONTENT_TYPE}")
        checksum = upload_checksum(request)
        upload = await self._find(request, upload_id)
        if offset(request) != upload.row["received"]:
            raise _elsewhere()
        if upload.left == 0:
            async for chunk in request.stream():
                if chunk:
                    raise too_large(upload.row["length"])
            return _received(upload.row)
        chunks = request.stream() if checksum else _as_far_as_it_goes(request)
        part = await self._take(upload, chunks, **checksum)
        if part.size < upload.left:
            return _received(await self._append(upload, part))
        return _received(await self._complete(upload, part, await self._earlier(upload)))

    @_speaks_tus
    async def delete(self, request: Request, upload_id: str) -> Reply:
        """DELETE: never mind."""
        await self._end(await self._find(request, upload_id))
        return Reply(204)

    # --- who, and which ------------------------------------------------------------------------

    def _target(self, request: Request, bucket: str, key: str) -> Target:
        if self._signed:
            token = request.headers.get("x-signature")
            grant = self._parts.signer.check(token, "upload", bucket, key)
            return Target(bucket, key, grant.owner, None, upsert=grant.upsert)
        caller = self._parts.callers.of(request)
        return Target(bucket, key, caller.id, caller, upsert=request.upsert)

    async def _find(self, request: Request, upload_id: str) -> _Upload:
        """Return the upload, if it is the caller's."""
        caller = None if self._signed else self._parts.callers.of(request)
        try:
            wanted = UUID(upload_id)
        except ValueError:
            raise _no_upload() from None
        async with self._store.as_service() as connection:
            row = await one(
                connection,
                "select * from storage.uploads where id = %s and expires_at > now()",
                wanted,
            )
        if row is None or not _belongs(row, caller):
            raise _no_upload()
        if caller is None:
            self._target(request, row["bucket_id"], row["name"])
        target = Target(row["bucket_id"], row["name"], row["owner"], caller, upsert=row["upsert"])
        return _Upload(row, target)

    # --- chunks --------------------------------------------------------------------------------

    async def _take(
        self, upload: _Upload, chunks: AsyncIterator[bytes], **checksum: bytes
    ) -> Content:
        async with self._store.as_service() as connection:
            content_id = await self._intake.register(connection)
        try:
            return await self._intake.take(content_id, chunks, upload.left, **checksum)
        except StorageError as problem:
            if problem.code == "checksum_mismatch":
                raise StorageError("upload_checksum_mismatch", problem.message) from None
            raise

    async def _append(self, upload: _Upload, part: Content) -> dict[str, Any]:
        """Keep a chunk that is not the last; one that is empty need not be kept."""
        position = upload.row["received"]
        try:
            async with self._store.as_service() as connection:
                row = await _advance(connection, upload, position + part.size)
                if part.size:
                    await self._intake.keep(connection, part)
                    await run(connection, _PART, upload.id, position, part.id, part.size)
                return row
        finally:
            self._intake.forget(part.id)

    async def _earlier(self, upload: _Upload) -> list[Content]:
        async with self._store.as_service() as connection:
            rows = await every(
                connection,
                "select p.content_id, p.size, c.sha256 from storage.upload_parts p "
                "join storage.contents c on c.id = p.content_id "
                "where p.upload_id = %s and p.position < %s order by p.position",
                upload.id,
                upload.row["received"],
            )
        return [Content(row["content_id"], row["size"], row["sha256"]) for row in rows]

    async def _complete(
        self, upload: _Upload, last: Content, earlier: list[Content]
    ) -> dict[str, Any]:
        """Make the object of the chunks; one alone is the object already."""
        whole = last
        try:
            if earlier:
                whole = await self._joined(upload, [*earlier, last])
            writer = self._parts.writer
            async with (
                writer.shown(upload.target.bucket, upload.target.writer),
                self._store.as_service() as connection,
            ):
                row = await _advance(connection, upload, upload.row["length"])
                await run(
                    connection, "delete from storage.upload_parts where upload_id = %s", upload.id
                )
                await writer.write(connection, upload.target, upload.description, whole)
        except StorageError as problem:
            if problem.status in _FINAL and problem.code != "upload_offset_mismatch":
                await self._end(upload)
            raise
        finally:
            # What has become the object is kept all the same: see `Intake.forget`.
            self._intake.forget(last.id)
            self._intake.forget(whole.id)
        self._parts.sweeper.wake()
        return row

    async def _joined(self, upload: _Upload, parts: list[Content]) -> Content:
        async with self._store.as_service() as connection:
            content_id = await self._intake.register(connection)
        return await self._intake.take(content_id, self._bytes_of(parts), upload.row["length"])

    async def _bytes_of(self, parts: list[Content]) -> AsyncIterator[bytes]:
        for part in parts:
            try:
                async with self._parts.blobs.reading(part.id.hex, 0, part.size) as chunks:
                    async for chunk in chunks:
                        yield chunk
            except BlobMissing:
                raise _elsewhere() from None  # another request has completed the upload

    async def _end(self, upload: _Upload) -> None:
        async with self._store.as_service() as connection:
            await run(connection, "delete from storage.uploads where id = %s", upload.id)
        self._parts.sweeper.wake()


_PART = """
insert into storage.upload_parts (upload_id, position, content_id, size) values (%s, %s, %s, %s)
"""
_UPLOAD = """
insert into storage.uploads (
    bucket_id, name, role, owner, upsert, length, content_type, cache_control, metadata, announced,
    expires_at
) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, now() + %s) returning *
"""
_ADVANCE = """
update storage.uploads set received = %s, expires_at = now() + %s
where id = %s and received = %s returning *
"""


async def _insert(
    connection: Connection, target: Target, announced: Announcement
) -> dict[str, Any]:
    row = await one(
        connection,
        _UPLOAD,
        target.bucket,
        target.key,
        None if target.writer is None else target.writer.role,
        target.owner,
        target.upsert,
        announced.length,
        announced.content_type,
        announced.cache_control,
        compact(announced.metadata),
        announced.text,
        LIFETIME,
    )
    assert row is not None
    return row


async def _advance(connection: Connection, upload: _Upload, received: int) -> dict[str, Any]:
    """Move the offset on, unless another request has done so meanwhile."""
    row = await one(connection, _ADVANCE, received, LIFETIME, upload.id, upload.row["received"])
    if row is None:
        raise _elsewhere()
    return row


def _belongs(row: dict[str, Any], caller: Caller | None) -> bool:
    if caller is None:
        return row["role"] is None
    return (row["role"], row["owner"]) == (caller.role, caller.id)


def _received(row: dict[str, Any]) -> Reply:
    done = (b"upload-offset", str(row["received"]).encode())
    return Reply(204, headers=(done, _expires(row["expires_at"])))


def _expires(moment: datetime) -> Header:
    return b"upload-expires", http_date(moment)


def _no_upload() -> StorageError:
    return StorageError("upload_not_found", "Upload not found")


def _elsewhere() -> StorageError:
    return StorageError("upload_offset_mismatch", "The upload does not go on at this offset")


async def _as_far_as_it_goes(request: Request) -> AsyncIterator[bytes]:
    """Yield a body, and take what has come of it for all if it breaks off."""
    try:
        async for chunk in request.stream():
            yield chunk
    except Gone:
        return


async def _nothing() -> AsyncIterator[bytes]:
    nothing: tuple[bytes, ...] = ()
    for chunk in nothing:
        yield chunk
