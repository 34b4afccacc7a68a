"""A resumable upload (tus 1.0.0, wire-contract §5.5) as a machine: it says what to send next.

    step = machine.step          # create -> ask -> send, send, ... -> done
    machine.answered(headers)    # or machine.failed(error, jitter), which says how long to wait

| what came back | what follows |
|---|---|
| the connection broke, 408, 429, 5xx that pass | wait, ask for the offset, go on from there |
| 409 | ask for the offset, go on from there |
| 423 | wait: somebody else holds the upload, perhaps a connection of ours that is dying |
| 460 | send the chunk again |
| 404, 410 | the upload is gone: begin a new one |
| anything else | give up |

Whatever brings the upload further than ever before makes good for the failures before it.
"""

from __future__ import annotations

import os
import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from aerodb._core.errors import client_error
from aerodb._core.http import Body, Call, RawResponse, Retry, find_header
from aerodb._core.retry import backoff
from aerodb._core.storage.paths import ROOT, object_url
from aerodb._core.storage.upload import IDLE_SECONDS, OCTETS, Upload, upload_token_problem
from aerodb._core.url import BaseUrl, own_target
from aerodb.types import AeroDBError, AeroDBResponse

Headers = Sequence[tuple[bytes, bytes]]
Step = Literal["create", "ask", "send", "done"]

RESUMABLE = f"{ROOT}/upload/resumable"
CHUNK_BYTES = 6 * 1024 * 1024  # wire-contract §5.5
_VERSION = ("Tus-Resumable", "1.0.0")
_MAX_RESTARTS = 3
_LOCKED_RETRIES = 12  # with the waits between them some 40 s: longer than a dead peer is noticed
_GONE = frozenset({404, 410})


class Pause(NamedTuple):
    """Wait so long, then do what `step` says."""

    seconds: float


class Resumable:
    """One resumable upload.

    Attributes:
        step: What to do next.
        offset: How many bytes the server has, as far as is known.
        location: The upload's `Call.path`; None if it is still to be created.
        doubtful: Whether the object may be complete although nobody said so.
        named: Whether the upload is known to be one of this very object.
        taken_over: How many bytes were there before this one sent any.
    """

    def __init__(
        self,
        base: BaseUrl,
        size: int,
        *,
        chunk: int,
        retries: int,
        location: str | None = None,
        token: str | None = None,
        target: tuple[str, str] | None = None,
    ) -> None:
        """`target` is bucket and name, which an upload at `location` is to have."""
        self._base = base
        self._target = target
        self._token = token
        self._size = size
        self._chunk = chunk
        self._retries = retries
        self._failures = 0
        self._furthest = 0
        self._restarts = 0
        self.offset = 0
        self.location = location
        self.step: Step = "create" if location is None else "ask"
        self.doubtful = False
        self.named = location is None
        self.taken_over = 0
        self._asked = location is None

    @property
    def part(self) -> int:
        """How many bytes the next chunk has."""
        return min(self._chunk, self._size - self.offset)

    def answered(self, headers: Headers, *, whole: bool = True) -> AeroDBError | None:
        """The step succeeded; what went wrong all the same, if anything. `whole`: all of the chunk
        was sent before the answer came."""
        if self.step == "create":
            return self._created(headers)
        offset = _number(headers, b"upload-offset")
        if self.step == "ask":
            return self._other_object(headers) or self._told(
                offset, _number(headers, b"upload-length")
            )
        most = self.offset + self.part - (not whole)
        if offset is None or not self.offset < offset <= most:
            return self._puzzled()
        self._advanced(offset)
        return None

    def _created(self, headers: Headers) -> AeroDBError | None:
        found = upload_path(self._base, find_header(headers, b"location") or "")
        if found is None:
            return client_error(
                "UNSAFE_LOCATION",
                "the server named an upload URL outside of its own storage: nothing was sent there",
            )
        self.location, self.step = found, "send"
        self._advanced(0)
        return None

    def _other_object(self, headers: Headers) -> AeroDBError | None:
        """Whether the upload, by what it was begun with, is one of another object."""
        told = _announced(find_header(headers, b"upload-metadata") or "")
        if self.named or self._target is None or told is None:
            return None
        if told == self._target:
            self.named = True
            return None
        message = "upload_url is an upload of another object: nothing was sent there"
        return client_error("INVALID_ARGUMENT", f"{message} ({'/'.join(told)[:200]!a})")

    def _told(self, offset: int | None, length: int | None) -> AeroDBError | None:
        if offset is None:
            return self._puzzled()
        if not self._asked:
            self._asked, self.taken_over = True, offset
        if offset > self._size or length not in (None, self._size):
            return self._restart(None)  # another file's
        self._advanced(offset)
        return None

    def _advanced(self, offset: int) -> None:
        if offset > self._furthest:
            self._furthest, self._failures = offset, 0
        self.offset = offset
        self.step = "done" if offset == self._size else "send"

    def _puzzled(self) -> AeroDBError | None:
        """An answer without an offset that makes sense: ask again, but not for ever."""
        self._failures += 1
        self.step = "ask"
        if self._failures <= self._retries:
            return None
        return client_error("INVALID_RESPONSE", "the server does not say how much it has received")

    def failed(self, error: AeroDBError, jitter: float) -> Pause | AeroDBError:
        """The step failed: what to do about it, or the error to give up with."""
        status = error.status
        if self.step == "create":
            return self._not_created(error, jitter)
        if status in _GONE:
            return self._restart(error) or Pause(0.0)
        if self.step == "send" and error.maybe_applied:
            self.doubtful = self.doubtful or self.offset + self.part == self._size
        if status == 412:
            return _not_supported(error)
        if status == 423:
            return self._again(error, jitter, _LOCKED_RETRIES)
        if status == 460:
            return self._again(error, jitter, self._retries, step="send")
        if status == 409 and self.step == "send":
            return self._again(error, 0.0, self._retries)
        if error.retryable:
            return self._again(error, jitter, self._retries)
        return error

    def _not_created(self, error: AeroDBError, jitter: float) -> Pause | AeroDBError:
        unknown = (error.code or "").startswith("http_") or error.code in {"not_found", None}
        if error.status in {405, 412, 501} or (error.status == 404 and unknown):
            return _not_supported(error)
        if error.retryable:
            return self._again(error, jitter, self._retries, step="create")
        return error

    def _again(
        self, error: AeroDBError, jitter: float, limit: int, *, step: Step = "ask"
    ) -> Pause | AeroDBError:
        self._failures += 1
        if self._failures > limit:
            return error
        self.step = step
        if error.retry_after is not None:
            return Pause(min(error.retry_after, 60.0))
        return Pause(backoff(self._failures, jitter))

    def _restart(self, error: AeroDBError | None) -> AeroDBError | None:
        self._restarts += 1
        if self._restarts > _MAX_RESTARTS:
            return error or client_error(
                "INVALID_RESPONSE", "the server forgets uploads as soon as they are begun"
            )
        self.location, self.offset, self.step, self._furthest = None, 0, "create", 0
        self.named, self._asked, self.taken_over = True, True, 0
        return None

    # --- what to send ---------------------------------------------------------------------

    def create_call(self, bucket: str, path: str, upload: Upload, guessed: str) -> Call[Any]:
        """POST: begin an upload. One begun twice is one that expires."""
        headers = [
            ("Upload-Length", str(self._size)),
            ("Upload-Metadata", upload_metadata(bucket, path, upload, guessed)),
        ]
        if upload.upsert:
            headers.append(("x-upsert", "true"))
        return self._call(
            "POST", RESUMABLE if self._token is None else f"{RESUMABLE}/sign", headers
        )

    def ask_call(self) -> Call[Any]:
        """HEAD: how far it has come."""
        assert self.location is not None
        return self._call("HEAD", self.location, [])

    def send_call(self, body: Body, checksum: bytes | None) -> Call[Any]:
        """PATCH: the next chunk; `checksum` is its SHA-256."""
        assert self.location is not None
        headers = [
            ("Upload-Offset", str(self.offset)),
            ("Content-Type", "application/offset+octet-stream"),
        ]
        if checksum is not None:
            headers.append(("Upload-Checksum", f"sha256 {_b64(checksum)}"))
        return self._call("PATCH", self.location, headers, body=body, idle=IDLE_SECONDS)

    def _call(
        self, method: str, path: str, headers: list[tuple[str, str]], **more: Any
    ) -> Call[Any]:
        """A token is the only credential there is then (wire-contract §5.4, §5.5)."""
        token = self._token
        if token is not None:
            headers = [*headers, ("x-signature", token)]
            more |= {"identity": "nobody", "secrets": (token,)}
        return Call(method, path, _unread, headers=(_VERSION, *headers),
                    retry=Retry.NEVER_ANSWERED, **more)  # fmt: skip


def upload_path(base: BaseUrl, location: str) -> str | None:
    """A `Location` as a `Call.path`: only below this server's own uploads (wire-contract §5.5)."""
    target = own_target(base, location)
    if target is None:
        return None
    path = target[len(base.prefix) :]
    return path if re.fullmatch(rf"{RESUMABLE}/[!-.0-~][!-~]*", path) else None


def upload_metadata(bucket: str, path: str, upload: Upload, guessed: str) -> str:
    """The value of `Upload-Metadata`."""
    cache = upload.cache_seconds or upload.cache_header
    pairs = [
        ("bucketName", bucket.encode()),
        ("objectName", path.encode()),
        ("contentType", (upload.content_type or guessed or OCTETS).encode()),
        ("cacheControl", None if cache is None else cache.encode()),
        ("metadata", upload.metadata),
    ]
    return ",".join(f"{name} {_b64(value)}" for name, value in pairs if value is not None)


def _announced(text: str) -> tuple[str, str] | None:
    """Bucket and name of an `Upload-Metadata`, if it has both."""
    pairs: dict[str, str] = {}
    for pair in text.split(","):
        key, _, value = pair.strip().partition(" ")
        pairs[key] = value
    try:
        bucket, name = (b64decode(pairs[key]).decode() for key in ("bucketName", "objectName"))
    except (KeyError, ValueError):
        return None
    return (bucket, name) if bucket and name else None


def sum_call(bucket: str, path: str) -> Call[str]:
    """HEAD /object/{bucket}/{path}: the SHA-256 of an object in hex, if the server says it."""

    def decode(response: RawResponse) -> AeroDBResponse[str]:
        return AeroDBResponse(response.header(b"x-checksum-sha256"))

    return Call("HEAD", object_url(bucket, path), decode, retry=Retry.SAFE)


def mixed_up(found: str, said: str) -> AeroDBError | None:
    """Hold the SHA-256 of the source against that of the object, part of which was there before."""
    if found == said.lower():
        return None
    message = f"the object's SHA-256 is {said}, the source's {found}: "
    message += "what the upload had before was of another content"
    hint = "upload it again from the beginning, without upload_url and with upsert=True"
    return client_error("INTEGRITY_ERROR", message, hint=hint)


def resumable_problem(
    chunk_size: object,
    upload_url: object,
    token: object = None,
    *,
    upsert: object = False,
    state_file: object = None,
) -> str | None:
    """Say what is wrong with the arguments that only a resumable upload has."""
    if not isinstance(chunk_size, int) or isinstance(chunk_size, bool) or chunk_size < 1024:
        return "chunk_size must be a whole number of bytes, at least 1024"
    if upload_url is not None and not isinstance(upload_url, str):
        return f"upload_url must be a str, not {type(upload_url).__name__}"
    if state_file is not None and not isinstance(state_file, str | os.PathLike):
        return f"state_file must be a path, not {type(state_file).__name__}"  # 1 would be stdout
    if token is None:
        return None
    if upsert:
        return "whether a signed upload may replace is in its token: upsert cannot be given"
    return upload_token_problem(token)


def _b64(data: bytes) -> str:
    return b64encode(data).decode("ascii")


def _number(headers: Headers, name: bytes) -> int | None:
    text = find_header(headers, name)
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,18}", text) else None


def _unread(response: RawResponse) -> AeroDBResponse[Any]:
    return AeroDBResponse()


def _not_supported(error: AeroDBError) -> AeroDBError:
    message = f"the server takes no resumable uploads by tus 1.0.0: {error.message}"
    return replace(error, code="NOT_SUPPORTED", message=message, hint="use upload()")
