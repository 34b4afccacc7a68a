"""Where `aerodb storage` copies from and to: `aero://BUCKET/PATH`, or something on this machine.

The scheme is what tells the two apart: `name:path` may be a local file, and is one here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

SCHEME = "aero://"


@dataclass(frozen=True, slots=True)
class Remote:
    """An object, a folder or a whole bucket. Names are as they are, nothing is decoded."""

    bucket: str
    path: str = ""

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.path}"

    @property
    def is_folder(self) -> bool:
        """Whether it can only be meant as a folder: a bucket, or a path that ends in a slash."""
        return not self.path or self.path.endswith("/")

    @property
    def prefix(self) -> str:
        """What the names of everything in the folder begin with."""
        return self.path if self.is_folder else f"{self.path}/"

    @property
    def name(self) -> str:
        """The last segment of the path."""
        return self.path.rpartition("/")[2]

    def joined(self, name: str) -> Remote:
        """What is called `name` in this folder."""
        return Remote(self.bucket, self.prefix + name)


@dataclass(frozen=True, slots=True)
class Local:
    """A file or folder of this machine; `is_folder` also if it only ends in a slash."""

    path: Path
    is_folder: bool

    def __str__(self) -> str:
        return str(self.path)


def remote(text: str) -> Remote:
    """Read `aero://BUCKET/PATH`; a type for click, which names the argument if it is wrong."""
    bucket, _, path = text.removeprefix(SCHEME).partition("/")
    if not text.startswith(SCHEME) or not bucket:
        raise click.BadParameter(f"{text!r} is not of the form {SCHEME}BUCKET/PATH")
    return Remote(bucket, path)


def place(text: str) -> Remote | Local:
    """Read what has the scheme as remote, and everything else as a path."""
    if text.startswith(SCHEME):
        return remote(text)
    path = Path(text)
    return Local(path, text.endswith("/") or path.is_dir())
