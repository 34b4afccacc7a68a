"""Reads how long a server asks to wait (RFC 9110 §10.2.3, reliability T3).

Dates are read here: the standard library's parser lives in a package that pulls in sockets and
randomness, and takes as long to import as all of this package.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from aerodb._core.http import find_header

_SECONDS = r"[0-9]{1,12}(?:\.[0-9]{1,9})?"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_TIME = r"([0-9]{2}):([0-9]{2}):([0-9]{2})"
_IMF_OR_RFC850 = rf"[a-z]+, ([0-9]{{2}})[ -]([a-z]{{3}})[ -]([0-9]{{2}}|[0-9]{{4}}) {_TIME} gmt"
_ASCTIME = rf"[a-z]{{3}} ([a-z]{{3}}) ([ 0-9][0-9]) {_TIME} ([0-9]{{4}})"
_DAY = 86400


def retry_after_seconds(
    headers: Sequence[tuple[bytes, bytes]], body: Any, *, now: float | None = None
) -> float | None:
    """Return the seconds to wait by `Retry-After-Ms`, `Retry-After` or the JSON body.

    A date counts from the response's own `Date`, so that a wrong clock here does not matter;
    from `now` if there is none. Garbage, negative and endless values are as good as none.
    """
    milliseconds = _number(find_header(headers, b"retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    header = find_header(headers, b"retry-after")
    seconds = _number(header)
    if seconds is None and header is not None:
        until = parse_http_date(header)
        start = parse_http_date(find_header(headers, b"date") or "")
        start = now if start is None else start
        if until is not None and start is not None:
            seconds = max(0.0, until - start)
    return _from_body(body) if seconds is None else seconds


def _from_body(body: Any) -> float | None:
    for place in (body, body.get("error") if isinstance(body, dict) else None):
        if isinstance(place, dict):
            seconds = _number(place.get("retry_after"))
            if seconds is not None:
                return seconds
    return None


def _number(value: object) -> float | None:
    if isinstance(value, str):
        text = value.strip(" \t")
        return float(text) if re.fullmatch(_SECONDS, text) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Compared before it is converted: NaN and infinity fail, and no int is too large to compare.
    return float(value) if 0 <= value < 10**12 else None


def parse_http_date(text: str) -> float | None:
    """Read one of the three forms of a date (RFC 9110 §5.6.7) as Unix time, else None."""
    text = text.strip(" \t").lower()
    match = re.fullmatch(_IMF_OR_RFC850, text)
    if match:
        day, month, year, hour, minute, second = match.groups()
    else:
        match = re.fullmatch(_ASCTIME, text)
        if not match:
            return None
        month, day, hour, minute, second, year = match.groups()
    if month not in _MONTHS or not _in_range(int(day), int(hour), int(minute), int(second)):
        return None
    days = _days_from_epoch(_full_year(year), _MONTHS.index(month) + 1, int(day))
    return float(days * _DAY + int(hour) * 3600 + int(minute) * 60 + int(second))


def _in_range(day: int, hour: int, minute: int, second: int) -> bool:
    return 1 <= day <= 31 and hour <= 23 and minute <= 59 and second <= 60


def _full_year(year: str) -> int:
    number = int(year)
    if len(year) == 4:
        return number
    return number + (2000 if number < 70 else 1900)  # RFC 850 wrote two digits


def _days_from_epoch(year: int, month: int, day: int) -> int:
    # Years that begin in March put the leap day at their end, where it shifts nothing.
    year, month = (year - 1, month + 9) if month <= 2 else (year, month - 3)
    leap_days = year // 4 - year // 100 + year // 400
    return year * 365 + leap_days + (month * 153 + 2) // 5 + day - 1 - 719468
