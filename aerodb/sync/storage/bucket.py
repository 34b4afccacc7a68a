# GENERATED from aerodb_async_src/storage/bucket.py by scripts/generate.py [3e33e99dda22]: do not edit
"""One bucket's objects: up, down, and everything about them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from aerodb._core.storage import calls
from aerodb._core.storage.calls import MAX_PATHS, refused
from aerodb._core.storage.models import (
    FileObject,
    ListPage,
    SignedUploadUrl,
    SignedUrl,
    SignedUrlResult,
)
from aerodb._core.storage.paths import listed
from aerodb.types import AeroDBResponse

from ._listing import Files
from ._transfers import BucketTransfers

_NO_NAMES = "paths must be a name, or a list of names"


class StorageBucket(BucketTransfers):
    """One bucket. Names of objects are `folder/file.ext`: no leading `/`, no `.` or `..` in them.

    A name that no server may take answers `INVALID_ARGUMENT`; nothing is sent then.
    """

    __slots__ = ()

    # --- what is there --------------------------------------------------------------------

    def list(
        self,
        prefix: str = "",
        *,
        limit: int = 100,
        offset: int = 0,
        search: str | None = None,
        sort_by: tuple[str, str] | None = None,
    ) -> AeroDBResponse[list[FileObject]]:
        """Objects whose names begin with `prefix`, in all folders; at most 1000 at once."""
        call = calls.list_call(self._bucket, prefix, limit, offset, search, sort_by)
        return self._transport.execute(call)

    def list_v2(
        self,
        prefix: str = "",
        *,
        cursor: str | None = None,
        limit: int = 1000,
        with_delimiter: bool = False,
        sort_by: tuple[str, str] | None = None,
    ) -> AeroDBResponse[ListPage]:
        """A page of objects; `with_delimiter` tells folders apart instead of going into them."""
        call = calls.list_v2_call(self._bucket, prefix, cursor, limit,
                                  with_delimiter=with_delimiter, sort=sort_by)  # fmt: skip
        return self._transport.execute(call)

    def iter_files(
        self, prefix: str = "", *, recursive: bool = True, page_size: int = 1000
    ) -> Files:
        """All objects whose names begin with `prefix`, page after page, in the order of names.

        Without `recursive`, those of the folder itself only. Iterating raises `AeroDBAPIError`
        where a page cannot be had: there is no response to put the error into.
        """
        return Files(self._transport, self._bucket, prefix, page_size, recursive=recursive)

    def info(self, path: str) -> AeroDBResponse[FileObject]:
        """What the server knows of an object; `object_not_found` if there is none."""
        return self._transport.execute(calls.info_call(self._bucket, path))

    def exists(self, path: str) -> AeroDBResponse[bool]:
        """Whether there is such an object that the caller may see."""
        return self._transport.execute(calls.exists_call(self._bucket, path))

    def remove(self, paths: str | Iterable[str]) -> AeroDBResponse[Sequence[FileObject]]:
        """Remove objects; `data` has those that were there, also if a later request fails.

        More than 1000 names take more than one request, which are not one transaction.
        """
        names = listed(paths)
        if names is None:
            return AeroDBResponse(error=refused(_NO_NAMES))
        batches = [names[at : at + MAX_PATHS] for at in _steps(len(names))]
        prepared = [calls.remove_call(self._bucket, batch) for batch in batches]
        for call in prepared:
            if isinstance(call, AeroDBResponse):
                return call
        removed: list[FileObject] = []
        response: AeroDBResponse[Any] = AeroDBResponse(())
        for call in prepared:
            response = self._transport.execute(call)
            removed += response.data or ()
            if response.error is not None:
                break
        return AeroDBResponse(removed, response.error, None, response.meta)

    def move(
        self,
        from_path: str,
        to_path: str,
        *,
        destination_bucket: str | None = None,
        upsert: bool = False,
    ) -> AeroDBResponse[FileObject]:
        """Give an object another name, or another bucket."""
        call = calls.move_call("move", self._bucket, from_path, to_path, destination_bucket,
                               upsert=upsert)  # fmt: skip
        return self._transport.execute(call)

    def copy(
        self,
        from_path: str,
        to_path: str,
        *,
        destination_bucket: str | None = None,
        upsert: bool = False,
        metadata: Any = None,
        copy_metadata: bool | None = None,
    ) -> AeroDBResponse[FileObject]:
        """Copy an object on the server; with its metadata, unless others are given."""
        call = calls.move_call("copy", self._bucket, from_path, to_path, destination_bucket,
                               upsert=upsert, metadata=metadata,
                               copyMetadata=copy_metadata)  # fmt: skip
        return self._transport.execute(call)

    # --- URLs -----------------------------------------------------------------------------

    def get_public_url(self, path: str, *, download: bool | str = False) -> str:
        """The URL of an object in a public bucket. Sends nothing, so it need not exist.

        Args:
            download: True to have browsers save it instead of showing it; or under which name.

        Raises:
            ValueError: The name is one that no object can have.
        """
        return calls.public_url(self._transport.base, self._bucket, path, download)

    def create_signed_url(
        self, path: str, expires_in: int | timedelta, *, download: bool | str = False
    ) -> AeroDBResponse[SignedUrl]:
        """A URL that anybody can read the object by, for 1 second to 7 days."""
        call = calls.sign_call(self._transport.base, self._bucket, path, expires_in, download)
        return self._transport.execute(call)

    def create_signed_urls(
        self,
        paths: str | Iterable[str],
        expires_in: int | timedelta,
        *,
        download: bool | str = False,
    ) -> AeroDBResponse[Sequence[SignedUrlResult]]:
        """Such URLs for several objects; one that cannot be read has an `error` instead."""
        names = listed(paths)
        if names is None:
            return AeroDBResponse(error=refused(_NO_NAMES))
        signed: Any = []
        response: AeroDBResponse[Any] = AeroDBResponse(())
        for at in _steps(len(names)):
            batch = names[at : at + MAX_PATHS]
            call = calls.sign_many_call(self._transport.base, self._bucket, batch, expires_in,
                                        download)  # fmt: skip
            response = self._transport.execute(call)
            if response.error is not None:
                return response
            signed += response.data or ()
        return AeroDBResponse(signed, meta=response.meta)

    def create_signed_upload_url(
        self, path: str, *, upsert: bool = False
    ) -> AeroDBResponse[SignedUploadUrl]:
        """The right to upload this object, to hand on to somebody without credentials."""
        call = calls.sign_upload_call(self._transport.base, self._bucket, path, upsert=upsert)
        return self._transport.execute(call)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._bucket!r} of {self._transport.base.url()}>"


def _steps(count: int) -> range:
    """Where the batches of so many names begin."""
    return range(0, count, MAX_PATHS)
