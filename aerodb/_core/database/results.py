"""Short answers made of longer ones: the first row, whether there is one, how many, all pages."""

from __future__ import annotations

from typing import Any

from aerodb._core.database.pages import Pager
from aerodb._dataclass import replace
from aerodb.types import AeroDBError, AeroDBResponse

__all__ = [
    "all_rows",
    "counted",
    "existing",
    "explained",
    "first_row",
    "scalars_of",
    "unexplained",
]


def unexplained(error: AeroDBError) -> bool:
    """Whether the server refused a HEAD: its answer has no body, so nobody knows why."""
    refused = error.status is not None and 400 <= error.status < 500
    return error.method == "HEAD" and refused and not error.retryable


def explained(response: AeroDBResponse[Any], asked: AeroDBResponse[Any]) -> AeroDBResponse[Any]:
    """The refusal of a HEAD in the words that the same question by GET was refused with."""
    error, told = response.error, asked.error
    if error is None or told is None or told.status != error.status:
        return response
    said = {"message": told.message, "code": told.code, "details": told.details, "hint": told.hint}
    return replace(response, error=replace(error, **said))


def first_row(response: AeroDBResponse[Any]) -> AeroDBResponse[Any]:
    """The first row of a list, or None."""
    rows = response.data
    if response.error is not None or not isinstance(rows, list):
        return response
    return replace(response, data=rows[0] if rows else None)


def existing(response: AeroDBResponse[Any]) -> AeroDBResponse[bool]:
    """Whether there is a row."""
    if response.error is not None:
        return response
    return replace(response, data=bool(response.data))


def counted(response: AeroDBResponse[Any]) -> AeroDBResponse[int]:
    """The total that the server told."""
    if response.error is None and response.count is None:
        error = AeroDBError(
            "the server did not tell the number of rows",
            code="INVALID_RESPONSE",
            hint="It may not know the preference count=; len() of all() counts here.",
        )
        return replace(response, data=None, error=error)
    return replace(response, data=response.count)


def scalars_of(response: AeroDBResponse[Any]) -> AeroDBResponse[list[Any]]:
    """The only member of each row."""
    rows = response.data
    if response.error is not None or not isinstance(rows, list):
        return response
    values = [next(iter(row.values()), None) if isinstance(row, dict) else row for row in rows]
    return replace(response, data=values)


def all_rows(pages: list[AeroDBResponse[Any]], pager: Pager[Any]) -> AeroDBResponse[Any]:
    """All pages as one response; the first error is the error."""
    if pager.problem is not None:
        return pager.problem
    for page in pages:
        if page.error is not None:
            return page
    rows = [row for page in pages for row in page.data or ()]
    if not pages:
        return AeroDBResponse([])
    meta = pages[-1].meta
    first = pages[0].meta.range
    known = (first[0], first[0] + len(rows) - 1) if first is not None and rows else None
    warnings = meta.warnings
    if pager.truncated:
        warnings = ("stopped at max_rows: there may be more rows",)
    meta = replace(meta, range=known, truncated=pager.truncated, warnings=warnings)
    return AeroDBResponse(rows, None, pages[0].count, meta)
