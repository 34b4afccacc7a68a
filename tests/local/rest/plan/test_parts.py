"""The planner's parts without a database: slots, ranges, media types, returned columns."""

from __future__ import annotations

import pytest

from aerodb.local.rest.ast import (
    Action,
    Field,
    Filter,
    Fts,
    In,
    Is,
    IsDistinct,
    Logic,
    Name,
    Op,
    Payload,
    Preferences,
    QueryParams,
    Range,
    Request,
)
from aerodb.local.rest.catalog import Catalog, Column, MediaHandler, Relationship, Table
from aerodb.local.rest.errors import RestError
from aerodb.local.rest.plan import plan_request
from aerodb.local.rest.plan.cache import shape
from aerodb.local.rest.plan.embeds import short_alias
from aerodb.local.rest.plan.mutate import needed_columns
from aerodb.local.rest.plan.negotiate import media_type, negotiate
from aerodb.local.rest.plan.slots import (
    ArgumentList,
    ArgumentsJson,
    ArgumentText,
    FilterValue,
    LimitValue,
    OffsetValue,
    PayloadBytes,
    PayloadText,
    Slot,
    Source,
    begins_as_object,
    bind,
    operations,
    restricted,
)
from aerodb.local.rest.plan.sql_fragments import cast_target, literal
from aerodb.local.rest.plan.tree import ReadNode, ResolvedField, ResolvedOrder, SelectColumn
from aerodb.local.settings import RestSettings

FILMS, PEOPLE = Name("api", "films"), Name("api", "people")
CATALOG = Catalog(
    tables={
        FILMS: Table(
            FILMS,
            {name: Column(name, "integer", "integer") for name in ("id", "director_id", "year")},
            primary_key=("id",),
        ),
        PEOPLE: Table(PEOPLE, {"id": Column("id", "integer", "integer")}, primary_key=("id",)),
    },
    relationships={
        (FILMS, "api"): (Relationship(FILMS, PEOPLE, "m2o", "made_by", (("director_id", "id"),)),),
        (PEOPLE, "api"): (Relationship(PEOPLE, FILMS, "o2m", "made_by", (("id", "director_id"),)),),
    },
    media_handlers=(
        MediaHandler("text/x-films", Name("api", "films_text"), FILMS, False, "text/x-films"),
        MediaHandler("text/csv", Name("api", "any_csv"), None, False, "text/csv"),
        MediaHandler("*/*", Name("api", "people_any"), PEOPLE, False, "application/octet-stream"),
    ),
)


def request(
    action: Action = Action.READ,
    query: QueryParams | None = None,
    *,
    target: Name = FILMS,
    payload: Payload | None = None,
    columns: frozenset[str] = frozenset(),
    accept: tuple[str, ...] = ("*/*",),
    top: Range | None = None,
    preferences: Preferences | None = None,
) -> Request:
    return Request(
        action=action,
        target=target,
        headers_only=False,
        method="",
        path="",
        query=query or QueryParams(),
        preferences=preferences or Preferences(),
        accept=accept,
        content_type="application/json",
        schema=target.schema,
        negotiated_by_profile=False,
        top_range=top or Range(),
        headers=(),
        payload=payload,
        payload_columns=columns,
    )


# --- slots ------------------------------------------------------------------------------------


def eq(name: str, value: str) -> Filter:
    return Filter(Field(name), Op("eq", value))


QUERY = QueryParams(
    filters_root=(eq("a", "root 1"), eq("b", "root 2")),
    filters_not_root=((("e",), eq("c", "below 1")),),
    logic=(
        ((), Logic("or", (eq("d", "leaf 1"), Logic("and", (eq("e", "leaf 2"),))))),
        (("e",), Logic("and", (eq("f", "leaf 3"),), negated=True)),
    ),
)


def test_every_filter_has_its_slot() -> None:
    found = [one.value for one in operations(QUERY) if isinstance(one, Op)]
    assert found == ["root 1", "root 2", "below 1", "leaf 1", "leaf 2", "leaf 3"]
    assert FilterValue(4).value(Source(request(query=QUERY))) == "leaf 2"


@pytest.mark.parametrize(
    ("operation", "value"),
    [
        (Op("eq", "a*b"), "a*b"),
        (Op("like", "a*b"), "a%b"),
        (Op("ilike", "*", "any"), "%"),
        (IsDistinct("x"), "x"),
        (Fts("fts", "english", "x & y"), "x & y"),
        (In(("a", 'b"c\\d', "")), '{"a","b\\"c\\\\d",""}'),
        (In(()), "{}"),
    ],
)
def test_value_of_an_operation(operation: Op, value: str) -> None:
    query = QueryParams(filters_root=(Filter(Field("a"), operation),))
    assert FilterValue(0).value(Source(request(query=query))) == value


def test_is_has_no_value() -> None:
    query = QueryParams(filters_root=(Filter(Field("a"), Is("null")),))
    with pytest.raises(ValueError, match="no value"):
        FilterValue(0).value(Source(request(query=query)))


@pytest.mark.parametrize(
    ("bounds", "max_rows", "expected"),
    [
        (Range(), None, Range()),
        (Range(), 10, Range(0, 10)),
        (Range(5), 10, Range(5, 10)),
        (Range(5, 3), 10, Range(5, 3)),
        (Range(5, 30), 10, Range(5, 10)),
        (Range(5, 0), 10, Range(0, 0)),
        (Range(5, 0), None, Range(0, 0)),
    ],
)
def test_restricted_range(bounds: Range, max_rows: int | None, expected: Range) -> None:
    assert restricted(bounds, max_rows) == expected
    source = Source(request(query=QueryParams(ranges={("e",): bounds}), top=bounds))
    for path in ((), ("e",)):
        limit = None if expected.limit is None else str(expected.limit)
        assert LimitValue(path, max_rows).value(source) == limit
        assert OffsetValue(path).value(source) == str(expected.offset)


def test_arguments() -> None:
    pairs = (("a", "1"), ("v", "x"), ("a", "2"), ("v", "y"))
    slots: tuple[Slot, ...] = (ArgumentText("a"), ArgumentList("v"), ArgumentsJson())
    expected = ("2", ["x", "y"], '{"a": "2", "v": "y"}')
    by_query = request(Action.CALL_READ, QueryParams(params=pairs))
    assert bind(slots, Source(by_query)) == expected
    by_form = request(Action.CALL, payload=Payload("urlencoded", pairs=pairs))
    assert bind(slots, Source(by_form)) == expected


def test_payload() -> None:
    slots: tuple[Slot, ...] = (PayloadText(), PayloadBytes())
    assert bind(slots, Source(request())) == (None, None)
    sent = request(payload=Payload("raw", "é".encode()))
    assert bind(slots, Source(sent)) == ("é", "é".encode())


@pytest.mark.parametrize(
    ("raw", "expected"),
    [(b' \r\n\t{"a":1}', True), (b"[{}]", False), (b"", False), (b"\x0b{}", False)],
)
def test_objects_begin_with_a_brace(raw: bytes, expected: bool) -> None:
    assert begins_as_object(Payload("json", raw)) is expected


# --- names ------------------------------------------------------------------------------------


def test_short_aliases_stay_apart() -> None:
    assert short_alias("films_1") == "films_1"
    long = [short_alias("x" * 70 + str(n)) for n in range(3)]
    assert len(set(long)) == 3
    assert all(len(one.encode()) <= 63 for one in long)
    assert len(short_alias("é" * 40).encode()) <= 63


@pytest.mark.parametrize(
    ("cast", "text"),
    [("int", "int"), ("double precision", "double precision"), ("a$b", '"a$b"'), ("ñ", "ñ")],
)
def test_cast(cast: str, text: str) -> None:
    assert cast_target(cast).text == text


@pytest.mark.parametrize("cast", ["", "int)", "int; drop table x", "numeric(1)", 'a"b', "a\0b"])
def test_cast_is_a_plain_name(cast: str) -> None:
    with pytest.raises(RestError) as caught:
        cast_target(cast)
    assert caught.value.code == "42704"


def test_literals() -> None:
    assert literal("it's 5%").text == "'it''s 5%%'"
    assert literal("back\\slash").text == "E'back\\\\slash'"


# --- returned columns -------------------------------------------------------------------------


def node(*names: str, order: str | None = None) -> ReadNode:
    made = ReadNode("films", FILMS, 0)
    made.select = [SelectColumn(ResolvedField(name)) for name in names]
    made.order = [ResolvedOrder(ResolvedField(order))] if order else []
    return made


def test_needed_columns() -> None:
    assert needed_columns(node("year"), ("id",)) == ("id", "year")
    assert needed_columns(node("year", "*"), ("id",)) == ("*",)
    assert needed_columns(node(order="year"), ()) == ("year",)
    tree = node("year")
    child = ReadNode("people", PEOPLE, 1)
    child.relationship = CATALOG.relationships[FILMS, "api"][0]
    tree.children = [child]
    assert needed_columns(tree, ()) == ("director_id", "year")


# --- media types ------------------------------------------------------------------------------

NEGOTIATED: list[tuple[Name, tuple[str, ...], bool, tuple[str, str | None, str]]] = [
    (FILMS, ("*/*",), True, ("json", None, "application/json")),
    (FILMS, ("image/png", "application/json"), True, ("json", None, "application/json")),
    (FILMS, ("text/x-films",), True, ("custom", "films_text", "text/x-films")),
    (FILMS, ("text/csv",), False, ("custom", "any_csv", "text/csv")),
    (PEOPLE, ("image/png",), True, ("custom", "people_any", "application/octet-stream")),
    (PEOPLE, ("image/png", "*/*"), False, ("json", None, "application/json")),
    (FILMS, ("application/geo+json",), True, ("geojson", None, "application/geo+json")),
    (FILMS, ("application/vnd.pgrst.object+json",), True,
     ("object", None, "application/vnd.pgrst.object+json")),
]  # fmt: skip


@pytest.mark.parametrize(("target", "accept", "whole_rows", "expected"), NEGOTIATED)
def test_negotiation(
    target: Name, accept: tuple[str, ...], whole_rows: bool, expected: tuple[str, str | None, str]
) -> None:
    asked = request(target=target, accept=accept)
    found = negotiate(asked, target, CATALOG, RestSettings(), whole_rows)
    function = found.renderer.function.name if found.renderer.function else None
    assert (found.renderer.kind, function, found.media.name) == expected


@pytest.mark.parametrize("accept", [(), ("text/x-films",), ("application/vnd.pgrst.plan+text",)])
def test_nothing_to_negotiate(accept: tuple[str, ...]) -> None:
    with pytest.raises(RestError) as caught:
        negotiate(request(accept=accept), FILMS, CATALOG, RestSettings(), whole_rows=False)
    names = ", ".join(accept)
    assert caught.value.message == f"None of these media types are available: {names}"


def test_plan_media_type() -> None:
    text = 'application/vnd.pgrst.plan+json; for="text/csv"; options=analyze|wal'
    found = media_type(text)
    assert (found.kind, found.plan_format, found.plan_options) == (
        "plan", "json", ("analyze", "wal"),
    )  # fmt: skip
    assert found.subject == media_type("text/csv")


# --- statements -------------------------------------------------------------------------------


def test_parameters_stand_in_the_order_of_the_text() -> None:
    query = QueryParams(
        filters_root=(eq("year", "7"),),
        logic=(((), Logic("or", (eq("id", "8"), eq("id", "9")))),),
    )
    statement = plan_request(request(query=query, top=Range(2, 5)), CATALOG, RestSettings())
    assert statement.params == ("7", "8", "9", "5", "2")
    assert statement.sql.count("%s") == 5


def test_shape_leaves_values_out_and_nothing_else() -> None:
    def shaped(name: str, value: str, **more: Range) -> object:
        return shape(request(query=QueryParams(filters_root=(eq(name, value),)), **more))

    assert shaped("id", "1") == shaped("id", "2")
    assert shaped("id", "1") != shaped("year", "1")
    assert shaped("id", "1") != shaped("id", "1", top=Range(0, 1))
    assert shaped("id", "1", top=Range(0, 2)) == shaped("id", "1", top=Range(3, 1))
    assert shaped("id", "1", top=Range(1)) != shaped("id", "1", top=Range(0, 1))
