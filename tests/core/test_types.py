"""The values that operations answer with: caches, other processes and `asdict` may have them."""

from __future__ import annotations

import copy
import dataclasses
import pickle

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


def test_an_answer_may_be_made_with_its_type_and_is_not_changed_afterwards() -> None:
    answer = AeroDBResponse[list[int]]([1])
    assert answer == AeroDBResponse([1])
    with pytest.raises(dataclasses.FrozenInstanceError, match="'data'"):
        answer.data = []  # type: ignore[misc]
