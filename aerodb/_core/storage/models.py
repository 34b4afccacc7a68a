"""What the storage service answers with, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = [
    "Bucket",
    "FileObject",
    "ListPage",
    "SignedUploadUrl",
    "SignedUrl",
    "SignedUrlResult",
    "TransferProgress",
]

BucketPolicy = Literal["public", "authenticated", "private"]


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket as the server describes it. What it does not say is None.

    Attributes:
        id: How it is named in URLs.
        name: The same, unless the server tells them apart.
        owner: The UUID of the user whose it is.
        public: Whether anybody may read its objects.
        policy: `public`, `authenticated` or `private`.
        file_size_limit: The largest object it takes, in bytes.
        allowed_mime_types: The only content types it takes.
        created_at: When it was made, as text.
        updated_at: When its settings were last changed, as text.
    """

    id: str
    name: str
    owner: str | None = None
    public: bool = False
    policy: str | None = None
    file_size_limit: int | None = None
    allowed_mime_types: tuple[str, ...] | None = None
    created_at: str | None = None
    updated_at: str | None = None


@dataclass(frozen=True, slots=True)
class FileObject:
    """An object as the server describes it. What it does not say is None, or empty.

    Attributes:
        path: Its whole name, folders included: what every method takes.
        name: The last segment of it.
        bucket: The bucket it is in.
        id: The server's id of it.
        size: Its bytes.
        content_type: Its MIME type.
        etag: Changes when the content does; with its quotation marks.
        cache_control: How long others may keep it.
        metadata: What the uploader said of it.
        created_at: When it was first uploaded, as text.
        updated_at: When it was last changed, as text.
    """

    path: str
    name: str
    bucket: str
    id: str | None = None
    size: int | None = None
    content_type: str | None = None
    etag: str | None = None
    cache_control: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    created_at: str | None = None
    updated_at: str | None = None


@dataclass(frozen=True, slots=True)
class ListPage:
    """A part of a bucket's content.

    Attributes:
        objects: The objects of this page.
        folders: What lies between the prefix and the next `/`, if that was asked for.
        has_next: Whether there is more.
        next_cursor: Where the next page begins; give it to `list_v2`.
    """

    objects: tuple[FileObject, ...]
    folders: tuple[str, ...] = ()
    has_next: bool = False
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class SignedUrl:
    """A URL that lets anybody read one object for a while. Its repr does not show it.

    Attributes:
        path: The object's name.
        url: The URL.
        expires_at: Until when it holds, as the server says it.
    """

    path: str
    url: str = field(repr=False)
    expires_at: str | None = None


@dataclass(frozen=True, slots=True)
class SignedUrlResult:
    """What became of one of several objects for which URLs were asked. Its repr does not show it.

    Attributes:
        path: The object's name.
        url: The URL, see `SignedUrl`; None if the server refused this one.
        expires_at: Until when it holds, as the server says it.
        error: Why there is no URL.
    """

    path: str
    url: str | None = field(default=None, repr=False)
    expires_at: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class SignedUploadUrl:
    """The right to upload one object, once. Its repr shows neither URL nor token.

    Attributes:
        path: The object's name.
        token: What `upload_to_signed_url` wants.
        url: Where a plain HTTP PUT goes.
        expires_at: Until when it holds, as the server says it.
    """

    path: str
    token: str = field(repr=False)
    url: str = field(repr=False)
    expires_at: str | None = None


@dataclass(frozen=True, slots=True)
class TransferProgress:
    """How far a transfer has come.

    Attributes:
        path: The object's name.
        transferred: Bytes so far. It goes back if a transfer begins anew.
        total: Bytes in all; None if that is not known.
        direction: `upload` or `download`.
    """

    path: str
    transferred: int
    total: int | None
    direction: Literal["upload", "download"]

    @property
    def fraction(self) -> float | None:
        """From 0 to 1; None if the total is not known."""
        if self.total is None:
            return None
        return 1.0 if self.total == 0 else min(1.0, self.transferred / self.total)
