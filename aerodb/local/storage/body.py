"""What an upload brings besides its bytes, as multipart or raw (wire contract §5.2)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from aerodb.local.storage.errors import StorageError, invalid
from aerodb.local.storage.http import Request, metadata

DEFAULT_TYPE = "application/octet-stream"
_MAXIMUM_TYPE = 255
_MAXIMUM_FIELD_BYTES = 64 * 1024
_MAXIMUM_FIELDS = 10
_MAXIMUM_AROUND = 1024 * 1024
_MAXIMUM_HEADERS = 16
_MAXIMUM_HEADER_BYTES = 8 * 1024
_TYPE = re.compile(r"[!#$%&'*+.^_`|~\w-]+/[!#$%&'*+.^_`|~\w-]+(?:[ \t]*;[\x20-\x7e]*)?", re.ASCII)
_VISIBLE = re.compile(r"[\x20-\x7e]{0,255}")
_HEX_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload whose bytes are still to come."""

    content_type: str
    cache_control: str | None
    metadata: dict[str, Any] = field(repr=False)
    chunks: AsyncIterator[bytes] = field(repr=False)


async def read_upload(request: Request) -> Upload:
    """Read as far as the first byte of the file."""
    given = request.headers.get("content-type", "")
    kind, options = parse_options_header(given)
    if kind == b"multipart/form-data":
        return await _read_multipart(request, options.get(b"boundary", b""))
    return Upload(
        content_type(given),
        cache_control(request.headers.get("cache-control")),
        header_metadata(request),
        request.stream(),
    )


def content_type(text: str) -> str:
    """Return the type that is kept; one that is none is unknown bytes."""
    text = text.strip()
    return text if len(text) <= _MAXIMUM_TYPE and _TYPE.fullmatch(text) else DEFAULT_TYPE


def cache_control(text: str | None) -> str | None:
    """Return the value of the header that downloads get; a bare number means seconds."""
    if text is None or text.strip() == "":
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return f"max-age={text[:10]}"
    if not _VISIBLE.fullmatch(text):
        raise invalid("the cache control is not one")
    return text


def header_metadata(request: Request) -> dict[str, Any]:
    """Return what `x-metadata` says: JSON in base64."""
    value = request.headers.get("x-metadata")
    if value is None:
        return {}
    try:
        return metadata(base64.b64decode(value, validate=True))
    except binascii.Error:
        raise invalid("x-metadata is not base64") from None


def expected_sha256(request: Request) -> dict[str, bytes]:
    """Return the checksum that was announced, for `Intake.take`."""
    value = request.headers.get("x-checksum-sha256")
    if value is None:
        return {}
    if not _HEX_SHA256.fullmatch(value):
        raise invalid("x-checksum-sha256 must be 64 hexadecimal digits")
    return {"sha256": bytes.fromhex(value)}


# --- multipart ----------------------------------------------------------------------------------


async def _read_multipart(request: Request, boundary: bytes) -> Upload:
    if not boundary:
        raise invalid("the multipart boundary is missing")
    form = _Form(boundary)
    source = request.stream()
    async for chunk in source:
        form.feed(chunk)
        if form.file_type is not None:
            break
        form.check_length()
    else:
        form.check_end()
        raise invalid("the form has no file")
    given = form.fields.get("metadata")
    return Upload(
        content_type(form.file_type),
        cache_control(form.text("cacheControl") or request.headers.get("cache-control")),
        header_metadata(request) if given is None else metadata(bytes(given)),
        form.rest(source),
    )


class _Form:
    """The parts `cacheControl` and `metadata`, if any, and then one file of any name."""

    def __init__(self, boundary: bytes) -> None:
        self.fields: dict[str, bytearray] = {}
        self.file_type: str | None = None
        self._file = bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._name = self._value = b""
        self._current: bytearray | None = None
        self._parts = 0
        self._around = 0
        self._ended = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._header_name,
                    "on_header_value": self._header_value,
                    "on_header_end": self._header_end,
                    "on_headers_finished": self._choose,
                    "on_part_data": self._data,
                    "on_end": self._end,
                },
                max_header_count=_MAXIMUM_HEADERS,
                max_header_size=_MAXIMUM_HEADER_BYTES,
            )
        except FormParserError:
            raise invalid("the multipart boundary is too long") from None

    def feed(self, chunk: bytes) -> None:
        if self.file_type is None or self._ended:
            self._around += len(chunk)
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise invalid("the multipart body is malformed") from None

    def check_length(self) -> None:
        """What is around the file must not go on for ever."""
        if self._around > _MAXIMUM_AROUND:
            raise invalid("there is too much around the file of the form")

    def check_end(self) -> None:
        if not self._ended:
            raise invalid("the multipart body is not complete")

    def text(self, name: str) -> str | None:
        value = self.fields.get(name)
        return None if value is None else value.decode("utf-8", "replace")

    async def rest(self, source: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the file: what has been read of it, and what comes."""
        if self._file:
            yield bytes(self._file)
        async for chunk in source:
            self._file.clear()
            self.feed(chunk)
            self.check_length()
            if self._file:
                yield bytes(self._file)
        self.check_end()

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > _MAXIMUM_FIELDS:
            raise invalid("the form has too many parts")
        self._headers = {}
        self._name = self._value = b""

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _choose(self) -> None:
        """Decide what the part is. Its file name is not looked at: the path says where it goes."""
        kind, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if kind != b"form-data":
            raise invalid("a part of the form has no Content-Disposition: form-data")
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if self.file_type is not None:
            raise StorageError("validation_failed", "The file must be the last part of the form")
        if b"filename" not in options and name in ("cacheControl", "metadata"):
            self._current = self.fields[name] = bytearray()
            return
        self.file_type = self._headers.get(b"content-type", b"").decode("latin-1")
        self._current = self._file

    def _data(self, data: bytes, start: int, end: int) -> None:
        assert self._current is not None
        self._current += data[start:end]
        if self._current is not self._file and len(self._current) > _MAXIMUM_FIELD_BYTES:
            raise invalid("a field of the form is too long")

    def _end(self) -> None:
        self._ended = True
