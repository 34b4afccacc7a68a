"""Where objects are kept: what `--storage-url` says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from aerodb.local.errors import LocalError

_PARAMETERS = ("endpoint", "path_style", "region")


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of this machine, or of a disk that several machines share."""

    path: Path


@dataclass(frozen=True, slots=True)
class S3Prefix:
    """The part of a bucket whose keys begin with `prefix`."""

    bucket: str
    prefix: str
    options: tuple[tuple[str, str], ...]


def parse_location(url: str) -> Folder | S3Prefix:
    """Read a storage URL, or raise LocalError."""
    try:
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
    except ValueError:
        raise LocalError("--storage-url is no URL.") from None
    if parts.scheme == "file" and parts.netloc == "" and parts.path.startswith("/"):
        return Folder(Path(unquote(parts.path)))
    if parts.scheme != "s3" or not parts.netloc:
        raise LocalError("--storage-url must be s3://BUCKET/PREFIX or file:///FOLDER.")
    if "@" in parts.netloc:
        raise LocalError("--storage-url must hold no credentials: set AWS_ACCESS_KEY_ID, ...")
    for name in options:
        if name not in _PARAMETERS:
            raise LocalError(f"--storage-url: {name!r} is none of {', '.join(_PARAMETERS)}.")
    return S3Prefix(parts.netloc, parts.path.strip("/"), tuple(options.items()))
