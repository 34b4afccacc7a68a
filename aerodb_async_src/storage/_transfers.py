# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""A bucket's transfers: objects on their way up and down."""

from __future__ import annotations

from os import PathLike
from typing import Any, BinaryIO

from aerodb._core.errors import client_error
from aerodb._core.storage import calls
from aerodb._core.storage.models import FileObject
from aerodb._core.storage.paths import bucket_problem, object_problem
from aerodb._core.storage.ranges import Fetch, fetch_problem
from aerodb._core.storage.tus import CHUNK_BYTES, resumable_problem
from aerodb._core.storage.upload import checked_upload, timeout_problem, upload_token_problem
from aerodb._io.on_asyncio.transfers import FileInput
from aerodb.types import AeroDBError, AeroDBResponse

from .._transport import AsyncTransport  # noqa: TID252  # of the same twin, whichever it is
from ._download import AsyncDownloadStream, fetch_bytes, fetch_to
from ._many import Target, download_all, upload_all
from ._meter import AsyncMeter, Progress
from ._resumable import AsyncResumableUpload
from ._upload import send_file


class AsyncBucketTransfers:
    """What uploads and downloads; `AsyncStorageBucket` has it all."""

    __slots__ = ("_bucket", "_transport")

    def __init__(self, transport: AsyncTransport, bucket: str) -> None:
        self._transport = transport
        self._bucket = bucket

    # --- up -------------------------------------------------------------------------------

    async def upload(
        self,
        path: str,
        file: FileInput,
        content_type: str | None = None,
        *,
        upsert: bool = False,
        cache_control: str | int | None = None,
        metadata: Any = None,
        checksum: bool | str = False,
        progress: Progress = None,
        timeout: float | None = None,
    ) -> AeroDBResponse[FileObject]:
        """Upload an object; it appears when it is complete.

        Args:
            path: Its name.
            file: Bytes; a `pathlib.Path`; a file opened in binary mode, read from where it
                stands and left open; an iterator of bytes; in `AsyncAeroDBClient` also
                an async one, or a file that is read by awaiting. Only memory is ever held whole.
            content_type: Its MIME type; guessed by the names if not given.
            upsert: Replace an object of this name; else `object_already_exists`.
            cache_control: Seconds that others may keep it, or a whole Cache-Control text.
            metadata: A mapping, kept with the object.
            checksum: True to have the server compare the SHA-256, which takes reading the file
                twice; or the SHA-256 itself, in hex.
            progress: True for a bar (tqdm or rich), or a function that gets a
                `TransferProgress`; what it raises does not stop the transfer.
            timeout: Seconds for all of it; None for no limit but 60 s without progress.

        An upload without `upsert` is not repeated if it may have arrived; nor is one of an
        iterator, once it has been read from.
        """
        return await self._send(path, file, progress, timeout, content_type=content_type,
                                upsert=upsert, cache_control=cache_control, metadata=metadata,
                                checksum=checksum)  # fmt: skip

    async def update(
        self,
        path: str,
        file: FileInput,
        content_type: str | None = None,
        *,
        cache_control: str | int | None = None,
        metadata: Any = None,
        checksum: bool | str = False,
        progress: Progress = None,
        timeout: float | None = None,
    ) -> AeroDBResponse[FileObject]:
        """Put this content in the place of whatever is there; arguments as in `upload`."""
        return await self._send(path, file, progress, timeout, replace=True,
                                content_type=content_type, cache_control=cache_control,
                                metadata=metadata, checksum=checksum)  # fmt: skip

    async def upload_to_signed_url(
        self,
        path: str,
        token: str,
        file: FileInput,
        content_type: str | None = None,
        *,
        cache_control: str | int | None = None,
        metadata: Any = None,
        checksum: bool | str = False,
        progress: Progress = None,
        timeout: float | None = None,
    ) -> AeroDBResponse[FileObject]:
        """Upload by the token of `create_signed_upload_url`, without any other credential."""
        problem = upload_token_problem(token)
        if problem is not None:
            return AeroDBResponse(error=client_error("INVALID_ARGUMENT", problem))
        return await self._send(path, file, progress, timeout, token=token,
                                content_type=content_type, cache_control=cache_control,
                                metadata=metadata, checksum=checksum)  # fmt: skip

    async def _send(
        self,
        path: str,
        file: Any,
        progress: Progress,
        timeout: float | None,
        *,
        replace: bool = False,
        token: str | None = None,
        **said: Any,
    ) -> AeroDBResponse[FileObject]:
        upload = checked_upload(**said)
        refusal = upload if isinstance(upload, AeroDBError) else self._refused(path, timeout)
        if isinstance(upload, AeroDBError) or refusal is not None:
            return AeroDBResponse(error=refusal)
        meter = AsyncMeter(progress, path, "upload")
        response = await send_file(self._transport, self._bucket, path, file, upload, meter,
                                   replace=replace, token=token, timeout=timeout)  # fmt: skip
        return meter.ended(response)

    async def upload_resumable(
        self,
        path: str,
        file: FileInput,
        content_type: str | None = None,
        *,
        upsert: bool = False,
        cache_control: str | int | None = None,
        metadata: Any = None,
        checksum: bool = False,
        chunk_size: int = CHUNK_BYTES,
        upload_url: str | None = None,
        state_file: str | PathLike[str] | None = None,
        token: str | None = None,
        progress: Progress = None,
    ) -> AeroDBResponse[FileObject]:
        """Upload in chunks (tus 1.0.0), going on after whatever broke it off.

        Args:
            chunk_size: Bytes of one request; what a failure costs at most.
            checksum: Send each chunk's SHA-256 along, for servers that compare it.
            upload_url: Go on with this upload: `error.details["upload_url"]` of an earlier call
                for this object and file. `checksum` compares the whole then: `INTEGRITY_ERROR`.
            state_file: Where to keep the upload's URL, so that another process can go on. It is
                removed at the end, and of no effect once the file has changed.
            token: Of `create_signed_upload_url`, the only credential then; it decides on `upsert`.

        The file must be one that can be read again: a path, an open file, bytes; `SOURCE_CHANGED`
        if it changes. `NOT_SUPPORTED`: the server has no such uploads. The rest is as in `upload`.
        """
        upload = checked_upload(content_type=content_type, upsert=upsert, checksum=checksum,
                                cache_control=cache_control, metadata=metadata)  # fmt: skip
        if isinstance(upload, AeroDBError):
            return AeroDBResponse(error=upload)
        problem = resumable_problem(chunk_size, upload_url, token, upsert=upsert,
                                    state_file=state_file)  # fmt: skip
        if refusal := self._refused(path, None, problem):
            return AeroDBResponse(error=refusal)
        meter = AsyncMeter(progress, path, "upload")
        resumable = AsyncResumableUpload(self._transport, self._bucket, path, upload, meter,
            chunk=chunk_size, state_file=state_file, token=token)  # fmt: skip
        return meter.ended(await resumable.run(file, upload_url))

    async def upload_many(
        self,
        items: Any,
        *,
        concurrency: int = 4,
        upsert: bool = False,
        cache_control: str | int | None = None,
        progress: Progress = None,
    ) -> AeroDBResponse[list[AeroDBResponse[FileObject]]]:
        """Upload several objects, so many at once.

        `items` maps names to files, or is a list of such pairs. `data` has a response for each,
        in their order, also if some failed; `error` is then the first of their errors.
        """
        return await upload_all(self, items, concurrency, progress,
                                upsert=upsert, cache_control=cache_control)  # fmt: skip

    # --- down -----------------------------------------------------------------------------

    async def download(
        self,
        path: str,
        *,
        range: tuple[int, int | None] | None = None,
        max_bytes: int | None = None,
        verify_checksum: bool = True,
        progress: Progress = None,
        timeout: float | None = None,
    ) -> AeroDBResponse[bytes]:
        """The content of an object, whole or not at all.

        Args:
            range: The first and last byte, counted from 0, the last one included; None for
                the end.
            max_bytes: Answer `RESPONSE_TOO_LARGE` rather than hold more than that.
            verify_checksum: Compare the SHA-256, if the server says the whole object's and all
                of it is asked for.
            progress, timeout: As in `upload`.

        Where the line breaks, the rest is asked for, of the same version of the object.
        `INTEGRITY_ERROR`: the content is not what the server says it is.
        """
        fetch = self._fetch(path, timeout, span=range, max_bytes=max_bytes)
        if isinstance(fetch, AeroDBError):
            return AeroDBResponse(error=fetch)
        meter = AsyncMeter(progress, path, "download")
        return meter.ended(await fetch_bytes(self._transport, fetch, meter, verify=verify_checksum))

    def download_stream(
        self,
        path: str,
        *,
        range: tuple[int, int | None] | None = None,
        verify_checksum: bool = True,
        timeout: float | None = None,
    ) -> AsyncDownloadStream:
        """The content piece by piece: `async with bucket.download_stream(path) as stream`.

        Arguments are those of `download`. Whether the SHA-256 is right shows after the last piece:
        if not, the iteration ends with `INTEGRITY_ERROR`.
        """
        fetch = self._fetch(path, timeout, span=range, restartable=False)
        return AsyncDownloadStream(self._transport, fetch, self._bucket, path,
                                   verify=verify_checksum)  # fmt: skip

    async def download_to(
        self,
        path: str,
        target: str | PathLike[str] | BinaryIO,
        *,
        verify_checksum: bool = True,
        progress: Progress = None,
        timeout: float | None = None,
    ) -> AeroDBResponse[FileObject]:
        """Download into a file, which is there whole, or not at all.

        A temporary file in the same folder, for its owner only, takes the target's place when it
        is complete and on the disk. `FILE_ERROR`: it cannot be written. `INTEGRITY_ERROR`: the
        server says the content's SHA-256, and it is another. A file opened for writing is
        written to as the bytes come.
        """
        fetch = self._fetch(path, timeout)
        if isinstance(fetch, AeroDBError):
            return AeroDBResponse(error=fetch)
        meter = AsyncMeter(progress, path, "download")
        done = await fetch_to(self._transport, fetch, meter, target,
                              bucket=self._bucket, path=path, verify=verify_checksum)  # fmt: skip
        return meter.ended(done)

    async def download_many(
        self,
        items: Any,
        folder: Target | None = None,
        *,
        concurrency: int = 4,
        verify_checksum: bool = True,
        progress: Progress = None,
    ) -> AeroDBResponse[list[AeroDBResponse[FileObject]]]:
        """Download several objects into files, so many at once.

        `items` maps names to files, or is a list of such pairs; with a `folder` it is a list of
        names, each of which becomes a file below it. Answers as `upload_many` does;
        `verify_checksum` is as in `download`.
        """
        return await download_all(self, items, folder, concurrency, progress,
                                  verify_checksum=verify_checksum)  # fmt: skip

    def _fetch(self, path: str, timeout: float | None, **asked: Any) -> Fetch | AeroDBError:
        problem = fetch_problem(self._bucket, path, asked.get("span"), asked.get("max_bytes"))
        error = calls.refused(problem, timeout_problem(timeout))
        if error is not None:
            return error
        retries = self._transport.options.retries
        return Fetch(self._bucket, path, retries=retries, timeout=timeout, **asked)

    def _refused(
        self, path: str, timeout: float | None, problem: str | None = None
    ) -> AeroDBError | None:
        return calls.refused(
            bucket_problem(self._bucket), object_problem(path), timeout_problem(timeout), problem
        )
