"""What `aerodb storage cp` does: up, down, and from one place on the server to another."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

import aerodb
from aerodb._core.http import SourceError
from aerodb._display import printable
from aerodb._io.files import place_below
from aerodb.cli.options import Failure, data_of
from aerodb.cli.places import Local, Remote
from aerodb.cli.progress import shown_progress

Pairs = list[tuple[Remote | Local, Remote | Local]]


@dataclass(frozen=True, slots=True)
class How:
    """The flags of a copy."""

    recursive: bool = False
    overwrite: bool = True
    content_type: str | None = None
    quiet: bool = False


def files_of(
    asking: aerodb.AeroDBClient, bucket: str, prefix: str, *, recursive: bool = True
) -> list[aerodb.FileObject]:
    """The objects whose names begin so; an error ends the program."""
    try:
        return list(asking.storage.from_(bucket).iter_files(prefix, recursive=recursive))
    except aerodb.AeroDBAPIError as problem:
        raise Failure(str(problem.error), problem.error) from None


def copy(
    asking: aerodb.AeroDBClient, source: Remote | Local, target: Remote | Local, how: How
) -> Pairs:
    """Copy, and tell what became what."""
    if isinstance(source, Remote):
        if isinstance(target, Remote):
            return _between(asking, source, target, how)
        return _down(asking, source, target, how)
    if isinstance(target, Remote):
        return _up(asking, source, target, how)
    raise click.UsageError("one of the two has to be aero://BUCKET/PATH")


def _up(asking: aerodb.AeroDBClient, source: Local, target: Remote, how: How) -> Pairs:
    files = _local_files(source, target, recursive=how.recursive)
    bucket = asking.storage.from_(target.bucket)
    total = sum(path.stat().st_size for path, _ in files)
    with shown_progress(total, quiet=how.quiet) as progress:
        said: dict[str, Any] = {"upsert": how.overwrite, "progress": progress}
        if how.content_type is None:
            _all_well(bucket.upload_many([(to.path, path) for path, to in files], **said))
        else:
            for path, to in files:
                data_of(bucket.upload(to.path, path, how.content_type, **said))
    return [(Local(path, is_folder=False), to) for path, to in files]


def _local_files(source: Local, target: Remote, *, recursive: bool) -> list[tuple[Path, Remote]]:
    root = source.path
    if root.is_dir():
        if not recursive:
            raise click.UsageError(f"{root} is a folder: say -r")
        found = sorted(path for path in _walked(root) if path.is_file())
        return [(path, target.joined(path.relative_to(root).as_posix())) for path in found]
    if not root.is_file():
        raise Failure(f"there is no file {root}")
    return [(root, target.joined(root.name) if target.is_folder else target)]


def _walked(folder: Path) -> Iterable[Path]:
    """The files below a folder; links to folders are not followed."""
    for place, _, names in os.walk(folder):
        yield from (Path(place, name) for name in names)


def _down(asking: aerodb.AeroDBClient, source: Remote, target: Local, how: How) -> Pairs:
    bucket = asking.storage.from_(source.bucket)
    if how.recursive:
        files = _below(asking, source)
        names = [(file.path, file.path.removeprefix(source.prefix)) for file in files]
    else:
        _refuse_folder(source)
        files = [data_of(bucket.info(source.path))]
        names = [(source.path, source.name if target.is_folder else "")]
    places = [(name, _place(target.path, rest)) for name, rest in names]
    if not how.overwrite:
        _refuse_existing(path for _, path in places)
    with shown_progress(sum(file.size or 0 for file in files), quiet=how.quiet) as progress:
        _all_well(bucket.download_many(places, progress=progress))
    return [(Remote(source.bucket, name), Local(path, is_folder=False)) for name, path in places]


def _place(target: Path, rest: str) -> Path:
    """Where below the target; the names of a server never lead out of it (reliability C2)."""
    if not rest:
        return target
    try:
        return Path(place_below(target, rest))
    except SourceError as problem:
        raise Failure(str(problem)) from None


def _refuse_existing(paths: Iterable[Path]) -> None:
    for path in paths:
        if path.exists():
            raise Failure(f"{path} exists already")


def _below(asking: aerodb.AeroDBClient, source: Remote) -> list[aerodb.FileObject]:
    found = files_of(asking, source.bucket, source.prefix)
    if not found:
        raise Failure(f"there is nothing in {source}")
    return found


def _refuse_folder(source: Remote) -> None:
    if source.is_folder:
        raise click.UsageError(f"{source} is a folder: say -r")


def _between(asking: aerodb.AeroDBClient, source: Remote, target: Remote, how: How) -> Pairs:
    """The server copies; the bytes do not pass here."""
    bucket = asking.storage.from_(source.bucket)
    if how.recursive:
        found = [file.path for file in _below(asking, source)]
        pairs = [(name, target.joined(name.removeprefix(source.prefix))) for name in found]
    else:
        _refuse_folder(source)
        into = target.joined(source.name) if target.is_folder else target
        pairs = [(source.path, into)]
    for name, to in pairs:
        data_of(bucket.copy(name, to.path, destination_bucket=to.bucket, upsert=how.overwrite))
    return [(Remote(source.bucket, name), to) for name, to in pairs]


def _all_well(response: Any) -> None:
    """All went well; or each failure on stderr, and the end of the program with status 1."""
    if response.data is None:
        data_of(response)
    failed = [one.error for one in response.data or () if one.error is not None]
    for error in failed[:-1]:
        click.echo(f"Error: {printable(str(error))}", err=True)
    if failed:
        raise Failure(str(failed[-1]), failed[-1])
