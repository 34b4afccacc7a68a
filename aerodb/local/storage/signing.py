"""The endpoints that sign URLs (wire contract §5.4)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from aerodb.local.storage.errors import StorageError, invalid
from aerodb.local.storage.http import PREFIX, Reply, Request
from aerodb.local.storage.names import url_path
from aerodb.local.storage.objects import listed_keys
from aerodb.local.storage.parts import Parts
from aerodb.local.storage.rows import find_object
from aerodb.local.storage.signatures import MAXIMUM_SECONDS, Grant
from aerodb.local.storage.store import every
from aerodb.local.storage.writing import Target

UPLOAD_SECONDS = 2 * 3600


class Signing:
    """Whoever may read an object may have a URL for it; whoever may write one, for an upload."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def sign(self, request: Request, bucket: str, key: str) -> Reply:
        """POST /object/sign/{bucket}/{path}."""
        caller = self._parts.callers.of(request)
        body = await request.json()
        seconds, download = _seconds(body), _download(body)
        async with self._parts.store.as_caller(caller) as connection:
            await find_object(connection, bucket, key)
        path, expires = self._signed(bucket, key, seconds, download)
        return Reply(
            200,
            {
                "signedUrl": f"{request.base_url}{PREFIX}{path}",
                "signedURL": path,
                "expires_at": _moment(expires),
                "path": key,
            },
        )

    async def sign_many(self, request: Request, bucket: str) -> Reply:
        """POST /object/sign/{bucket}: those of `paths` that the caller sees."""
        caller = self._parts.callers.of(request)
        body = await request.json()
        seconds, download = _seconds(body), _download(body)
        keys = listed_keys(body, "paths")
        async with self._parts.store.as_caller(caller) as connection:
            rows = await every(
                connection,
                "select name from storage.objects where bucket_id = %s and name = any(%s)",
                bucket,
                keys,
            )
        found = {row["name"] for row in rows}
        answers: list[dict[str, Any]] = []
        for key in keys:
            if key not in found:
                missing = {"path": key, "signedUrl": None, "signedURL": None}
                answers.append({**missing, "error": "object_not_found"})
                continue
            path, expires = self._signed(bucket, key, seconds, download)
            url = f"{request.base_url}{PREFIX}{path}"
            urls = {"path": key, "signedUrl": url, "signedURL": path}
            answers.append({**urls, "expires_at": _moment(expires), "error": None})
        return Reply(200, answers)

    async def sign_upload(self, request: Request, bucket: str, key: str) -> Reply:
        """POST /object/upload/sign/{bucket}/{path}."""
        caller = self._parts.callers.of(request)
        target = Target(bucket, key, caller.id, caller, upsert=request.upsert)
        place = await self._parts.writer.prepare(target)
        self._parts.intake.forget(place.content_id)
        grant = Grant(bucket, key, "upload", upsert=request.upsert, owner=caller.id)
        token, expires = self._parts.signer.sign(grant, UPLOAD_SECONDS)
        path = f"/object/upload/sign/{url_path(bucket, key)}?token={token}"
        answer = {"url": f"{request.base_url}{PREFIX}{path}", "token": token, "path": key}
        return Reply(200, {**answer, "expires_at": _moment(expires)})

    def _signed(self, bucket: str, key: str, seconds: int, download: str | None) -> tuple[str, int]:
        grant = Grant(bucket, key, "download", download=download)
        token, expires = self._parts.signer.sign(grant, seconds)
        path = f"/object/sign/{url_path(bucket, key)}?token={token}"
        if download is not None:
            path += f"&download={quote(download, safe='')}"
        return path, expires


def _seconds(body: dict[str, Any]) -> int:
    value = body.get("expiresIn")
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAXIMUM_SECONDS:
        raise invalid(f"expiresIn must be a number of seconds from 1 to {MAXIMUM_SECONDS}")
    return value


def _download(body: dict[str, Any]) -> str | None:
    if body.get("transform"):
        raise StorageError("not_implemented", "This server does not transform images")
    value = body.get("download")
    if value is None or value is False:
        return None
    if value is True:
        return ""
    if not isinstance(value, str):
        raise invalid("download must be true, false or a file name")
    return value


def _moment(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()
