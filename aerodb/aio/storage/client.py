# GENERATED from aerodb_async_src/storage/client.py by scripts/generate.py [9bb81ce096ba]: do not edit
"""Buckets: listing, making, changing and removing them; one of them to work with."""

from __future__ import annotations

from collections.abc import Sequence
from types import EllipsisType

from aerodb._core.storage import calls
from aerodb._core.storage.models import Bucket, BucketPolicy
from aerodb.types import AeroDBResponse

from .._transport import AsyncTransport  # noqa: TID252  # of the same twin, whichever it is
from .bucket import AsyncStorageBucket


class AsyncStorageClient:
    """The buckets. Answers are `AeroDBResponse`s; nothing here raises for a failure."""

    __slots__ = ("_transport",)

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    def from_(self, bucket: str) -> AsyncStorageBucket:
        """One bucket, to work with its objects. Sends nothing."""
        return AsyncStorageBucket(self._transport, bucket)

    def bucket(self, bucket: str) -> AsyncStorageBucket:
        """The same as `from_`."""
        return AsyncStorageBucket(self._transport, bucket)

    async def list_buckets(
        self,
        *,
        limit: int | None = None,
        offset: int = 0,
        search: str | None = None,
        sort_by: tuple[str, str] | None = None,
    ) -> AeroDBResponse[list[Bucket]]:
        """The buckets that the caller may see; `sort_by` like `("created_at", "desc")`."""
        call = calls.list_buckets_call(limit, offset, search, sort_by)
        return await self._transport.execute(call)

    async def get_bucket(self, bucket: str) -> AeroDBResponse[Bucket]:
        """One bucket's settings; `bucket_not_found` if there is none."""
        return await self._transport.execute(calls.get_bucket_call(bucket))

    async def create_bucket(
        self,
        bucket: str,
        *,
        public: bool | EllipsisType = ...,
        policy: BucketPolicy | EllipsisType = ...,
        file_size_limit: int | str | EllipsisType | None = ...,
        allowed_mime_types: Sequence[str] | EllipsisType | None = ...,
    ) -> AeroDBResponse[Bucket]:
        """Make a bucket; `bucket_already_exists` if there is one of this name.

        Args:
            bucket: 3 to 63 of a-z, 0-9, `.`, `_`, `-`, with a letter or digit at both ends.
            public: Whether anybody may read its objects; the same as `policy="public"`.
            policy: Who may do what: `public`, `authenticated`, `private`.
            file_size_limit: The largest object it takes: bytes, or a text like `"50MB"`.
            allowed_mime_types: The only content types it takes.
        """
        settings = {"public": public, "policy": policy, "file_size_limit": file_size_limit,
                    "allowed_mime_types": allowed_mime_types}  # fmt: skip
        return await self._transport.execute(calls.create_bucket_call(bucket, settings))

    async def update_bucket(
        self,
        bucket: str,
        *,
        public: bool | EllipsisType = ...,
        policy: BucketPolicy | EllipsisType = ...,
        file_size_limit: int | str | EllipsisType | None = ...,
        allowed_mime_types: Sequence[str] | EllipsisType | None = ...,
    ) -> AeroDBResponse[Bucket]:
        """Change a bucket's settings; what is not given stays, None takes a limit away."""
        settings = {"public": public, "policy": policy, "file_size_limit": file_size_limit,
                    "allowed_mime_types": allowed_mime_types}  # fmt: skip
        return await self._transport.execute(calls.update_bucket_call(bucket, settings))

    async def empty_bucket(self, bucket: str) -> AeroDBResponse[None]:
        """Remove all objects of a bucket."""
        return await self._transport.execute(calls.empty_bucket_call(bucket))

    async def delete_bucket(self, bucket: str, *, force: bool = False) -> AeroDBResponse[None]:
        """Remove a bucket; `bucket_not_empty` unless `force`, which removes its objects too."""
        call = calls.delete_bucket_call(bucket, force=force)
        return calls.gone_already(await self._transport.execute(call))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._transport.base.url()}>"
