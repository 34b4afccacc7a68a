# GENERATED from aerodb_async_src/storage/_many.py by scripts/generate.py [39a11feeac67]: do not edit
"""Several transfers at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Any

from aerodb._core.errors import client_error
from aerodb._core.http import SourceError
from aerodb._core.storage.models import FileObject
from aerodb._core.storage.paths import clash_of_targets, object_problem
from aerodb._io.on_threads import apart
from aerodb._io.on_threads.transfers import place_below, together
from aerodb.types import AeroDBResponse

from .._body import source_problem  # noqa: TID252  # of the same twin

Target = str | PathLike[str]

Many = AeroDBResponse[list[AeroDBResponse[FileObject]]]

MAX_AT_ONCE = 64


class TransferJob:
    """One of several transfers, and its response."""

    __slots__ = ("_bucket", "_file", "_folder", "_options", "path", "response")

    def __init__(
        self, bucket: Any, path: str, file: Any, folder: Any, options: dict[str, Any]
    ) -> None:
        self._bucket = bucket
        self._file = file
        self._folder = folder
        self._options = options
        self.path = path
        self.response: AeroDBResponse[FileObject] = AeroDBResponse()

    def upload(self) -> None:
        self.response = self._bucket.upload(self.path, self._file, **self._options)

    def download(self) -> None:
        try:
            target = self._target()
        except SourceError as problem:
            self.response = AeroDBResponse(error=source_problem(problem))
            return
        self.response = self._bucket.download_to(self.path, target, **self._options)

    def _target(self) -> Any:
        if self._folder is None:
            return self._file
        problem = object_problem(self.path)
        if problem is not None:
            raise SourceError("INVALID_ARGUMENT", problem)
        return apart(place_below, self._folder, self.path)


def upload_all(
    bucket: Any, items: Any, concurrency: int, progress: Any, **options: Any
) -> Many:
    """Upload all of them."""
    options["progress"] = progress
    pairs = _pairs(items)
    if pairs is None:
        return _refused("items must map names to files, or be a list of such pairs")
    jobs = [TransferJob(bucket, path, file, None, options) for path, file in pairs]
    return _all_done(jobs, [job.upload for job in jobs], concurrency)


def download_all(
    bucket: Any,
    items: Any,
    folder: Target | None,
    concurrency: int,
    progress: Any,
    **options: Any,
) -> Many:
    """Download all of them."""
    options["progress"] = progress
    if folder is None:
        pairs = _pairs(items)
        if pairs is None:
            return _refused("items must map names to files; for a list of names, give a folder")
        clash = clash_of_targets(pairs)
        if clash is not None:
            return _refused(clash)
    elif isinstance(items, str | bytes) or not isinstance(items, Iterable):
        return _refused("items must be a list of names")
    else:
        pairs = [(path, None) for path in items]
    jobs = [TransferJob(bucket, path, file, folder, options) for path, file in pairs]
    return _all_done(jobs, [job.download for job in jobs], concurrency)


def _all_done(jobs: list[TransferJob], runs: list[Any], concurrency: Any) -> Many:
    whole = isinstance(concurrency, int) and not isinstance(concurrency, bool)
    if not whole or not 1 <= concurrency <= MAX_AT_ONCE:
        return _refused(f"concurrency must be a whole number from 1 to {MAX_AT_ONCE}")
    together(runs, min(concurrency, len(runs) or 1))
    responses = [job.response for job in jobs]
    error = next((response.error for response in responses if response.error is not None), None)
    return AeroDBResponse(responses, error)


def _refused(message: str) -> Many:
    return AeroDBResponse(error=client_error("INVALID_ARGUMENT", message))


def _pairs(items: Any) -> list[tuple[str, Any]] | None:
    """Names and files, of a mapping or of pairs; None if they are neither."""
    listed = items.items() if isinstance(items, Mapping) else items
    if not isinstance(listed, Iterable):
        return None
    found: list[tuple[str, Any]] = []
    for item in listed:
        if not isinstance(item, tuple | list) or len(item) != 2:
            return None
        found.append((item[0], item[1]))
    return found
