"""How much of it: what every test run can afford, or with AERODB_SOAK=1 all that is promised."""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")

SOAKING = os.environ.get("AERODB_SOAK") == "1"


def many(usual: T, soak: T) -> T:
    """`soak` in a run of `scripts/soak.py`, else `usual`."""
    return soak if SOAKING else usual
