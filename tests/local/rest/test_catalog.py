"""What `load_catalog` reads from a real database."""

from __future__ import annotations

import psycopg
import pytest

from aerodb.local.rest.ast import Name
from aerodb.local.rest.catalog import (
    Catalog,
    Column,
    MediaHandler,
    Parameter,
    Representation,
    ReturnType,
    Routine,
    Table,
)
from aerodb.local.rest.catalog_keys import target_origins
from aerodb.local.rest.catalog_load import load_catalog
from aerodb.local.rest.catalog_routines import parameters_of
from aerodb.local.settings import RestSettings


def api(name: str) -> Name:
    return Name("api", name)


def table(catalog: Catalog, name: str) -> Table:
    return catalog.tables[api(name)]


def routine(catalog: Catalog, name: str) -> Routine:
    (one,) = catalog.routines[api(name)]
    return one


def test_only_exposed_relations_without_partitions(library: Catalog) -> None:
    assert {str(name) for name in library.tables} == {
        "api.authors",
        "api.book_genres",
        "api.book_list",
        "api.books",
        "api.both_ways",
        "api.counted",
        "api.genres",
        "api.instead",
        "api.loans",
        "api.profiles",
        "api.reading_days",
        "api.stored_genres",
    }


@pytest.mark.parametrize(
    ("name", "is_view", "insertable", "updatable", "deletable"),
    [
        ("authors", False, True, True, True),
        ("reading_days", False, True, True, True),
        ("loans", True, True, True, True),
        ("book_list", True, False, False, False),
        ("counted", True, False, False, False),
        ("stored_genres", True, False, False, False),
        ("instead", True, True, False, False),
    ],
)
def test_what_a_relation_can_do(
    library: Catalog,
    name: str,
    is_view: bool,
    insertable: bool,
    updatable: bool,
    deletable: bool,
) -> None:
    found = table(library, name)
    abilities = (found.insertable, found.updatable, found.deletable)
    assert (found.is_view, *abilities) == (is_view, insertable, updatable, deletable)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("authors", ("id",)),
        ("books", ("isbn", "volume")),  # by name
        ("stored_genres", ("id",)),
        ("loans", ("number",)),  # through a view of a hidden schema
        ("book_list", ("volume", "isbn", "a_id")),  # through a CTE and a join
        ("both_ways", ()),  # a union's columns come from nowhere in particular
        ("counted", ()),
    ],
)
def test_primary_keys_also_through_views(library: Catalog, name: str, key: tuple[str, ...]) -> None:
    assert table(library, name).primary_key == key


def test_columns_of_a_table(library: Catalog) -> None:
    assert list(table(library, "authors").columns.values()) == [
        Column("id", "integer", "integer", False, "nextval('api.authors_id_seq')"),
        Column("name", "text", "text", nullable=False, description="Pen name"),
        Column("mood", "api.mood", "api.mood", default="'calm'::api.mood", enum=("calm", "loud")),
        Column("code", "character", "character(3)", max_length=3),
        Column("shown", "text", "text"),  # generated: no default that could be used
    ]


def test_columns_of_domains(library: Catalog) -> None:
    columns = table(library, "books").columns
    zeros = "'0000000000000'::character varying"
    assert columns["isbn"] == Column(
        "isbn", "character varying", "api.isbn", False, zeros, max_length=13
    )
    assert columns["strict"] == Column(
        "strict", "character varying", "api.strict_isbn", False, zeros
    )
    assert columns["feeling"] == Column(
        "feeling", "api.mood_name", "api.mood_name", enum=("calm", "loud")
    )
    assert columns["price"] == Column("price", "numeric", "numeric(10,2)", default="9.5")
    assert list(columns)[:4] == ["isbn", "strict", "volume", "the, {title}"]


def test_descriptions(library: Catalog) -> None:
    assert table(library, "authors").description == "Authors\n\nWho wrote it"
    assert table(library, "books").description is None
    assert routine(library, "add").description == "Adds\n\nTwo numbers"


# --- functions --------------------------------------------------------------------------------


def test_a_function_with_a_default(library: Catalog) -> None:
    found = routine(library, "add")
    assert found.parameters == (
        Parameter("a", "integer", "integer"),
        Parameter("b", "integer", "integer", required=False),
    )
    assert found.returns == ReturnType(Name("pg_catalog", "int4"))
    assert found.volatility == "immutable"


@pytest.mark.parametrize(
    ("name", "returns"),
    [
        ("padded", ReturnType(Name("pg_catalog", "void"))),
        ("listing", ReturnType(Name("pg_catalog", "record"), set_of=True, composite=True)),
        ("outs", ReturnType(Name("pg_catalog", "record"), composite=True)),
        ("best_book", None),  # takes an unnamed row: a computed relationship, not callable
        ("as_domain", ReturnType(api("authors"), composite=True, composite_alias=True)),
        ("careful", ReturnType(Name("pg_catalog", "varchar"), composite_alias=True)),
        ("not_a_function", None),
        ("uncallable", None),
    ],
)
def test_return_types(library: Catalog, name: str, returns: ReturnType | None) -> None:
    found = library.routines.get(api(name))
    assert (found[0].returns if found else None) == returns


def test_void_is_told(library: Catalog) -> None:
    assert routine(library, "padded").returns.void
    assert not routine(library, "add").returns.void


def test_input_parameters_only_and_under_their_own_names(library: Catalog) -> None:
    assert [one.name for one in routine(library, "outs").parameters] == ["y", "z"]
    assert [one.name for one in routine(library, "listing").parameters] == ["n"]


def test_types_that_would_cut_a_value_are_widened(library: Catalog) -> None:
    types = [(one.type, one.type_max_length) for one in routine(library, "padded").parameters]
    assert types == [
        ("character", "character varying"),
        ("bit", "bit varying"),
        ("character varying", "character varying"),
    ]


def test_variadic(library: Catalog) -> None:
    found = routine(library, "every")
    assert found.has_variadic
    assert found.parameters == (Parameter("parts", "text[]", "text[]", True, True),)


def test_settings_of_a_function(library: Catalog) -> None:
    found = routine(library, "careful")
    assert found.isolation_level == "serializable"
    assert dict(found.settings) == {
        "default_transaction_isolation": "SERIALIZABLE",
        "statement_timeout": "5s",
    }
    assert routine(library, "add").isolation_level is None


def test_overloads_with_fewest_parameters_first(library: Catalog) -> None:
    found = [[p.type for p in one.parameters] for one in library.routines[api("same")]]
    assert found == [["integer"], ["text"], ["text", "integer"]]


def test_parameters_without_names_and_modes() -> None:
    assert parameters_of(2, 1, [], None, ["text", "integer"]) == (
        Parameter("", "text", "text"),
        Parameter("", "integer", "integer", required=False),
    )


# --- the rest ---------------------------------------------------------------------------------


def test_media_handlers(library: Catalog) -> None:
    by_target = {(one.target, one.media_type): one for one in library.media_handlers}
    assert by_target[api("genres"), "text/x-list"] == MediaHandler(
        "text/x-list", api("list_of"), api("genres"), False, "text/x-list"
    )
    assert by_target[None, "*/*"] == MediaHandler(
        "*/*", api("any_of"), None, False, "application/octet-stream"
    )
    assert by_target[api("file"), "*/*"] == MediaHandler(
        "*/*", Name("public", "*/*"), api("file"), True, "application/octet-stream"
    )


def test_representations(library: Catalog) -> None:
    assert library.representations == {
        ("api.color", "json"): Representation("api.color", "json", api("color_json"))
    }


def test_timezones_and_version(library: Catalog) -> None:
    assert {"UTC", "America/Los_Angeles"} <= library.timezones
    assert library.server_version >= 140000


async def test_loading_leaves_the_connection_as_it_was(library_url: str) -> None:
    settings = RestSettings(db_schemas=("api", "not_there"), db_timezone_enabled=False)
    async with await psycopg.AsyncConnection.connect(library_url) as connection:
        await connection.execute("set search_path to hidden")
        await connection.commit()
        catalog = await load_catalog(connection, settings)
        answer = await connection.execute(
            "select current_setting('search_path'), current_setting('transaction_read_only')"
        )
        assert await answer.fetchone() == ("hidden", "off")
    assert catalog.timezones == frozenset()
    assert api("books") in catalog.tables


async def test_an_empty_schema_is_an_empty_catalog(library_url: str) -> None:
    settings = RestSettings(db_schemas=("not_there",), db_timezone_enabled=False)
    async with await psycopg.AsyncConnection.connect(library_url) as connection:
        catalog = await load_catalog(connection, settings)
    assert (catalog.tables, catalog.relationships, catalog.routines) == ({}, {}, {})


# --- rewrite rules ----------------------------------------------------------------------------


def test_origins_are_those_of_the_outermost_query() -> None:
    inner = "{TARGETENTRY :expr x :resno 1 :resname a :resorigtbl 7 :resorigcol 7}"
    sublink = f"{{SUBLINK :subselect {{QUERY :targetList ({inner})}}}}"
    rule = (
        f"({{QUERY :rtable ({{RANGETBLENTRY :subquery {{QUERY :targetList ({inner})}}}})"
        " :targetList ("
        "{TARGETENTRY :expr {VAR :varno 1} :resno 1 :resname a :resorigtbl 100 :resorigcol 2}"
        f" {{TARGETENTRY :expr {sublink} :resno 2 :resname b :resorigtbl 0 :resorigcol 0}}"
        r" {TARGETENTRY :expr {VAR} :resno 3 :resname \{:resno\ 9\} :resorigtbl 5 :resorigcol 1}"
        ")})"
    )
    assert list(target_origins(rule)) == [(1, (100, 2)), (3, (5, 1))]
