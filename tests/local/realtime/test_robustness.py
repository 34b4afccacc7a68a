"""What no subscriber, no schema and no frame may do to the feed (reliability C6, C8)."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import psycopg
import pytest

from aerodb.local import LocalServer
from aerodb.local.protocol import BoundedProtocol

from .conftest import bound, call, settle, socket_to

Owner = psycopg.Connection[Any]


async def test_a_socket_outlives_the_time_that_a_body_may_take(
    rt_server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundedProtocol, "body_seconds", 0.2)
    async with socket_to(rt_server) as quiet, socket_to(rt_server) as busy:
        for _ in range(10):
            await busy.nothing_more()
            await asyncio.sleep(0.1)
        await quiet.nothing_more()
