"""The endpoints that take an object in one request (wire contract §5.2, §5.4)."""

from __future__ import annotations

from dataclasses import replace

from aerodb.local.storage.body import Upload, expected_sha256, read_upload
from aerodb.local.storage.http import Reply, Request
from aerodb.local.storage.intake import too_large
from aerodb.local.storage.parts import Parts
from aerodb.local.storage.rows import file_object
from aerodb.local.storage.writing import Description, Place, Target

_FORM_BYTES = 128 * 1024


class Uploading:
    """Multipart or raw; new or in the place of another."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def create(self, request: Request, bucket: str, key: str) -> Reply:
        """POST /object/{bucket}/{path}."""
        caller = self._parts.callers.of(request)
        return await self._take(
            request, Target(bucket, key, caller.id, caller, upsert=request.upsert)
        )

    async def put(self, request: Request, bucket: str, key: str) -> Reply:
        """PUT /object/{bucket}/{path}: replaces, unless a condition says otherwise."""
        caller = self._parts.callers.of(request)
        target = Target(bucket, key, caller.id, caller, upsert=True)
        if request.headers.get("if-none-match", "").strip() == "*":
            target = replace(target, if_absent=True)
        return await self._take(request, replace(target, if_match=request.headers.get("if-match")))

    async def signed(self, request: Request, bucket: str, key: str) -> Reply:
        """PUT /object/upload/sign/{bucket}/{path}?token=..."""
        grant = self._parts.signer.check(request.query.get("token"), "upload", bucket, key)
        target = Target(bucket, key, grant.owner, None, upsert=grant.upsert)
        reply = await self._take(request, target)
        return replace(reply, status=201)

    async def _take(self, request: Request, target: Target) -> Reply:
        checksums = expected_sha256(request)
        place = await self._parts.writer.prepare(target)
        try:
            upload = await self._opened(request, place)
        except BaseException:
            self._parts.intake.forget(place.content_id)
            raise
        content = await self._parts.intake.take(
            place.content_id, upload.chunks, place.limit, **checksums
        )
        try:
            row = await self._parts.writer.commit(
                target,
                Description(upload.content_type, upload.cache_control, upload.metadata),
                content,
            )
        except BaseException:
            self._parts.intake.forget(place.content_id)
            raise
        if not row["created"]:
            self._parts.sweeper.wake()
        return Reply(201 if row["created"] else 200, file_object(row))

    async def _opened(self, request: Request, place: Place) -> Upload:
        announced = request.headers.get("content-length", "")
        if announced.isdigit() and int(announced[:20]) > place.limit + _FORM_BYTES:
            raise too_large(place.limit)
        upload = await read_upload(request)
        place.check_type(upload.content_type)
        return upload
