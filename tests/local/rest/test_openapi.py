"""The OpenAPI description of a schema."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from openapi_spec_validator import OpenAPIV2SpecValidator
from psycopg import sql

from aerodb.local.rest.ast import Name
from aerodb.local.rest.catalog import Catalog, Column, Parameter, ReturnType, Routine
from aerodb.local.rest.openapi import (
    OpenApiParts,
    ServerAddress,
    openapi_document,
    split_comment,
)
from aerodb.local.rest.openapi_load import load_openapi_parts
from aerodb.local.rest.openapi_parts import any_type, default_value
from aerodb.local.settings import RestSettings

EVERYTHING = RestSettings(db_schemas=("api",), openapi_mode="ignore-privileges")
SERVER = ServerAddress("http", "localhost", 3000, "/rest/v1")


def describe(parts: OpenApiParts, catalog: Catalog, **options: Any) -> dict[str, Any]:
    return openapi_document(parts, catalog, version="14.0", server=SERVER, **options)


@pytest.fixture(name="connection")
async def _connection(library_url: str) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    async with await psycopg.AsyncConnection.connect(library_url) as connection:
        yield connection


@pytest.fixture(name="document")
async def _document(connection: psycopg.AsyncConnection[Any], library: Catalog) -> dict[str, Any]:
    return describe(await load_openapi_parts(connection, library, "api", EVERYTHING), library)


def test_the_document_is_valid_openapi_2(document: dict[str, Any]) -> None:
    assert [str(error) for error in OpenAPIV2SpecValidator(document).iter_errors()] == []


def test_info_comes_from_the_schemas_comment(document: dict[str, Any]) -> None:
    assert document["info"] == {
        "title": "Library",
        "description": "Books and their readers",
        "version": "14.0",
    }
    assert (document["host"], document["basePath"]) == ("localhost:3000", "/rest/v1")
    assert document["schemes"] == ["http"]


def test_a_table_has_a_path_with_shared_parameters(document: dict[str, Any]) -> None:
    path = document["paths"]["/authors"]
    assert list(path) == ["get", "post", "patch", "delete"]
    assert path["get"]["summary"] == "Authors"
    assert path["get"]["description"] == "Who wrote it"
    assert path["get"]["tags"] == ["authors"]
    names = [one["$ref"].removeprefix("#/parameters/") for one in path["get"]["parameters"]]
    assert names[0] == "rowFilter.authors.id"
    assert names[5:] == [
        "select",
        "order",
        "range",
        "rangeUnit",
        "offset",
        "limit",
        "preferCount",
    ]
    assert path["get"]["responses"] == {
        "200": {
            "description": "OK",
            "schema": {"type": "array", "items": {"$ref": "#/definitions/authors"}},
        },
        "206": {"description": "Partial Content"},
    }
    assert path["post"]["parameters"] == [
        {"$ref": "#/parameters/body.authors"},
        {"$ref": "#/parameters/select"},
        {"$ref": "#/parameters/preferPost"},
    ]
    assert path["delete"]["responses"] == {"204": {"description": "No Content"}}


def test_what_cannot_be_written_can_only_be_read(document: dict[str, Any]) -> None:
    assert list(document["paths"]["/counted"]) == ["get"]
    assert "post" in document["paths"]["/instead"]


def test_a_definition_tells_keys_and_defaults(document: dict[str, Any]) -> None:
    books = document["definitions"]["books"]
    assert books["type"] == "object"
    assert books["required"] == ["isbn", "strict", "volume"]
    assert books["properties"]["volume"] == {
        "type": "integer",
        "format": "int32",
        "description": "Note:\nThis is a Primary Key.<pk/>",
    }
    assert books["properties"]["author_id"] == {
        "type": "integer",
        "format": "int32",
        "description": "Note:\nThis is a Foreign Key to `authors.id`."
        "<fk table='authors' column='id'/>",
    }
    assert books["properties"]["price"] == {"type": "number", "format": "numeric", "default": 9.5}
    assert books["properties"]["tags"] == {
        "type": "array",
        "format": "text[]",
        "items": {"type": "string"},
    }
    assert books["properties"]["isbn"]["maxLength"] == 13
    assert books["properties"]["meta"] == {"format": "jsonb"}
    assert document["definitions"]["authors"]["properties"]["mood"] == {
        "type": "string",
        "format": "api.mood",
        "enum": ["calm", "loud"],
        "default": "calm",
    }
    assert document["definitions"]["authors"]["properties"]["name"]["description"] == "Pen name"
    assert "required" not in document["definitions"]["counted"]


def test_one_to_one_keys_are_told_on_the_side_that_has_them(document: dict[str, Any]) -> None:
    profile = document["definitions"]["profiles"]["properties"]["author_id"]["description"]
    assert profile == (
        "Note:\nThis is a Primary Key.<pk/>\n"
        "This is a Foreign Key to `authors.id`.<fk table='authors' column='id'/>"
    )
    author = document["definitions"]["authors"]["properties"]["id"]["description"]
    assert author == "Note:\nThis is a Primary Key.<pk/>"


def test_functions_by_volatility(document: dict[str, Any]) -> None:
    immutable, volatile = document["paths"]["/rpc/add"], document["paths"]["/rpc/padded"]
    assert (list(immutable), list(volatile)) == (["get", "post"], ["post"])
    assert immutable["get"]["parameters"] == [
        {"name": "a", "in": "query", "required": True, "type": "integer", "format": "int32"},
        {"name": "b", "in": "query", "required": False, "type": "integer", "format": "int32"},
    ]
    assert immutable["post"]["parameters"] == [
        {
            "name": "args",
            "in": "body",
            "required": True,
            "schema": {
                "type": "object",
                "description": "Adds\n\nTwo numbers",
                "required": ["a"],
                "properties": {
                    "a": {"type": "integer", "format": "int32"},
                    "b": {"type": "integer", "format": "int32"},
                },
            },
        },
        {"$ref": "#/parameters/preferParams"},
    ]
    assert immutable["get"]["tags"] == ["(rpc) add"]
    assert (immutable["get"]["summary"], immutable["get"]["description"]) == (
        "Adds",
        "Two numbers",
    )


def test_variadic_parameters_may_be_repeated(document: dict[str, Any]) -> None:
    assert document["paths"]["/rpc/every"]["get"]["parameters"] == [
        {
            "name": "parts",
            "in": "query",
            "required": True,
            "type": "array",
            "items": {"type": "string", "format": "text"},
            "collectionFormat": "multi",
        }
    ]


async def test_only_what_the_role_may_use(
    connection: psycopg.AsyncConnection[Any], library: Catalog
) -> None:
    role = sql.Identifier(f"reader_{uuid.uuid4().hex[:12]}")
    settings = replace(EVERYTHING, openapi_mode="follow-privileges")
    for statement in (
        "create role {}",
        "grant usage on schema api to {}",
        "grant select (id) on api.authors to {}",
        "grant insert on api.genres to {}",
        "revoke execute on all functions in schema api from public",
        "grant execute on function api.add to {}",
        "set local role {}",
    ):
        await connection.execute(sql.SQL(statement).format(role))  # type: ignore[arg-type]
    parts = await load_openapi_parts(connection, library, "api", settings)
    await connection.rollback()  # takes the role and its grants along
    assert [one.name.name for one in parts.tables] == ["authors", "genres"]
    assert [one.name.name for one in parts.routines] == ["add"]
    assert parts.schema_description == "Library\n\nBooks and their readers"


def test_without_a_comment_and_without_anything() -> None:
    document = describe(OpenApiParts((), ()), Catalog())
    assert document["info"]["title"] == "PostgREST API"
    assert document["info"]["description"] == "This is a dynamic API generated by PostgREST"
    assert list(document["paths"]) == ["/"]
    assert "definitions" not in document
    assert "security" not in document
    assert [str(error) for error in OpenAPIV2SpecValidator(document).iter_errors()] == []


def test_security_when_active() -> None:
    document = describe(OpenApiParts((), ()), Catalog(), security_active=True)
    assert document["security"] == [{"JWT": []}]
    assert document["securityDefinitions"]["JWT"] == {
        "type": "apiKey",
        "name": "Authorization",
        "in": "header",
        "description": 'Add the token prepending "Bearer " (without quotes) to it',
    }


def test_arrays_in_a_query_are_strings_and_json_may_be_anything() -> None:
    inputs = (Parameter("a", "integer[]", ""), Parameter("b", "json", "", required=False))
    routine = Routine(Name("api", "f"), inputs, ReturnType(Name("", "int4")), "stable")
    path = describe(OpenApiParts((), (routine,)), Catalog())["paths"]["/rpc/f"]
    assert [one["type"] for one in path["get"]["parameters"]] == ["string", "string"]
    properties = path["post"]["parameters"][0]["schema"]["properties"]
    assert properties == {
        "a": {"type": "array", "format": "integer[]", "items": {"type": "integer"}},
        "b": {"format": "json"},
    }


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("text", {"type": "string", "format": "text"}),
        ("bigint", {"type": "integer", "format": "int64"}),
        ("double precision", {"type": "number", "format": "double precision"}),
        ("boolean", {"type": "boolean", "format": "boolean"}),
        ("jsonb[]", {"type": "array", "format": "jsonb[]", "items": {}}),
        ("api.mood", {"type": "string", "format": "api.mood"}),
    ],
)
def test_types(kind: str, expected: dict[str, Any]) -> None:
    assert any_type(kind) == expected


@pytest.mark.parametrize(
    ("kind", "default", "expected"),
    [
        ("text", "'default'::text", "default"),
        ("text", "'it''s \"x\"'::text", None),  # quotes make it no JSON string
        ("text", "now()", "now()"),
        ("date", "'1900-01-01'::date", "1900-01-01"),
        ("boolean", "false", False),
        ("integer", "42", 42),
        ("integer", "nextval('s'::regclass)", None),
        ("numeric", "42.2", 42.2),
        ("double precision", "1e400", None),
        ("double precision", "NaN", None),
        ("jsonb", "'{}'::jsonb", None),
        ("text", None, None),
    ],
)
def test_defaults(kind: str, default: str | None, expected: object) -> None:
    assert default_value(Column("c", kind, kind, default=default)) == expected


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        (None, (None, None)),
        ("One line", ("One line", "")),
        ("First\n\nsecond\nthird", ("First", "second\nthird")),
    ],
)
def test_comments(comment: str | None, expected: tuple[str | None, str | None]) -> None:
    assert split_comment(comment) == expected


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("https://api.example.com/v1", ServerAddress("https", "api.example.com", 443, "/v1")),
        ("http://api.example.com", ServerAddress("http", "api.example.com", 80, "/")),
        ("https://example.com:8443/", ServerAddress("https", "example.com", 8443, "/")),
    ],
)
def test_proxies(uri: str, expected: ServerAddress) -> None:
    assert ServerAddress.of_proxy(uri) == expected


def test_addresses_of_every_interface_are_shown_as_one() -> None:
    server = ServerAddress("http", "*", 80)
    document = openapi_document(OpenApiParts((), ()), Catalog(), version="14.0", server=server)
    assert document["host"] == "0.0.0.0:80"
