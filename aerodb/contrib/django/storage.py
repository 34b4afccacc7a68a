"""Files of Django in a bucket: `AeroDBStorage` for `STORAGES`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import datetime
from typing import Any, cast

from django.conf import settings
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import File
from django.core.files.storage import Storage
from django.utils.deconstruct import deconstructible
from django.utils.timezone import make_naive

from aerodb import AeroDBAPIError, AeroDBClient, AeroDBError, AeroDBResponse
from aerodb.contrib.django.clients import get_client

_IN_MEMORY = 1024 * 1024
_PIECE = 256 * 1024


@deconstructible(path="aerodb.contrib.django.AeroDBStorage")
class AeroDBStorage(Storage):
    """`STORAGES = {"default": {"BACKEND": "aerodb.contrib.django.AeroDBStorage", "OPTIONS": ...}}`.

    Args:
        bucket: The bucket; it has to exist.
        location: A folder of the bucket, below which everything is.
        key: The key to act by, such as a secret one; that of `AERODB` if not given.
        signed: Whether `url()` gives signed URLs (one request each) or public ones (none).
        expires_in: Seconds that a signed URL lives.
        overwrite: Whether a file takes the place of another of its name; else it gets a new name.
        cache_control: What uploads say of how long others may keep them, in seconds or as text.

    Files act by the key and not as the caller of a request: row-level security sees the program.
    What AeroDB refuses raises `AeroDBAPIError`; a file that is not there `FileNotFoundError`.
    """

    def __init__(
        self,
        bucket: str = "media",
        *,
        location: str = "",
        key: str | None = None,
        signed: bool = True,
        expires_in: int = 3600,
        overwrite: bool = False,
        cache_control: str | int | None = None,
    ) -> None:
        self._bucket = bucket
        self._location = f"{location.strip('/')}/" if location.strip("/") else ""
        self._key = key
        self._signed = signed
        self._expires_in = expires_in
        self._overwrite = overwrite
        self._cache_control = cache_control

    def __repr__(self) -> str:
        return f"<AeroDBStorage {self._bucket!r}>"

    def _objects(self) -> Any:
        """The bucket. Nothing is kept: the client of the process is made anew after a fork."""
        return self._acting().storage.from_(self._bucket)

    def _acting(self) -> AeroDBClient:
        client: AeroDBClient = get_client()
        return client if self._key is None else client.as_service(self._key)

    def find_bucket(self) -> AeroDBResponse[Any]:
        """Ask AeroDB for the bucket: `manage.py aerodb_check` does."""
        return self._acting().storage.get_bucket(self._bucket)

    def _path(self, name: str) -> str:
        """The object's name. What leads out of the location is refused, not resolved."""
        text = str(name).replace("\\", "/")
        if text.startswith("/") or {"..", "."} & set(text.split("/")):
            raise SuspiciousFileOperation(f"{name!r} is no name of a file in {self._bucket!r}")
        return self._location + text

    # --- what Django asks of a storage -----------------------------------------------------

    def _open(self, name: str, mode: str = "rb") -> File[Any]:
        if mode != "rb":
            raise ValueError(f"files are opened for reading, 'rb', not {mode!r}: use save()")
        held = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - given out
        try:
            with self._objects().download_stream(self._path(name)) as stream:
                if stream.error is not None:
                    raise _problem(stream.error, name)
                for piece in stream:
                    held.write(piece)
        except BaseException:
            held.close()
            raise
        held.seek(0)
        return File(cast("Any", held), name)

    def _save(self, name: str, content: Any) -> str:
        response = self._objects().upload(
            self._path(name),
            _pieces(content),
            getattr(content, "content_type", None) or None,
            upsert=self._overwrite,
            cache_control=self._cache_control,
        )
        response.unwrap()
        return name

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """`name`, or one like it that is free; the same if files overwrite each other."""
        if self._overwrite and (max_length is None or len(name) <= max_length):
            return name
        return super().get_available_name(name, max_length)

    def delete(self, name: str) -> None:
        """Remove it. What is not there is no mistake, as Django has it."""
        _checked(self._objects().remove([self._path(name)]), name)

    def exists(self, name: str) -> bool:
        """Whether there is such an object."""
        return bool(_checked(self._objects().exists(self._path(name)), name))

    def size(self, name: str) -> int:
        """Its bytes."""
        return _checked(self._objects().info(self._path(name)), name).size or 0

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """The names of the folders and of the files right below a folder."""
        folder = self._path(path.strip("/")) if path.strip("/.") else self._location
        prefix = f"{folder.rstrip('/')}/" if folder else ""
        folders: list[str] = []
        files: list[str] = []
        cursor: str | None = None
        while True:
            page = _checked(
                self._objects().list_v2(prefix=prefix, cursor=cursor, with_delimiter=True), path
            )
            folders += [name.removeprefix(prefix).rstrip("/") for name in page.folders]
            files += [file.path.removeprefix(prefix) for file in page.objects]
            if not page.has_next or page.next_cursor in (None, cursor):
                return list(dict.fromkeys(folders)), files
            cursor = page.next_cursor

    def url(self, name: str | None) -> str:
        """Where a browser gets it: signed for a while, or public."""
        if name is None:
            raise ValueError("a file without a name has no URL")
        if not self._signed:
            return str(self._objects().get_public_url(self._path(name)))
        found = _checked(
            self._objects().create_signed_url(self._path(name), self._expires_in), name
        )
        return str(found.url)

    def get_modified_time(self, name: str) -> datetime:
        """When it was last changed."""
        return self._time(name, "updated_at")

    def get_created_time(self, name: str) -> datetime:
        """When it was first uploaded."""
        return self._time(name, "created_at")

    def _time(self, name: str, which: str) -> datetime:
        text = getattr(_checked(self._objects().info(self._path(name)), name), which)
        if text is None:
            raise NotImplementedError(f"the server does not say {which} of an object")
        found = datetime.fromisoformat(text)
        return found if settings.USE_TZ else make_naive(found)


def _pieces(content: Any) -> Iterator[bytes]:
    """The bytes of a file of Django's, which may be one of text."""
    for piece in content.chunks(_PIECE):
        yield piece.encode() if isinstance(piece, str) else piece


def _checked(response: AeroDBResponse[Any], name: str) -> Any:
    if response.error is not None:
        raise _problem(response.error, name)
    return response.data


def _problem(error: AeroDBError, name: str) -> Exception:
    """What Django expects where a file is missing; AeroDB's own error else."""
    if error.status == 404:
        return FileNotFoundError(f"{name!r}: {error.message}")
    return AeroDBAPIError(error)
