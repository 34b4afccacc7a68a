"""A PostgreSQL for the tests that make databases of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from aerodb.local import LocalServer


@pytest.fixture(scope="session")
def database_url() -> Iterator[str]:
    """An embedded PostgreSQL, as its owner; one per worker.

    `AERODB_TEST_DATABASE_URL` names another one instead, to test against other versions.
    """
    other = os.environ.get("AERODB_TEST_DATABASE_URL")
    if other:
        yield other
        return
    with LocalServer() as server:
        yield server.database_url
