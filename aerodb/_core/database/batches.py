"""Writing many rows: the report that `insert_many` gives."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable
from typing import Any

from aerodb._core.database.render import local_error
from aerodb._core.values import BadValue, describe
from aerodb._dataclass import dataclass
from aerodb.types import AeroDBError, AeroDBResponse

__all__ = ["BatchError", "BatchProgress", "BatchReport", "RowSource", "Tally", "batch_verb"]

RowSource = Iterable[Any] | AsyncIterable[Any]
"""Where `insert_many` takes its rows from; only the async twin can take the second kind."""


@dataclass(frozen=True, slots=True)
class BatchError:
    """A batch that was not written: rows number `first` to `last` of the input, from 0."""

    first: int
    last: int
    error: AeroDBError


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """How far it is: `rows` were handed to the server, in `batches` requests."""

    rows: int
    batches: int
    failed: int


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What became of `insert_many`.

    Attributes:
        inserted: Rows in batches that were written.
        batches: Requests that were sent.
        errors: The batches that failed; each is all or nothing.
    """

    inserted: int
    batches: int
    errors: tuple[BatchError, ...] = ()


class Tally:
    """Counts batches while they are sent."""

    __slots__ = ("_errors", "_inserted", "_on_error", "_progress", "batches", "problem", "rows")

    def __init__(
        self,
        batch_size: Any,
        concurrency: Any,
        on_error: Any,
        progress: Any,
    ) -> None:
        self._errors: list[BatchError] = []
        self._inserted = 0
        self._on_error = on_error
        self._progress: Callable[[BatchProgress], Any] | None = progress
        self.rows = 0
        self.batches = 0
        self.problem: AeroDBResponse[BatchReport] | None = None
        for name, value in (("batch_size", batch_size), ("concurrency", concurrency)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                self._refuse(f"{name}: {value!r} was given, expected an int above 0")
        if progress is not None and not callable(progress):
            self._refuse(f"progress: {describe(progress)} was given, expected a function")
        if on_error not in ("stop", "continue"):
            self._refuse(f"on_error: {on_error!r} was given, expected 'stop' or 'continue'")

    def _refuse(self, message: str) -> None:
        self.problem = local_error(BadValue(message))

    def add(self, size: int, error: AeroDBError | None) -> None:
        """Note one answered batch."""
        first = self.rows
        self.rows += size
        self.batches += 1
        if error is None:
            self._inserted += size
        else:
            self._errors.append(BatchError(first, self.rows - 1, error))
        if self._progress is not None:
            self._progress(BatchProgress(self.rows, self.batches, len(self._errors)))

    @property
    def stopped(self) -> bool:
        """Whether a failure ends it."""
        return bool(self._errors) and self._on_error == "stop"

    def response(self) -> AeroDBResponse[BatchReport]:
        """The report; its error is the first one, and then `data` still says what was written."""
        report = BatchReport(self._inserted, self.batches, tuple(self._errors))
        return AeroDBResponse(report, self._errors[0].error if self._errors else None)


def batch_verb(
    upsert: bool, on_conflict: Any, ignore_duplicates: bool, default_to_null: bool
) -> tuple[str, dict[str, Any]]:
    """The verb that writes a batch, and its options: no rows are asked back."""
    options: dict[str, Any] = {"returning": "minimal", "default_to_null": default_to_null}
    if not (upsert or on_conflict is not None or ignore_duplicates):
        return "insert", options
    return "upsert", options | {
        "on_conflict": on_conflict,
        "ignore_duplicates": ignore_duplicates,
    }
