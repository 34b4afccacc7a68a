"""What the blocking twin cannot upload."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from aerodb import AeroDBClient


def test_an_async_iterator_needs_the_other_client() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b""

    given: Any = pieces()
    with AeroDBClient("http://127.0.0.1:9", "key") as client:
        error = client.storage.from_("b").upload("f.bin", given).error
    assert error is not None
    assert error.code == "INVALID_ARGUMENT"
    assert "AsyncAeroDBClient" in str(error.hint)
