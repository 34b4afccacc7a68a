"""The pytest plugin: an AeroDB for every test, with nothing in it but the schema.

    def test_my_notes(aerodb_user):
        alice, bob = aerodb_user("alice"), aerodb_user("bob")
        alice.from_("notes").insert({"body": "mine"}).execute().unwrap()
        assert bob.from_("notes").count().unwrap() == 0

One PostgreSQL serves a whole run, all workers of pytest-xdist included; each test has a database of
its own, copied from a template. The schema comes from the ini options `aerodb_schema` (files) and
`aerodb_migrations` (a folder), or from overriding the fixture `aerodb_settings`.

pytest loads this file in every project that has aerodb installed, so it imports nothing but pytest.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from aerodb import AeroDBClient, AsyncAeroDBClient
    from aerodb.local import LocalServer
    from aerodb.local.clones import Template
    from aerodb.testing.sharing import Templates

PASSWORD = "correct horse battery staple"  # noqa: S105 - of people who live as long as a test

F = TypeVar("F", bound=Callable[..., Any])


def _async_fixture(function: F) -> F:
    """pytest-asyncio wants fixtures marked as its own; anyio's plugin takes plain ones."""
    if find_spec("pytest_asyncio") is None:
        return pytest.fixture(function)  # type: ignore[return-value]
    return import_module("pytest_asyncio").fixture(function)  # type: ignore[no-any-return]


def pytest_addoption(parser: pytest.Parser) -> None:
    """The ini options; paths are relative to the file that they stand in."""
    parser.addini("aerodb_schema", "SQL files for the AeroDB of the tests", "paths", default=[])
    parser.addini("aerodb_migrations", "folder of *.sql for the AeroDB of the tests", default="")


@pytest.fixture(scope="session")
def aerodb_settings(pytestconfig: pytest.Config) -> dict[str, Any]:
    """Arguments of `LocalServer` for every AeroDB of the run; override it for more of them."""
    found: dict[str, Any] = {"schema": [str(path) for path in pytestconfig.getini("aerodb_schema")]}
    migrations = pytestconfig.getini("aerodb_migrations")
    if migrations:
        found["migrations"] = str(pytestconfig.rootpath / migrations)
    return found


@pytest.fixture(scope="session")
def _aerodb_templates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Templates]:
    """Those of the run: one, unless a module of tests has settings of its own."""
    with _of_the_extra()(tmp_path_factory.getbasetemp()) as templates:
        yield templates


def _of_the_extra() -> type[Templates]:
    """The class, or a failure that names the extra."""
    from aerodb.local.extra import missing_text

    try:
        from aerodb.testing.sharing import Templates
    except ModuleNotFoundError as problem:
        text = missing_text(problem)
        if text is None:
            raise
    else:
        return Templates
    pytest.fail(text, pytrace=False)


@pytest.fixture
def aerodb_template(_aerodb_templates: Templates, aerodb_settings: dict[str, Any]) -> Template:
    """The database that each test gets a copy of, in the PostgreSQL of the run."""
    try:
        return _aerodb_templates.get(aerodb_settings)
    except RuntimeError as problem:
        text = str(problem)
    pytest.fail(text, pytrace=False)


@pytest.fixture
def aerodb_server(
    aerodb_template: Template, aerodb_settings: dict[str, Any]
) -> Iterator[LocalServer]:
    """An AeroDB of this test's own: `url`, `anon_key`, `service_key`, `execute_sql(...)`."""
    from aerodb.local.clones import ClonedServer
    from aerodb.testing.sharing import of_the_server

    with ClonedServer(aerodb_template, **of_the_server(aerodb_settings)) as server:
        yield server


@pytest.fixture
def aerodb(aerodb_server: LocalServer) -> Iterator[AeroDBClient]:
    """A blocking client with the publishable key, signed in as nobody."""
    from aerodb import AeroDBClient

    with AeroDBClient(aerodb_server.url, aerodb_server.anon_key) as client:
        yield client


@pytest.fixture
def aerodb_service(aerodb_server: LocalServer) -> Iterator[AeroDBClient]:
    """A blocking client with the secret key: row-level security does not hold it back."""
    from aerodb import AeroDBClient

    with AeroDBClient(aerodb_server.url, aerodb_server.service_key) as client:
        yield client


@_async_fixture
async def async_aerodb(aerodb_server: LocalServer) -> AsyncIterator[AsyncAeroDBClient]:
    """An async client with the publishable key, for tests run by pytest-asyncio or anyio."""
    from aerodb import AsyncAeroDBClient

    async with AsyncAeroDBClient(aerodb_server.url, aerodb_server.anon_key) as client:
        yield client


@pytest.fixture
def aerodb_user(aerodb_server: LocalServer) -> Iterator[Callable[[str], AeroDBClient]]:
    """`aerodb_user("alice")`: a blocking client signed in as alice@example.com, made when first
    asked for. The same name gives the same client."""
    from aerodb import AeroDBClient

    made: dict[str, AeroDBClient] = {}

    def user(name: str) -> AeroDBClient:
        if name not in made:
            client = made[name] = AeroDBClient(aerodb_server.url, aerodb_server.anon_key)
            client.auth.sign_up(f"{name}@example.com", PASSWORD).unwrap()
        return made[name]

    yield user
    for client in made.values():
        client.close()
