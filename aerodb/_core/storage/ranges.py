"""One object's bytes over as many responses as it takes (RFC 9110 §14, reliability S2, S4).

A `Fetch` decides what to ask for next and whether what came back fits: the consumer is told to go
on, to begin anew, or to give up. It never trusts the end of a body: the length must be known
beforehand (from `Content-Length`, or a framing that shows its end), a part must begin where the
last one ended and be of the same version of the object.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from aerodb._core.errors import client_error
from aerodb._core.http import Call, RawResponse, Retry, find_header
from aerodb._core.retry import backoff
from aerodb._core.storage.paths import bucket_problem, object_problem, object_url
from aerodb._core.storage.upload import IDLE_SECONDS
from aerodb.types import AeroDBError, AeroDBResponse

Headers = Sequence[tuple[bytes, bytes]]
Verdict = Literal["go", "anew", "again"]
_CONTENT_RANGE = r"bytes ([0-9]{1,18})-([0-9]{1,18})/(?:([0-9]{1,18})|\*)"


class Again(NamedTuple):
    """Wait so long, then ask for the rest."""

    seconds: float


class Fetch:
    """A download under way.

    Attributes:
        got: Bytes that have arrived, from the beginning of what was asked for.
        size: How many there are in all; None as long as nobody has said.
        digest: The SHA-256 of all of them in hex, if the server says it and all are asked for.
    """

    def __init__(
        self,
        bucket: str,
        path: str,
        *,
        span: tuple[int, int | None] | None = None,
        retries: int = 2,
        timeout: float | None = None,
        max_bytes: int | None = None,
        restartable: bool = True,
    ) -> None:
        self._url = object_url(bucket, path)
        self._first, self._last = (0, None) if span is None else span
        self._whole = span is None
        self._retries = retries
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._restartable = restartable
        self._etag: str | None = None
        self._failures = 0
        self._anew = False
        self._furthest = 0
        self.got = 0
        self.size: int | None = None
        self.digest: str | None = None

    def call(self) -> Call[Any]:
        """What to ask for now."""
        headers: list[tuple[str, str]] = []
        start = self._first + self.got
        if start or not self._whole:
            headers.append(("Range", f"bytes={start}-{'' if self._last is None else self._last}"))
        if self.got and self._etag is not None:
            headers.append(("If-Range", self._etag))
        return Call("GET", self._url, _unread, headers=tuple(headers), retry=Retry.SAFE,
                    timeout=self._timeout, idle=IDLE_SECONDS, coded=False)  # fmt: skip

    def answered(self, status: int | None, headers: Headers) -> Verdict | AeroDBError:
        """Take the head of a response: its body continues what is there, or is all of it ("anew").

        "again": it is of no use, for the object is another by now; all is to be asked for anew.
        """
        if status == 416 and self.got:  # by a server that does not know If-Range
            return self._replaced()
        if find_header(headers, b"content-encoding") not in (None, "", "identity"):
            return _bad("the body is compressed although it was asked for as it is")
        etag = find_header(headers, b"etag")
        if status == 206:
            return self._part(headers, etag)
        if not self._whole:
            if self.got and self._etag is not None and etag != self._etag:
                return self._replaced()  # as If-Range asks for (RFC 9110 §13.1.5)
            return _bad("the server sent the whole object although a part was asked for")
        if self.got and not self._restartable:
            return _changed()
        length = _number(find_header(headers, b"content-length"))
        chunked = (find_header(headers, b"transfer-encoding") or "").lower().endswith("chunked")
        if length is None and not chunked:
            return _bad("the server does not say how long the object is, so its end cannot be told")
        verdict: Verdict = "anew" if self.got else "go"
        self.got, self.size = 0, length
        self._note(etag, headers, covered=True)
        return self._too_large() or verdict

    def _replaced(self) -> Verdict | AeroDBError:
        if not self._restartable or self._failures > self._retries:
            return _changed()
        self._failures += 1
        self.got, self.size, self._etag = 0, None, None
        return "again"

    def _part(self, headers: Headers, etag: str | None) -> Verdict | AeroDBError:
        match = re.fullmatch(_CONTENT_RANGE, find_header(headers, b"content-range") or "")
        if match is None:
            return _bad("the server sent a part without saying which")
        first, last = int(match[1]), int(match[2])
        total = None if match[3] is None else int(match[3])
        start = self._first + self.got
        length = _number(find_header(headers, b"content-length"))
        if self.got and self._etag is not None and etag != self._etag:
            return self._replaced()  # this server does not know If-Range
        if first != start or last < first or (total is not None and last >= total):
            return _bad(f"the server sent another part than the one from byte {start}")
        if self._last is not None and last > self._last:
            return _bad("the server sent a longer part than was asked for")
        if length is not None and length != last - first + 1:
            return _bad("the part's length and its range contradict each other")
        size = last - self._first + 1
        if not self._reaches(last, total):
            return _bad("the server sent a shorter part than was asked for")
        if self.size is not None and self.size != size:
            return _changed()
        self.size = size
        self._note(etag, headers, covered=self._whole or (self._first == 0 and size == total))
        return self._too_large() or "go"

    def _reaches(self, last: int, total: int | None) -> bool:
        """Whether a part that ends at `last` has all that was asked for and that there is."""
        if total is None:  # only what was asked for, or said before, tells
            return last == self._last or (self._last is None and self.size is not None)
        return last == (total - 1 if self._last is None else min(self._last, total - 1))

    def _note(self, etag: str | None, headers: Headers, *, covered: bool) -> None:
        """Keep what tells this version from others; `covered`: the parts make up the object."""
        strong = etag is not None and re.fullmatch(r'"[\x21\x23-\x7e]*"', etag)
        self._etag = etag if strong else None
        said = find_header(headers, b"x-checksum-sha256") or (etag or "").strip('"')
        if covered and re.fullmatch(r"[0-9A-Fa-f]{64}", said):
            self.digest = said.lower()
        elif not self.got:  # what continues a version need not say it again
            self.digest = None

    def _too_large(self) -> AeroDBError | None:
        known = self.got if self.size is None else max(self.size, self.got)
        if self._max_bytes is None or known <= self._max_bytes:
            return None
        return client_error(
            "RESPONSE_TOO_LARGE",
            f"the object is larger than {self._max_bytes} bytes",
            hint="raise max_bytes, or use download_to() or download_stream()",
        )

    def received(self, size: int) -> AeroDBError | None:
        """Take note of so many bytes."""
        self.got += size
        if self.got > self._furthest:
            self._furthest, self._failures = self.got, 0
        if self.size is not None and self.got > self.size:
            return _bad("the server sent more bytes than it had said")
        return self._too_large() if self.size is None else None

    @property
    def is_complete(self) -> bool:
        """Whether everything is there, as far as the size is known."""
        return self.size is not None and self.got == self.size

    def ended(self) -> AeroDBError | None:
        """The body is over: it must have been all of it."""
        if self.size is None:
            self.size = self.got
        if self.got == self.size:
            return None
        return _bad(f"the body ended after {self.got} of {self.size} bytes")

    def compared(self, found: str) -> AeroDBError | None:
        """Hold the SHA-256 of what has come, in hex, against what the server says."""
        if self.digest is None or found == self.digest:
            return None
        return client_error(
            "INTEGRITY_ERROR",
            f"the content's SHA-256 is {found}, the server says {self.digest}",
            hint="download it again; if it stays so, the stored object is damaged",
        )

    def broken(self, error: AeroDBError, jitter: float) -> Again | AeroDBError:
        """The body broke off: ask for the rest, if something may come of that.

        What was never reached before makes good for failures, so a bad line takes its time, not the
        file; a beginning that comes again and again does not.
        """
        if not error.retryable or self._failures >= self._retries:
            return error
        if self.got and self._etag is None:
            if not self._restartable:
                return error  # nothing tells that the rest would be of the same version
            self.got, self._anew = 0, True
        self._failures += 1
        return Again(backoff(self._failures, jitter))

    @property
    def begins_anew(self) -> bool:
        """Whether what was kept so far is to be dropped; asking takes note of it."""
        anew, self._anew = self._anew, False
        return anew


def fetch_problem(bucket: str, path: str, span: object, max_bytes: object) -> str | None:
    """Say what cannot be fetched; None if it can."""
    problem = bucket_problem(bucket) or object_problem(path)
    if problem is None and span is not None and not _is_span(span):
        problem = "range must be a pair of byte positions: (first, last), last included or None"
    if problem is None and max_bytes is not None and not _is_count(max_bytes):
        problem = "max_bytes must be a whole number, or None for no limit"
    return problem


def _is_span(span: object) -> bool:
    if not isinstance(span, tuple) or len(span) != 2 or not _is_count(span[0]):
        return False
    return span[1] is None or (_is_count(span[1]) and span[1] >= span[0])


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**60


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,18}", text) else None


def _unread(response: RawResponse) -> AeroDBResponse[Any]:
    return AeroDBResponse()


def _bad(message: str) -> AeroDBError:
    return client_error("INVALID_RESPONSE", message)


def _changed() -> AeroDBError:
    return client_error("SOURCE_CHANGED", "the object was replaced while it was downloaded",
                        hint="download it again")  # fmt: skip
