"""The values that operations answer with: caches, other processes and `asdict` may have them."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import pytest

from aerodb.types import AeroDBAPIError, AeroDBError, AeroDBResponse, ResponseMeta

ANSWERS: list[AeroDBResponse[list[int]]] = [
    AeroDBResponse([1]),
    AeroDBResponse([], meta=ResponseMeta()),
    AeroDBResponse(None, AeroDBError("no", code="INVALID_ARGUMENT", details={"a": [1]})),
]


@pytest.mark.parametrize("answer", ANSWERS, ids=["data", "meta", "error"])
def test_an_answer_without_a_request_travels(answer: AeroDBResponse[list[int]]) -> None:
    for twin in (pickle.loads(pickle.dumps(answer)), copy.deepcopy(answer)):
        assert twin == answer
        assert twin.meta == answer.meta
    assert dataclasses.asdict(answer)["meta"]["headers"] == {}


def test_an_exception_travels() -> None:
    raised = AeroDBAPIError(AeroDBError("no", code="TIMEOUT"))
    twin = pickle.loads(pickle.dumps(raised))
    assert type(twin) is AeroDBAPIError
    assert twin.error == raised.error


def test_an_exception_says_what_its_error_says() -> None:
    error = AeroDBError("no", status=409, code="23505", details="Key (id)=(1)", hint="another")
    raised = AeroDBAPIError(error)
    assert (raised.code, raised.status) == ("23505", 409)
    assert (raised.message, raised.details, raised.hint) == ("no", "Key (id)=(1)", "another")


def test_what_the_data_has_is_looked_for_in_the_response_and_found_in_the_data() -> None:
    with pytest.raises(AttributeError, match=r"'AeroDBResponse' .* 'index': .* \.data\.index"):
        _ = AeroDBResponse([1]).index  # type: ignore[attr-defined]
    failed: AeroDBResponse[list[int]] = AeroDBResponse(None, AeroDBError("no", code="TIMEOUT"))
    with pytest.raises(AttributeError, match="TIMEOUT: no"):
        _ = failed.index  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match=r"'nothing'$"):
        _ = AeroDBResponse([1]).nothing  # type: ignore[attr-defined]
    assert not hasattr(failed, "__array_interface__")


def test_an_answer_may_be_made_with_its_type_and_is_not_changed_afterwards() -> None:
    answer = AeroDBResponse[list[int]]([1])
    assert answer == AeroDBResponse([1])
    with pytest.raises(dataclasses.FrozenInstanceError, match="'data'"):
        answer.data = []  # type: ignore[misc]


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (AeroDBResponse(True), True),
        (AeroDBResponse(False), False),  # exists(), or a function that says no
        (AeroDBResponse(None), True),
        (AeroDBResponse(0), True),
        (AeroDBResponse([]), True),
        (AeroDBResponse(""), True),
        (AeroDBResponse(error=AeroDBError("m", code="TIMEOUT")), False),
        (AeroDBResponse(True, AeroDBError("m", code="TIMEOUT")), False),
    ],
)
def test_what_a_condition_asks_of_a_response(response: AeroDBResponse[Any], expected: bool) -> None:
    assert bool(response) is expected
    assert response.ok is (response.error is None)
