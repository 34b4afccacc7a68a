"""What only the blocking client has to say about functions."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aerodb import AeroDBClient
from tests.support.scripted import ScriptedServer


async def pieces() -> AsyncIterator[bytes]:
    yield b"x"


def test_an_async_iterable_is_refused_in_words() -> None:
    with ScriptedServer() as server, AeroDBClient(f"http://127.0.0.1:{server.port}") as client:
        error = client.functions.invoke("f", pieces()).error
        assert error is not None
        assert error.code == "INVALID_ARGUMENT"
        assert "async iterator" in error.message
        assert server.seen == []
