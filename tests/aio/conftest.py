# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""The clients that the tests of one colour talk with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from aerodb.aio import AeroDBClient


@pytest.fixture
async def client(server: Any) -> AsyncIterator[AeroDBClient]:
    """A client with the secret key: row-level security does not hold it back."""
    async with AeroDBClient(server.url, server.service_key) as connected:
        yield connected


@pytest.fixture
async def anon(server: Any) -> AsyncIterator[AeroDBClient]:
    """A client with the publishable key: it is what a web page would be."""
    async with AeroDBClient(server.url, server.anon_key) as connected:
        yield connected
