"""What is connected when an instance stops: each is closed, and nobody waits for those."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import time
import warnings

import pytest

from aerodb.local import LocalServer, serving
from aerodb.local.protocol import BoundedProtocol
from aerodb.local.storage.service import StorageService


@pytest.mark.parametrize("turns", range(5))
def test_who_comes_while_it_stops_is_closed_at_once(
    monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    """asyncio accepts many in one turn, and introduces each in a later one."""
    late: list[socket.socket] = []

    async def main_loop(self: serving._ReadyServer) -> None:
        while not self.should_exit:  # noqa: ASYNC110  # as uvicorn's own does
            await asyncio.sleep(0.01)
        address = self.servers[0].sockets[0].getsockname()
        late.extend(socket.create_connection(address, timeout=30) for _ in range(50))
        for _ in range(turns):
            await asyncio.sleep(0)

    monkeypatch.setattr(serving._ReadyServer, "main_loop", main_loop)
    monkeypatch.setattr(serving, "_GRACE_SECONDS", 60)
    monkeypatch.setattr(serving, "STOP_SECONDS", 120)
    monkeypatch.setattr(BoundedProtocol, "head_seconds", 120)
    server = LocalServer().start()
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        before = time.monotonic()
        server.close()
        assert time.monotonic() - before < 60, "it waited for them"
        gc.collect()  # a socket that nobody closed fails the test
    assert len(late) == 50
    for one in late:
        with one, contextlib.suppress(ConnectionResetError):  # it was never accepted
            assert one.recv(1) == b""


def test_who_outlasts_the_grace_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """One who sends a request and goes on sending it, so that it is never answered."""
    monkeypatch.setattr(serving, "_GRACE_SECONDS", 0.2)
    monkeypatch.setattr(BoundedProtocol, "body_seconds", 120)
    server = LocalServer().start()
    host, port = server.url.removeprefix("http://").split(":")
    head = f"POST /rest/v1/rpc/f HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 9\r\n\r\n1"
    with socket.create_connection((host, int(port)), timeout=30) as slow:
        slow.sendall(head.encode())
        time.sleep(0.2)
        with warnings.catch_warnings():
            warnings.simplefilter("error", ResourceWarning)
            server.close()
            gc.collect()
        while slow.recv(1000):
            pass


def test_what_goes_wrong_at_the_end_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def stop(self: StorageService) -> None:
        raise RuntimeError("it cannot stop")

    monkeypatch.setattr(StorageService, "stop", stop)
    with LocalServer() as server:
        pass
    (record,) = [one for one in caplog.records if one.levelname == "ERROR"]
    assert record.name == "aerodb.local"
    assert "it cannot stop" in (record.exc_text or "")
    assert not server.alive
