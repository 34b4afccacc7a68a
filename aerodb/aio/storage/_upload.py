# GENERATED from aerodb_async_src/storage/_upload.py by scripts/generate.py [9565c5228067]: do not edit
"""One upload: the source opened, the form around it, the call carried out."""

from __future__ import annotations

from typing import Any

from aerodb._core.answer import placed
from aerodb._core.http import SourceError
from aerodb._core.storage.models import FileObject
from aerodb._core.storage.upload import Upload, unstored, upload_call, upload_form
from aerodb._io.on_asyncio import apart, new_id
from aerodb._io.on_asyncio.transfers import Source, Span, media_type, open_source, sha256_of
from aerodb.types import AeroDBResponse

from .._body import AsyncUploadBody, source_problem  # noqa: TID252  # of the same twin
from .._transport import AsyncTransport  # noqa: TID252  # of the same twin, whichever it is
from ._meter import AsyncMeter


async def send_file(
    transport: AsyncTransport,
    bucket: str,
    path: str,
    file: Any,
    upload: Upload,
    meter: AsyncMeter,
    *,
    replace: bool = False,
    token: str | None = None,
    timeout: float | None = None,
) -> AeroDBResponse[FileObject]:
    """Upload what `file` is. Arguments have been checked, but for the file."""
    try:
        source = await open_source(file)
    except SourceError as problem:
        return AeroDBResponse(error=source_problem(problem))
    try:
        meter.total = source.size
        carrier = upload_form(
            upload, new_id().replace("-", ""), path, media_type(path, source.name)
        )
        file_part = Span(source, 0, source.size)
        body = AsyncUploadBody(carrier.head, file_part, carrier.tail, told=meter.at)
        checksum = await checksum_of(source, upload)
        call = upload_call(bucket, path, upload, carrier, body, replace=replace, token=token,
                           checksum=checksum, timeout=timeout)  # fmt: skip
        response = await transport.execute(call)
        if response.data is None:
            return response
        sent = body.handed - len(carrier.head) - len(carrier.tail)
        doubt = unstored(body.complete, sent, response.data.size)
        if doubt is None:
            return response
        error = placed(doubt, transport.exchange_of(call, response.meta), response.meta.status)
        return AeroDBResponse(None, error, None, response.meta)
    except SourceError as problem:
        return AeroDBResponse(error=source_problem(problem))
    finally:
        source.close()


async def checksum_of(source: Source, upload: Upload) -> str | None:
    """The SHA-256 that goes along: as given, or by reading the source once more."""
    if isinstance(upload.checksum, str):
        return upload.checksum
    if not upload.checksum:
        return None
    if not source.replayable:
        message = "checksum=True needs a source that can be read twice"
        raise SourceError("INVALID_ARGUMENT", message, hint="give the SHA-256 itself, in hex")
    digest: bytes = await apart(sha256_of, source, 0, source.size)
    return digest.hex()
