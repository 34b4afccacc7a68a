# GENERATED from tests/aio/live/test_written_once.py by scripts/generate.py [c2edd0541135]: do not edit
"""Nothing is written twice, whatever happens to the answer (wire-contract §1.8, reliability T1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from aerodb import AeroDBAPIError
from aerodb.sync import AeroDBClient

pytestmark = pytest.mark.usefixtures("empty")


@pytest.fixture
def unlucky(server: Any, lossy: Any) -> Iterator[AeroDBClient]:
    """A client whose answers may get lost on the way."""
    with AeroDBClient(lossy.url, server.service_key) as connected:
        assert (connected.from_("teams").count("exact")).unwrap() == 3
        yield connected


def test_an_insert_whose_answer_is_lost(
    client: AeroDBClient, unlucky: AeroDBClient, lossy: Any
) -> None:
    lossy.lose(1)
    response = unlucky.from_("notes").insert({"title": "once"}).execute()
    assert response.error.code == "NETWORK_ERROR"
    assert response.error.maybe_applied is True
    assert response.error.attempts == 1
    assert (client.from_("notes").scalars("title")).unwrap() == ["once"]


def test_every_kind_of_write_whose_answer_is_lost(
    client: AeroDBClient, unlucky: AeroDBClient, lossy: Any
) -> None:
    notes = unlucky.from_("notes")
    (notes.insert([{"title": "a"}, {"title": "b"}]).execute()).unwrap()
    for query in (
        unlucky.rpc("log_call", {"label": "x"}),
        notes.update({"stars": 1}).eq("title", "a"),
        notes.delete().eq("title", "a"),
        unlucky.from_("pairs").insert({"a": 1, "b": 1}),
    ):
        lossy.lose(1)
        error = (query.execute()).error
        assert error.code == "NETWORK_ERROR"
        assert error.maybe_applied is True
        assert error.attempts == 1
    assert (client.from_("calls").scalars("label")).unwrap() == ["x"]
    assert (client.from_("notes").scalars("title")).unwrap() == ["b"]
    assert (client.from_("pairs").count("exact")).unwrap() == 1


def test_a_read_whose_answer_is_lost_is_read_again(unlucky: AeroDBClient, lossy: Any) -> None:
    lossy.lose(1)
    response = unlucky.from_("teams").select("id").eq("id", 1).execute()
    assert response.unwrap() == [{"id": 1}]
    assert response.meta.attempts == 2


def test_a_read_is_not_repeated_for_ever(unlucky: AeroDBClient, lossy: Any) -> None:
    lossy.lose(100)
    response = unlucky.from_("teams").select("id").execute()
    assert response.error.code == "NETWORK_ERROR"
    assert response.error.attempts == 3
    assert response.error.maybe_applied is False
    lossy.lose(0)
    assert (unlucky.from_("teams").count("exact")).unwrap() == 3


def test_insert_many_whose_answer_is_lost(
    client: AeroDBClient, unlucky: AeroDBClient, lossy: Any
) -> None:
    def rows() -> Any:
        for number in range(30):
            if number == 15:
                lossy.lose(1)
            yield {"label": f"{number}"}

    response = unlucky.from_("calls").insert_many(rows(), batch_size=10)
    assert response.error.maybe_applied is True
    labels = (client.from_("calls").order("id").scalars("label")).unwrap()
    assert labels == [f"{number}" for number in range(20)]


def test_a_write_whose_answer_is_cut(
    client: AeroDBClient, unlucky: AeroDBClient, lossy: Any
) -> None:
    """In the middle of the head, and after it."""
    for left in (10, 200):
        lossy.cut(left)
        response = unlucky.from_("notes").insert({"title": "x" * 5000}).execute()
        assert response.data is None
        assert response.error.code in ("NETWORK_ERROR", "INVALID_RESPONSE")
        assert response.error.maybe_applied is True
        assert response.error.attempts == 1
    assert (client.from_("notes").count("exact")).unwrap() == 2


def test_a_read_whose_answer_is_cut(unlucky: AeroDBClient, lossy: Any) -> None:
    for left in (10, 200, 3000):
        lossy.cut(left)
        response = unlucky.from_("numbers").select("*").lte("n", 500).execute()
        assert len(response.unwrap()) == 500, "tried again, or an error: never a part"


def test_a_stream_that_is_cut_does_not_look_whole(
    unlucky: AeroDBClient, lossy: Any, database: Any
) -> None:
    database.execute("insert into bulk select n, repeat('x', 999) from generate_series(0, 999) n")
    seen = []
    query = unlucky.from_("bulk").select("n, label").order("n")
    lossy.cut(600_000)
    with query.stream() as rows:
        with pytest.raises(AeroDBAPIError, match="NETWORK_ERROR"):
            for row in rows:
                seen.append(row["n"])
        assert rows.error.code == "NETWORK_ERROR"
    assert seen == list(range(len(seen))), "what came before the cut is whole and in order"
    assert 0 < len(seen) < 1000


def test_a_write_may_be_declared_repeatable(
    client: AeroDBClient, unlucky: AeroDBClient, lossy: Any
) -> None:
    lossy.lose(1)
    query = unlucky.from_("pairs").upsert({"a": 1, "b": 1, "value": "x"}).retry("ambiguous")
    response = query.execute()
    assert len(response.unwrap()) == 1
    assert response.meta.attempts == 2
    assert (client.from_("pairs").count("exact")).unwrap() == 1


def test_an_idempotency_key_is_no_licence_to_write_twice(
    client: AeroDBClient, unlucky: AeroDBClient, lossy: Any
) -> None:
    lossy.lose(1)
    query = unlucky.from_("notes").insert({"title": "x"}).idempotency_key("key-1")
    response = query.execute()
    assert response.ok or response.error.maybe_applied
    assert (client.from_("notes").count("exact")).unwrap() == 1


def test_a_timeout_is_not_a_second_chance(client: AeroDBClient) -> None:
    """The function goes on, or is stopped, on the server: it never runs twice."""
    query = client.rpc("log_call", {"label": "slow", "seconds": 0.6})
    response = query.timeout(0.2).execute()
    assert response.error.code == "TIMEOUT"
    assert response.error.attempts == 1
    # a call that certainly ends later than the first one would have
    assert (client.rpc("log_call", {"label": "after", "seconds": 0.8}).execute()).ok
    labels = (client.from_("calls").order("id").scalars("label")).unwrap()
    assert labels in (["after"], ["slow", "after"])


def test_a_query_that_was_never_executed_writes_nothing(client: AeroDBClient) -> None:
    with pytest.warns(RuntimeWarning, match="never executed"):
        client.from_("notes").insert({"title": "forgotten"})
    assert (client.from_("notes").count("exact")).unwrap() == 0
