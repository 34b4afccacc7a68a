"""The storage service's small calls (wire-contract §5): everything but the transfers.

A function returns the call, or the answer if an argument cannot be sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from aerodb._core.errors import client_error
from aerodb._core.http import Call, Prepared, RawResponse, Retry
from aerodb._core.json import dumps
from aerodb._core.storage.decode import (
    decoder,
    nothing,
    object_decoder,
    objects_decoder,
    read_bucket,
    read_buckets,
    read_page,
    read_signed_upload,
    read_signed_url,
    read_signed_urls,
)
from aerodb._core.storage.models import (
    Bucket,
    FileObject,
    ListPage,
    SignedUploadUrl,
    SignedUrl,
    SignedUrlResult,
)
from aerodb._core.storage.paths import (
    ROOT,
    bucket_problem,
    bucket_url,
    new_bucket_problem,
    object_problem,
    object_url,
    prefix_problem,
)
from aerodb._core.url import BaseUrl, quote_segment
from aerodb._core.values import BadValue
from aerodb.types import AeroDBError, AeroDBResponse

T = TypeVar("T")

MAX_PATHS = 1000  # of one request (wire-contract §5.2, §5.4)
_MAX_EXPIRY = 604_800
# No sets: what is looked for in them may be anything, a list too.
_POLICIES = ("public", "authenticated", "private")
_COLUMNS = ("name", "created_at", "updated_at", "size", "id", "path")
_JSON = ("Content-Type", "application/json")


def refused(*problems: str | None) -> AeroDBError | None:
    """The first of the problems as an error; None if there is none."""
    problem = next((text for text in problems if text), None)
    return None if problem is None else client_error("INVALID_ARGUMENT", problem)


def _call(
    method: str,
    path: str,
    decode: Callable[[RawResponse], AeroDBResponse[T]],
    body: Mapping[str, Any] | None = None,
    *,
    retry: Retry,
    upsert: bool = False,
    **options: Any,
) -> Prepared[T]:
    try:
        data = None if body is None else dumps(body)
    except BadValue as error:
        return AeroDBResponse(error=client_error(error.code, error.message, hint=error.hint))
    headers = (() if data is None else (_JSON,)) + ((("x-upsert", "true"),) if upsert else ())
    return Call(method, path, decode, headers=headers, body=data, retry=retry, **options)


def gone_already(response: AeroDBResponse[None]) -> AeroDBResponse[None]:
    """A 404 on the repetition of a DELETE is its success (wire-contract §1.8)."""
    error = response.error
    if error is not None and error.status == 404 and error.attempts > 1:
        return AeroDBResponse(None, None, None, response.meta)
    return response


# --- buckets ----------------------------------------------------------------------------------


def list_buckets_call(
    limit: int | None, offset: int, search: str | None, sort: tuple[str, str] | None
) -> Prepared[list[Bucket]]:
    """GET /bucket"""
    if error := refused(_count(limit, "limit", 1, 10**6), _count(offset, "offset", 0, 2**53),
                        _sort_problem(sort), _text_problem(search, "search")):  # fmt: skip
        return AeroDBResponse(error=error)
    column, order = sort or (None, None)
    query = _query(limit=limit, offset=offset or None, search=search,
                   sortColumn=column, sortOrder=order)  # fmt: skip
    return _call("GET", f"{ROOT}/bucket{query}", decoder(read_buckets, "list of buckets"),
                 retry=Retry.SAFE)  # fmt: skip


def get_bucket_call(bucket: str) -> Prepared[Bucket]:
    """GET /bucket/{id}"""
    if error := refused(bucket_problem(bucket)):
        return AeroDBResponse(error=error)
    return _call("GET", bucket_url(bucket), decoder(read_bucket, "bucket"), retry=Retry.SAFE)


def create_bucket_call(bucket: str, settings: Mapping[str, Any]) -> Prepared[Bucket]:
    """POST /bucket; 201 Bucket, or 200 `{name}` of other servers."""
    if error := refused(new_bucket_problem(bucket), _settings_problem(settings)):
        return AeroDBResponse(error=error)
    body = {"name": bucket, "id": bucket, **_given(settings)}
    return _call("POST", f"{ROOT}/bucket", _bucket_decoder(bucket), body, retry=Retry.UNSENT)


def update_bucket_call(bucket: str, settings: Mapping[str, Any]) -> Prepared[Bucket]:
    """PATCH /bucket/{id}; the same settings twice are the same settings."""
    given = _given(settings)
    empty = None if given else "give at least one setting to change"
    if error := refused(bucket_problem(bucket), _settings_problem(settings), empty):
        return AeroDBResponse(error=error)
    return _call("PATCH", bucket_url(bucket), _bucket_decoder(bucket), given,
                 retry=Retry.IDEMPOTENT)  # fmt: skip


def empty_bucket_call(bucket: str) -> Prepared[None]:
    """POST /bucket/{id}/empty"""
    if error := refused(bucket_problem(bucket)):
        return AeroDBResponse(error=error)
    return _call("POST", bucket_url(bucket, "/empty"), nothing, retry=Retry.IDEMPOTENT)


def delete_bucket_call(bucket: str, *, force: bool) -> Prepared[None]:
    """DELETE /bucket/{id}; 204"""
    if error := refused(bucket_problem(bucket)):
        return AeroDBResponse(error=error)
    url = bucket_url(bucket, "?force=true" if force else "")
    return _call("DELETE", url, nothing, retry=Retry.IDEMPOTENT)


def _bucket_decoder(bucket: str) -> Callable[[RawResponse], AeroDBResponse[Bucket]]:
    return decoder(lambda value: read_bucket(value, bucket), "bucket")


def _given(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: list(value) if name == "allowed_mime_types" and value is not None else value
        for name, value in settings.items()
        if value is not ...
    }


def _settings_problem(settings: Mapping[str, Any]) -> str | None:
    policy, public = settings.get("policy", ...), settings.get("public", ...)
    types, limit = settings.get("allowed_mime_types", ...), settings.get("file_size_limit", ...)
    if policy is not ... and policy not in _POLICIES:
        return "policy must be 'public', 'authenticated' or 'private'"
    if public is not ... and not isinstance(public, bool):
        return "public must be True or False"
    if policy is not ... and public is not ... and (policy == "public") != public:
        return f"public={public} and policy={policy!r} contradict each other: give one of them"
    if (
        types is not ...
        and types is not None
        and (
            isinstance(types, str)
            or not isinstance(types, Sequence)
            or not all(isinstance(kind, str) for kind in types)
        )
    ):
        return "allowed_mime_types must be a list of str, or None for any"
    if limit is ... or limit is None or isinstance(limit, str):
        return None
    return _count(limit, "file_size_limit", 0, 2**53)


# --- objects ----------------------------------------------------------------------------------


def list_call(
    bucket: str,
    prefix: str,
    limit: int,
    offset: int,
    search: str | None,
    sort: tuple[str, str] | None,
) -> Prepared[list[FileObject]]:
    """GET /object/list/{bucket}; a flat match of the names' beginnings."""
    if error := refused(bucket_problem(bucket), prefix_problem(prefix),
                        _count(limit, "limit", 1, MAX_PATHS), _count(offset, "offset", 0, 2**53),
                        _sort_problem(sort), _text_problem(search, "search")):  # fmt: skip
        return AeroDBResponse(error=error)
    query = _query(prefix=prefix, limit=limit, offset=offset, search=search,
                   sort=None if sort is None else ".".join(sort))  # fmt: skip
    url = f"{ROOT}/object/list/{quote_segment(bucket)}{query}"
    return _call("GET", url, objects_decoder(bucket), retry=Retry.SAFE)


def list_v2_call(
    bucket: str,
    prefix: str,
    cursor: str | None,
    limit: int,
    *,
    with_delimiter: bool,
    sort: tuple[str, str] | None,
) -> Prepared[ListPage]:
    """POST /object/list-v2/{bucket}"""
    if error := refused(bucket_problem(bucket), prefix_problem(prefix),
                        _count(limit, "limit", 1, MAX_PATHS), _sort_problem(sort),
                        _text_problem(cursor, "cursor")):  # fmt: skip
        return AeroDBResponse(error=error)
    body: dict[str, Any] = {"prefix": prefix, "limit": limit, "with_delimiter": with_delimiter}
    if cursor is not None:
        body["cursor"] = cursor
    if sort is not None:
        body["sortBy"] = {"column": sort[0], "order": sort[1]}
    url = f"{ROOT}/object/list-v2/{quote_segment(bucket)}"
    decode = decoder(lambda value: read_page(value, bucket), "page of objects")
    return _call("POST", url, decode, body, retry=Retry.IDEMPOTENT)


def remove_call(bucket: str, paths: Sequence[str]) -> Prepared[list[FileObject]]:
    """DELETE /object/{bucket}; at most 1000 names, which are exact."""
    if error := refused(bucket_problem(bucket), *(object_problem(path) for path in paths)):
        return AeroDBResponse(error=error)
    url = f"{ROOT}/object/{quote_segment(bucket)}"
    body = {"prefixes": list(paths)}
    return _call("DELETE", url, objects_decoder(bucket), body, retry=Retry.IDEMPOTENT)


def move_call(
    verb: str,
    bucket: str,
    source: str,
    target: str,
    target_bucket: str | None,
    *,
    upsert: bool,
    **more: Any,
) -> Prepared[FileObject]:
    """POST /object/move or /object/copy. A copy onto whatever is there may be made twice."""
    other = bucket if target_bucket is None else target_bucket
    if error := refused(bucket_problem(bucket), object_problem(source, "from_path"),
                        bucket_problem(other), object_problem(target, "to_path")):  # fmt: skip
        return AeroDBResponse(error=error)
    body: dict[str, Any] = {"bucketId": bucket, "sourceKey": source, "destinationKey": target}
    if target_bucket is not None:
        body["destinationBucket"] = target_bucket
    body |= {name: value for name, value in more.items() if value is not None}
    retry = Retry.IDEMPOTENT if verb == "copy" and upsert else Retry.UNSENT
    decode = object_decoder(other, target)
    return _call("POST", f"{ROOT}/object/{verb}", decode, body, retry=retry, upsert=upsert)


def info_call(bucket: str, path: str) -> Prepared[FileObject]:
    """GET /object/info/{bucket}/{path}"""
    if error := refused(bucket_problem(bucket), object_problem(path)):
        return AeroDBResponse(error=error)
    url = object_url(bucket, path, "info")
    return _call("GET", url, object_decoder(bucket, path), retry=Retry.SAFE)


def exists_call(bucket: str, path: str) -> Prepared[bool]:
    """HEAD /object/{bucket}/{path}; 404 is an answer here."""
    if error := refused(bucket_problem(bucket), object_problem(path)):
        return AeroDBResponse(error=error)

    def decode(response: RawResponse) -> AeroDBResponse[bool]:
        return AeroDBResponse(response.status != 404)

    return _call("HEAD", object_url(bucket, path), decode, retry=Retry.SAFE, answers=(404,))


# --- URLs -------------------------------------------------------------------------------------


def public_url(base: BaseUrl, bucket: str, path: str, download: bool | str) -> str:
    """The URL of an object in a public bucket. Raises ValueError: no response could hold it."""
    problem = bucket_problem(bucket) or object_problem(path) or _download_problem(download)
    if problem is not None:
        raise ValueError(problem)
    added = _download(download)
    return base.url(object_url(bucket, path, "public")) + (f"?{added}" if added else "")


def sign_call(
    base: BaseUrl, bucket: str, path: str, expires_in: int | timedelta, download: bool | str
) -> Prepared[SignedUrl]:
    """POST /object/sign/{bucket}/{path}"""
    seconds, problem = _expiry(expires_in)
    if error := refused(bucket_problem(bucket), object_problem(path), problem,
                        _download_problem(download)):  # fmt: skip
        return AeroDBResponse(error=error)
    body: dict[str, Any] = {"expiresIn": seconds}
    if download is not False:
        body["download"] = download

    decode = decoder(
        lambda value: read_signed_url(value, base, path, _download(download)), "signed URL"
    )
    url = object_url(bucket, path, "sign")
    return _call("POST", url, decode, body, retry=Retry.IDEMPOTENT)


def sign_many_call(
    base: BaseUrl,
    bucket: str,
    paths: Sequence[str],
    expires_in: int | timedelta,
    download: bool | str,
) -> Prepared[list[SignedUrlResult]]:
    """POST /object/sign/{bucket}; at most 1000 names."""
    seconds, problem = _expiry(expires_in)
    if error := refused(bucket_problem(bucket), problem, _download_problem(download),
                        *(object_problem(path) for path in paths)):  # fmt: skip
        return AeroDBResponse(error=error)

    decode = decoder(
        lambda value: read_signed_urls(value, base, _download(download)), "list of signed URLs"
    )
    url = f"{ROOT}/object/sign/{quote_segment(bucket)}"
    return _call("POST", url, decode,
                 {"expiresIn": seconds, "paths": list(paths)}, retry=Retry.IDEMPOTENT)  # fmt: skip


def sign_upload_call(
    base: BaseUrl, bucket: str, path: str, *, upsert: bool
) -> Prepared[SignedUploadUrl]:
    """POST /object/upload/sign/{bucket}/{path}"""
    if error := refused(bucket_problem(bucket), object_problem(path)):
        return AeroDBResponse(error=error)
    decode = decoder(lambda value: read_signed_upload(value, base, path), "signed upload URL")
    return _call("POST", object_url(bucket, path, "upload/sign"), decode,
                 retry=Retry.IDEMPOTENT, upsert=upsert)  # fmt: skip


def _expiry(value: object) -> tuple[int, str | None]:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        seconds = 0
    if 1 <= seconds <= _MAX_EXPIRY:
        return int(seconds), None
    return 0, f"expires_in must be 1 to {_MAX_EXPIRY} seconds (7 days), or such a timedelta"


def _download(download: bool | str) -> str:
    if download is False:
        return ""
    return "download=" if download is True else f"download={quote_segment(download)}"


def _download_problem(download: object) -> str | None:
    if isinstance(download, bool):
        return None
    problem = object_problem(download, "download")
    if problem is None and isinstance(download, str) and "/" in download:
        return "download must be a file name without folders"
    return problem


# --- small checks -----------------------------------------------------------------------------


def _count(value: object, what: str, low: int, high: int) -> str | None:
    if value is None and what == "limit":
        return None
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return None
    return f"{what} must be an integer from {low} to {high}"


def _text_problem(value: object, what: str) -> str | None:
    return None if value is None else prefix_problem(value, what)


def _sort_problem(sort: object) -> str | None:
    if sort is None:
        return None
    if (
        isinstance(sort, tuple)
        and len(sort) == 2
        and sort[0] in _COLUMNS
        and sort[1] in ("asc", "desc")
    ):
        return None
    return "sort_by must be a pair like ('created_at', 'desc')"


def _query(**parameters: Any) -> str:
    parts = [f"{n}={quote_segment(str(v))}" for n, v in parameters.items() if v not in (None, "")]
    return f"?{'&'.join(parts)}" if parts else ""
