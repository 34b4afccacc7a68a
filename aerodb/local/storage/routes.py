"""The storage part as an ASGI application: paths, methods, errors."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from aerodb.local.replies import Header, Receive, Scope, Send, send_json
from aerodb.local.storage.buckets import Buckets
from aerodb.local.storage.downloading import Downloading
from aerodb.local.storage.errors import StorageError
from aerodb.local.storage.http import PREFIX, FileReply, Gone, Reply, Request, read_head
from aerodb.local.storage.listing import Listing
from aerodb.local.storage.listing_v2 import ListingV2
from aerodb.local.storage.moving import Moving
from aerodb.local.storage.names import bucket_segment, joined, segments
from aerodb.local.storage.objects import Objects
from aerodb.local.storage.parts import Parts
from aerodb.local.storage.resumable import Resumable
from aerodb.local.storage.signing import Signing
from aerodb.local.storage.uploading import Uploading

log = logging.getLogger("aerodb.local.storage")

Endpoint = Callable[..., Awaitable[Reply | FileReply]]
Methods = Mapping[str, Endpoint]
BUCKET, KEY = "{bucket}", "{path}"
_HEADERS: list[Header] = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]


class StorageRoutes:
    """Finds the endpoint of a request, and turns what it gives or raises into an answer."""

    def __init__(self, parts: Parts, base_url: str | None) -> None:
        self._routes = _routes(parts)
        self._base_url = base_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        head = scope["method"] == "HEAD"
        try:
            reply = await self._reply(scope, receive)
        except StorageError as error:
            headers = [*_HEADERS, *error.headers()]
            await send_json(send, error.status, error.body(), headers, head=head)
        except Gone:
            return
        else:
            if isinstance(reply, FileReply):
                await _send_file(reply, receive, send)
            elif reply.body is None:
                await _send_empty(reply, send)
            else:
                headers = [*_HEADERS, *reply.headers]
                await send_json(send, reply.status, reply.body, headers, head=head)

    async def _reply(self, scope: Scope, receive: Receive) -> Reply | FileReply:
        try:
            endpoint, arguments = self._found(scope)
            return await endpoint(read_head(scope, receive, self._base_url), *arguments)
        except (StorageError, Gone):
            raise
        except Exception:
            # Told as a fault of ours, with the traceback in the log alone.
            log.exception("a request could not be answered")
            raise StorageError("internal_error", "Internal error") from None

    def _found(self, scope: Scope) -> tuple[Endpoint, list[str]]:
        raw: bytes = scope["raw_path"]
        below = raw.removeprefix(PREFIX.encode())
        parts = segments(below) if below != raw else []
        for pattern, methods in self._routes:
            arguments = _matched(pattern, parts)
            if arguments is None:
                continue
            endpoint = methods.get(scope["method"])
            if endpoint is None and scope["method"] == "HEAD":
                endpoint = methods.get("GET")
            if endpoint is None:
                allowed = ", ".join(sorted(methods)).encode()
                message = f"{scope['method']} is not for this path"
                raise StorageError("method_not_allowed", message, headers=((b"allow", allowed),))
            return endpoint, arguments
        raise StorageError("not_found", "There is nothing here")


def _matched(pattern: Sequence[str], parts: Sequence[str]) -> list[str] | None:
    """Return the variable parts of a path that fits a pattern."""
    arguments: list[str] = []
    for position, expected in enumerate(pattern):
        if position >= len(parts):
            return None
        if expected == KEY:
            return [*arguments, joined(parts[position:])]
        if expected == BUCKET:
            arguments.append(bucket_segment(parts[position]))
        elif expected != parts[position]:
            return None
    return arguments if len(parts) == len(pattern) else None


# --- sending ------------------------------------------------------------------------------------


async def _send_empty(reply: Reply, send: Send) -> None:
    """Send no body; 204 has no length either (RFC 9110 §8.6)."""
    length: list[Header] = [] if reply.status == 204 else [(b"content-length", b"0")]
    headers = [*_HEADERS, *length, *reply.headers]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _send_file(reply: FileReply, receive: Receive, send: Send) -> None:
    """Send bytes as fast as they are taken; stop when nobody is there any more."""
    async with reply.opened:
        start = {"type": "http.response.start", "status": reply.status}
        await send({**start, "headers": list(reply.headers)})
        if reply.chunks is not None:
            gone = asyncio.ensure_future(_left(receive))
            try:
                async for chunk in reply.chunks:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                    if gone.done():
                        return
            finally:
                gone.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await gone
        await send({"type": "http.response.body", "body": b""})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


# --- the table ----------------------------------------------------------------------------------


def _routes(parts: Parts) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
    """The first pattern that fits holds: no bucket is called like one of the words here (§5.1)."""
    objects, listing, moving = Objects(parts), Listing(parts), Moving(parts)
    signing, uploading, downloading = Signing(parts), Uploading(parts), Downloading(parts)
    table: dict[str, dict[str, Any]] = {
        **_buckets(Buckets(parts)),
        "object/move": {"POST": moving.move},
        "object/copy": {"POST": moving.copy},
        "object/list/{bucket}": {"GET": listing.list, "POST": listing.list},
        "object/list-v2/{bucket}": {"POST": ListingV2(parts).list},
        "object/public/{bucket}/{path}": {"GET": downloading.public},
        "object/authenticated/{bucket}/{path}": {"GET": downloading.own},
        "object/info/public/{bucket}/{path}": {"GET": objects.public_info},
        "object/info/authenticated/{bucket}/{path}": {"GET": objects.info},
        "object/info/{bucket}/{path}": {"GET": objects.info},
        "object/upload/sign/{bucket}/{path}": {
            "POST": signing.sign_upload,
            "PUT": uploading.signed,
        },
        "object/sign/{bucket}": {"POST": signing.sign_many},
        "object/sign/{bucket}/{path}": {"POST": signing.sign, "GET": downloading.signed},
        "object/{bucket}": {"DELETE": objects.delete_many},
        "object/{bucket}/{path}": {
            "GET": downloading.own,
            "POST": uploading.create,
            "PUT": uploading.put,
            "DELETE": objects.delete,
        },
        **_resumable("upload/resumable/sign", Resumable(parts, signed=True)),
        **_resumable("upload/resumable", Resumable(parts, signed=False)),
        "render/image/{path}": dict.fromkeys(("GET", "POST"), _no_transforms),
    }
    return [(tuple(pattern.split("/")), methods) for pattern, methods in table.items()]


def _buckets(buckets: Buckets) -> dict[str, dict[str, Any]]:
    return {
        "bucket": {"GET": buckets.list, "POST": buckets.create},
        "bucket/{bucket}": {
            "GET": buckets.get,
            "PATCH": buckets.update,
            "PUT": buckets.update,
            "DELETE": buckets.delete,
        },
        "bucket/{bucket}/empty": {"POST": buckets.empty},
    }


def _resumable(path: str, endpoints: Resumable) -> dict[str, dict[str, Any]]:
    return {
        path: {"OPTIONS": endpoints.options, "POST": endpoints.create},
        f"{path}/{BUCKET}": {
            "OPTIONS": endpoints.options,
            "HEAD": endpoints.head,
            "PATCH": endpoints.patch,
            "DELETE": endpoints.delete,
        },
    }


async def _no_transforms(request: Request, path: str) -> Reply:
    raise StorageError("not_implemented", "This server does not transform images")
