# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""A program ends at once and in silence, whatever its realtime is doing, on every Python (C5)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.exits import ASLEEP, leave
from tests.support.pythons import SUPPORTED, python

TWIN = Path(__file__).parent.name


@pytest.mark.parametrize("version", SUPPORTED)
@pytest.mark.parametrize("end", ["open", "close"])
@pytest.mark.parametrize("sleep", [0, ASLEEP])
def test_a_program_ends_in_the_middle_of_a_flood(
    core_alone: dict[str, str], version: str, sleep: float, end: str
) -> None:
    found = leave(python(version), core_alone, TWIN, sleep, end)
    assert (found.code, found.said, found.failures) == (0, "leaving\n", "")
