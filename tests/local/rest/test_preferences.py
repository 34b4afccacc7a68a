"""The Prefer header."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb.local.rest.ast import Action, Preferences
from aerodb.local.rest.preferences import parse_preferences, preference_applied


def parsed(*headers: str, override: bool = True) -> Preferences:
    return parse_preferences(headers, transaction_override=override)


def test_all_preferences() -> None:
    found = parsed(
        "resolution=ignore-duplicates, return=representation,count=exact",
        "tx=rollback,  missing=default, handling=strict",
        "timezone=America/Los_Angeles, max-affected=100",
    )
    assert found == Preferences(
        resolution="ignore-duplicates",
        representation="representation",
        count="exact",
        transaction="rollback",
        missing="default",
        handling="strict",
        timezone="America/Los_Angeles",
        max_affected=100,
    )


def test_the_first_of_a_preference_counts() -> None:
    assert parsed("count=planned, count=exact", "count=estimated").count == "planned"
    assert parsed("max-affected=x, max-affected=3").max_affected is None


def test_tx_counts_only_where_it_may_override() -> None:
    found = parsed("tx=rollback", override=False)
    assert found.transaction is None
    assert found.invalid == ()


def test_unknown_preferences_are_kept_as_invalid() -> None:
    found = parsed("handling=strict, anything, return=nothing")
    assert found.handling == "strict"
    assert found.invalid == ("anything", "return=nothing")


@pytest.mark.parametrize(
    ("action", "resolution", "expected"),
    [
        (
            Action.CREATE,
            True,
            "resolution=merge-duplicates, missing=null, return=minimal, count=exact",
        ),
        (Action.CREATE, False, "missing=null, return=minimal, count=exact"),
        (Action.READ, True, "count=exact"),
        (Action.DELETE, True, "return=minimal, count=exact"),
    ],
)
def test_applied(action: Action, resolution: bool, expected: str) -> None:
    found = parsed("count=exact, return=minimal, missing=null, resolution=merge-duplicates")
    assert preference_applied(found, action, resolution_applies=resolution) == expected


def test_max_affected_is_applied_when_strict() -> None:
    lenient, strict = parsed("max-affected=2"), parsed("max-affected=2, handling=strict")
    assert preference_applied(lenient, Action.UPDATE, resolution_applies=False) is None
    assert preference_applied(strict, Action.READ, resolution_applies=False) == "handling=strict"
    assert (
        preference_applied(strict, Action.UPDATE, resolution_applies=False)
        == "handling=strict, max-affected=2"
    )


@given(st.lists(st.text(max_size=60), max_size=3))
def test_any_header_parses(headers: list[str]) -> None:
    found = parsed(*headers)
    assert all(isinstance(name, str) for name in found.invalid)
