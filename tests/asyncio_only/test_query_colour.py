"""What an async query says to who treats it as its own rows."""

from __future__ import annotations

from typing import Any

import pytest

from aerodb.aio import AeroDBClient


async def test_async_for_over_a_query_names_iterate() -> None:
    async with AeroDBClient("http://127.0.0.1:9") as client:
        query: Any = client.from_("notes").select()
        with pytest.raises(TypeError, match=r"query\.iterate\(\)"):
            async for _row in query:
                pass
