# GENERATED from tests/aio/test_storage_closing.py by scripts/generate.py [ccb33c72509e]: do not edit
"""Download streams that are closed while somebody reads them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from aerodb import AeroDBAPIError, ClientOptions
from aerodb._io.on_threads import Worker, monotonic, pause
from aerodb.sync import AeroDBClient
from tests.support.scripted import ScriptedServer, hold, send

SOON = 20.0
OBJECT = "/storage/v1/object/b/f.txt"
PLAIN = b'HTTP/1.1 200 OK\r\nETag: "v1"\r\n'
CHUNKED = PLAIN + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
LONG = PLAIN + b"Content-Length: 1000000\r\n\r\nhello"


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.mark.parametrize("answer", [CHUNKED, LONG], ids=["chunked", "long"])
def test_who_reads_is_told_and_nothing_is_asked_for_again(
    scripted: ScriptedServer, answer: bytes
) -> None:
    over = threading.Event()
    scripted.on(OBJECT, [send(answer), hold(over)])
    options = ClientOptions(trust_env=False)
    found: list[object] = []
    url = f"http://127.0.0.1:{scripted.port}"
    with (
        AeroDBClient(url, "aero_pk_x", options=options) as client,
        client.storage.from_("b").download_stream("f.txt") as stream,
    ):

        def read() -> None:
            try:
                for piece in stream:
                    found.append(piece)
            except AeroDBAPIError as failure:
                found.append(failure.error.code)

        worker = Worker(read, "reader")
        limit = monotonic() + SOON
        while not found:
            assert monotonic() < limit
            pause(0.001)
        pause(0.1)
        stream.close()
        try:
            assert worker.join(SOON)
        finally:
            over.set()
    assert found == [b"hello", "NETWORK_ERROR"]
    assert len(scripted.seen) == 1
