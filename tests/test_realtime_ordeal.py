"""Numbered changes over connections that end in every way: once each, or told (W1, W3)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.realtime_ordeal import Twin, kills, numbered
from tests.support.slow_handler import LIMIT_MIB, slow


@pytest.mark.parametrize("twin", ["aio", "sync"])
def test_every_end_is_followed_by_a_connection_and_nothing_is_lost(twin: Twin) -> None:
    opened, heard = kills(twin, 28)
    assert opened == 28
    assert heard


@pytest.mark.parametrize("twin", ["aio", "sync"])
@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_every_numbered_change_is_heard_once_or_a_notice_covers_it(twin: Twin, seed: int) -> None:
    found = numbered(twin, seed, events=200, ends=8)
    assert found["heard"] + found["told"] >= 200
    assert found["connections"] > 1  # ends in quick succession may all hit the same one


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to measure by")
@pytest.mark.parametrize("twin", ["aio", "sync"])
def test_a_slow_handler_costs_bounded_memory_and_not_the_connection(twin: Twin) -> None:
    """Some 60 MiB come in the time of a few calls: 8 MiB of them may wait, the rest is counted."""
    found = slow(twin, 3, rate=1000, title="x" * 20_000)
    assert found.made > 2000
    assert found.is_exact
    assert found.missed > 1000
    assert found.grown < LIMIT_MIB
    assert found.connections == 1
    assert found.heartbeats >= 2
