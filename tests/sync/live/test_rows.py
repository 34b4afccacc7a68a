# GENERATED from tests/aio/live/test_rows.py by scripts/generate.py [0c817e64d2e4]: do not edit
"""Rows as values of a type of one's own (features §1.5)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple, TypedDict

import attrs
import msgspec
import pydantic
import pytest

from aerodb import AeroDBAPIError
from aerodb.sync import AeroDBClient


class AsTypedDict(TypedDict):
    id: int
    name: str
    email: str | None


@dataclass
class AsDataclass:
    id: int
    name: str
    email: str | None = None


class AsNamedTuple(NamedTuple):
    id: int
    name: str
    email: str | None


class AsPydantic(pydantic.BaseModel):
    id: int
    name: str
    email: str | None


class AsStruct(msgspec.Struct):
    id: int
    name: str
    email: str | None


@attrs.define
class AsAttrs:
    id: int
    name: str
    email: str | None


MODELS: list[Any] = [AsDataclass, AsNamedTuple, AsPydantic, AsStruct, AsAttrs, AsTypedDict]


@pytest.mark.parametrize("model", MODELS)
def test_rows_become_values(client: AeroDBClient, model: Any) -> None:
    query = client.from_("users", model).select("id, name, email").in_("id", [1, 3]).order("id")
    assert (query.execute()).unwrap() == [
        model(id=1, name="Ada", email="ada@example.org"),
        model(id=3, name="Cyd", email=None),
    ]


@pytest.mark.parametrize("model", MODELS)
def test_in_every_way_to_read(client: AeroDBClient, model: Any) -> None:
    ada = model(id=1, name="Ada", email="ada@example.org")
    query = client.from_("users", model).select("id, name, email").eq("id", 1)
    assert (query.single().execute()).unwrap() == ada
    assert (query.maybe_single().execute()).unwrap() == ada
    assert (query.first()).unwrap() == ada
    assert (query.all()).unwrap() == [ada]
    assert [row for row in query.iterate(key="id")] == [ada]
    with query.stream() as rows:
        assert [row for row in rows] == [ada]
    nobody = client.from_("users", model).select("id, name, email").eq("id", 99).first()
    assert nobody.unwrap() is None


@pytest.mark.parametrize("model", MODELS)
def test_what_a_write_returns(client: AeroDBClient, empty: None, model: Any) -> None:
    table = client.from_("required", model)
    response = table.insert({"name": "x"}).select("id, name, email:name").execute()
    assert response.unwrap() == [model(id=1, name="x", email="x")]


@pytest.mark.parametrize("model", MODELS[:-1])
def test_rows_can_be_written(client: AeroDBClient, empty: None, model: Any) -> None:
    class_of_row = {AsNamedTuple: NameOnlyTuple}.get(model)
    row = class_of_row("x") if class_of_row else NAME_ONLY[model]("x")
    response = client.from_("required").insert(row).select("name").execute()
    assert response.unwrap() == [{"name": "x"}]


class NameOnlyTuple(NamedTuple):
    name: str


@dataclass
class NameOnlyDataclass:
    name: str


class NameOnlyPydantic(pydantic.BaseModel):
    name: str


class NameOnlyStruct(msgspec.Struct):
    name: str


@attrs.define
class NameOnlyAttrs:
    name: str


NAME_ONLY: dict[Any, Any] = {
    AsDataclass: NameOnlyDataclass,
    AsPydantic: lambda name: NameOnlyPydantic(name=name),
    AsStruct: NameOnlyStruct,
    AsAttrs: NameOnlyAttrs,
}


@pytest.mark.parametrize("model", [AsDataclass, AsNamedTuple, AsPydantic, AsStruct, AsAttrs])
def test_a_row_that_does_not_fit(client: AeroDBClient, model: Any) -> None:
    """What cannot be made is an error that says which row; it is never raised."""
    response = client.from_("users", model).select("id").order("id").execute()
    assert response.data is None
    assert response.error.code == "DECODE_ERROR"
    assert "0" in response.error.message
    assert model.__name__ in response.error.message


def test_a_streamed_row_that_does_not_fit(client: AeroDBClient) -> None:
    query = client.from_("users", AsDataclass).select("id").order("id")
    with query.stream() as rows:
        with pytest.raises(AeroDBAPIError, match="DECODE_ERROR"):
            [row for row in rows]


@dataclass
class Event:
    id: int
    created_at: datetime
    score: Decimal | None
    tags: list[str] | None


class StrictEvent(pydantic.BaseModel):
    id: int
    created_at: datetime
    score: Decimal | None
    tags: list[str] | None


@pytest.mark.parametrize("model", [Event, StrictEvent])
def test_values_inside_a_row(client: AeroDBClient, model: Any) -> None:
    columns = "id, created_at, score, tags"
    query = client.from_("users", model).select(columns).in_("id", [2, 6]).order("id")
    assert (query.execute()).unwrap() == [
        model(
            id=2,
            created_at=datetime(2024, 1, 2, 10, tzinfo=UTC),
            score=Decimal("7.25"),
            tags=["blue"],
        ),
        model(id=6, created_at=datetime(2024, 1, 6, 10, tzinfo=UTC), score=None, tags=None),
    ]


@dataclass
class TeamOf:
    name: str


@dataclass
class Member:
    id: int
    teams: TeamOf | None


def test_embedded_rows(client: AeroDBClient) -> None:
    query = client.from_("users", Member).select("id, teams(name)").in_("id", [1, 4]).order("id")
    assert (query.execute()).unwrap() == [Member(1, TeamOf("Red")), Member(4, None)]


def test_dict_is_the_default(client: AeroDBClient) -> None:
    rows = (client.from_("teams").select("id").eq("id", 1).execute()).unwrap()
    assert type(rows[0]) is dict
    assert type((client.from_("teams", dict).select("id").first()).unwrap()) is dict
