# GENERATED from tests/aio/conftest.py by scripts/generate.py [8e1c6df6a67c]: do not edit
"""The clients that the tests of one colour talk with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from aerodb.sync import AeroDBClient


@pytest.fixture
def client(server: Any) -> Iterator[AeroDBClient]:
    """A client with the secret key: row-level security does not hold it back."""
    with AeroDBClient(server.url, server.service_key) as connected:
        yield connected


@pytest.fixture
def anon(server: Any) -> Iterator[AeroDBClient]:
    """A client with the publishable key: it is what a web page would be."""
    with AeroDBClient(server.url, server.anon_key) as connected:
        yield connected
