"""Reads the storage service's answers, tolerantly (wire-contract §1.6, §5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from aerodb._core.http import RawResponse, find_header
from aerodb._core.json import BadJSON, loads
from aerodb._core.storage.models import (
    Bucket,
    FileObject,
    ListPage,
    SignedUploadUrl,
    SignedUrl,
    SignedUrlResult,
)
from aerodb._core.storage.paths import ROOT, last_segment
from aerodb._core.url import BaseUrl
from aerodb.types import AeroDBError, AeroDBResponse

T = TypeVar("T")
Headers = Sequence[tuple[bytes, bytes]]


def loaded(response: RawResponse) -> Any:
    """The body's JSON; None for an empty body, or for one that is no JSON."""
    try:
        return loads(response.body) if response.body else None
    except BadJSON:
        return None


def invalid(what: str) -> AeroDBError:
    """The answer does not hold what it should."""
    return AeroDBError(f"the answer holds no {what} that can be read", code="INVALID_RESPONSE")


def decoder(
    read: Callable[[Any], T | None], what: str
) -> Callable[[RawResponse], AeroDBResponse[T]]:
    """A `Call.decode` out of a reader that returns None for what it cannot read."""

    def decode(response: RawResponse) -> AeroDBResponse[T]:
        found = read(loaded(response))
        return AeroDBResponse(error=invalid(what)) if found is None else AeroDBResponse(found)

    return decode


def nothing(response: RawResponse) -> AeroDBResponse[None]:
    """For answers whose status says it all."""
    return AeroDBResponse()


def items(value: Any, *names: str) -> list[Any] | None:
    """A list, bare or below one of the names."""
    for inner in (value, *(value.get(key) for key in (*names, "data") if isinstance(value, dict))):
        if isinstance(inner, list):
            return inner
    return None


def text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _size(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:20])
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


# --- buckets ----------------------------------------------------------------------------------


def read_bucket(value: Any, known: str | None = None) -> Bucket | None:
    """A bucket. `known` is its name if the server may leave it out (`{message}`)."""
    if not isinstance(value, dict):
        return Bucket(known, known) if known is not None and value is None else None
    name = text(value.get("name")) or text(value.get("id")) or known
    if name is None:
        return None
    policy, public = text(value.get("policy")), value.get("public")
    if not isinstance(public, bool):
        public = policy == "public"
    types = items(value.get("allowed_mime_types"))
    kinds = None if types is None else tuple(kind for kind in types if isinstance(kind, str))
    limit = _size(value.get("file_size_limit"))
    return Bucket(
        id=text(value.get("id")) or name,
        name=name,
        owner=text(value.get("owner")),
        public=public,
        policy=policy,
        file_size_limit=_size(value.get("max_file_size")) if limit is None else limit,
        allowed_mime_types=kinds,
        created_at=text(value.get("created_at")),
        updated_at=text(value.get("updated_at")),
    )


def read_buckets(value: Any) -> list[Bucket] | None:
    found = items(value, "buckets")
    if found is None:
        return None
    return [bucket for item in found if (bucket := read_bucket(item)) is not None]


# --- objects ----------------------------------------------------------------------------------


def read_object(value: Any, bucket: str, path: str | None = None) -> FileObject | None:
    """An object in any of the shapes of wire-contract §5.2; `path` is its name if known."""
    if not isinstance(value, dict):
        return None
    bucket = text(value.get("bucket")) or text(value.get("bucket_id")) or bucket
    key = path or text(value.get("path")) or _key_of(value, bucket) or text(value.get("name"))
    if key is None:
        return None
    inner = value.get("metadata")
    own: Mapping[str, Any] = inner if isinstance(inner, dict) else {}
    foreign = "eTag" in own or "mimetype" in own  # Supabase: the system's, beside the user's
    system: Mapping[str, Any] = own if foreign else {}
    users = value.get("user_metadata") if foreign or not own else own
    size = _size(value.get("size"))
    return FileObject(
        path=key,
        name=last_segment(key),
        bucket=bucket,
        id=text(value.get("id")) or text(value.get("Id")),
        size=_size(system.get("size")) if size is None else size,
        content_type=text(value.get("content_type")) or text(system.get("mimetype")),
        etag=text(value.get("etag")) or text(system.get("eTag")),
        cache_control=text(value.get("cache_control")) or text(system.get("cacheControl")),
        metadata=users if isinstance(users, dict) else {},
        created_at=text(value.get("created_at")),
        updated_at=text(value.get("updated_at")),
    )


def _key_of(value: Mapping[str, Any], bucket: str) -> str | None:
    key = text(value.get("Key")) or text(value.get("key"))
    return None if key is None else key.removeprefix(f"{bucket}/")


def object_decoder(bucket: str, path: str) -> Callable[[RawResponse], AeroDBResponse[FileObject]]:
    """Reads the description of one object whose name is known."""
    return decoder(lambda value: read_object(value, bucket, path), "object")


def objects_decoder(
    bucket: str, folder: str = ""
) -> Callable[[RawResponse], AeroDBResponse[list[FileObject]]]:
    """Reads a list of objects."""

    def read(value: Any) -> list[FileObject] | None:
        found = items(value, "files", "objects")
        if found is None:
            return None
        return [one for item in found if (one := read_object(item, bucket)) is not None]

    return decoder(read, "list of objects")


def read_page(value: Any, bucket: str) -> ListPage | None:
    """A page of list-v2."""
    if not isinstance(value, dict) or not isinstance(value.get("objects"), list):
        return None
    objects = (read_object(item, bucket) for item in value["objects"])
    folders = (
        text(item.get("name") if isinstance(item, dict) else item)
        for item in items(value.get("folders")) or []
    )
    cursor = text(value.get("nextCursor"))
    has_next = value.get("hasNext") is True
    if has_next and cursor is None:
        return None  # there is more, and no way to it
    return ListPage(
        objects=tuple(one for one in objects if one is not None),
        folders=tuple(name for name in folders if name is not None),
        has_next=has_next,
        next_cursor=cursor,
    )


def object_from_headers(bucket: str, path: str, size: int | None, headers: Headers) -> FileObject:
    """What a download's headers say of the object."""
    return FileObject(
        path=path,
        name=last_segment(path),
        bucket=bucket,
        size=size,
        content_type=find_header(headers, b"content-type"),
        etag=find_header(headers, b"etag"),
        cache_control=find_header(headers, b"cache-control"),
        updated_at=_iso(find_header(headers, b"last-modified")),
    )


def _iso(date: str | None) -> str | None:
    """The date of a header, written as the server writes dates elsewhere."""
    from email.utils import parsedate_to_datetime  # loads much, and is needed after a download only

    try:
        return None if date is None else parsedate_to_datetime(date).isoformat()
    except (ValueError, OverflowError):
        return date


# --- signed URLs ------------------------------------------------------------------------------

_URL_NAMES = ("signedUrl", "signedURL", "signed_url", "url")


def resolved(base: BaseUrl, url: str) -> str | None:
    """A returned URL made absolute (wire-contract §5.4); None for what is no URL at all."""
    if url.startswith(("http://", "https://")):
        return url
    origin = base.url()[: len(base.url()) - len(base.prefix)]
    if url.startswith(f"{base.prefix}{ROOT}/"):
        return origin + url
    if url.startswith(f"{ROOT}/"):
        return base.url(url)
    if url.startswith("/object/"):
        return base.url(ROOT + url)
    return None


def read_signed_url(value: Any, base: BaseUrl, path: str, download: str) -> SignedUrl | None:
    """A signed URL; `download` is what is added to its query."""
    found = _signed_url(value, base, path, download)
    if found is None or found.url is None:
        return None
    return SignedUrl(found.path, found.url, found.expires_at)


def read_signed_urls(value: Any, base: BaseUrl, download: str) -> list[SignedUrlResult] | None:
    """Several, of which each may be refused; None if anything among them is something else."""
    found = items(value, "urls")
    urls = [_signed_url(item, base, None, download) for item in found or ()]
    whole = [url for url in urls if url is not None]
    return None if found is None or len(whole) < len(urls) else whole


def _signed_url(
    value: Any, base: BaseUrl, path: str | None, download: str
) -> SignedUrlResult | None:
    if not isinstance(value, dict):
        return None
    named = path or text(value.get("path"))
    found = next((url for name in _URL_NAMES if (url := text(value.get(name)))), None)
    url = None if found is None else resolved(base, found)
    problem = text(value.get("error"))
    if named is None or (url is None and problem is None):
        return None
    if url is not None and download and "download=" not in url.partition("?")[2]:
        url = f"{url}{'&' if '?' in url else '?'}{download}"
    return SignedUrlResult(named, url, _moment(value.get("expires_at")), problem)


def read_signed_upload(value: Any, base: BaseUrl, path: str) -> SignedUploadUrl | None:
    """The right to upload; the token is a member, or in the URL."""
    if not isinstance(value, dict):
        return None
    found = next((url for name in _URL_NAMES if (url := text(value.get(name)))), None)
    url = None if found is None else resolved(base, found)
    if url is None:
        return None
    token = text(value.get("token"))
    if token is None:
        pairs = url.partition("?")[2].split("&")
        token = next((part[6:] for part in pairs if part.startswith("token=")), None)
    if not token:
        return None
    return SignedUploadUrl(path, token, url, _moment(value.get("expires_at")))


def _moment(value: object) -> str | None:
    return str(value) if isinstance(value, int | float) else text(value)
