# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""HTTPS: whom the client trusts, and what it says when it does not."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from aerodb._core.http import Origin, Request, TransportError
from aerodb._core.http_settings import HttpSettings
from aerodb._io.on_asyncio import HttpClient, Worker, monotonic, pause
from tests.support.scripted import ScriptedServer, answer, close, head, send, wait


@dataclass
class Authority:
    """A certificate authority of the test's own, and a server that it vouches for."""

    file: str
    context: ssl.SSLContext
    server: ScriptedServer

    @property
    def origin(self) -> Origin:
        return Origin("https", "localhost", self.server.port)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    ca = trustme.CA()
    file: Path = tmp_path_factory.mktemp("tls") / "ca.pem"
    ca.cert_pem.write_to_path(str(file))
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ca.configure_trust(ours)
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(theirs)
    with ScriptedServer(tls=theirs) as server:
        yield Authority(str(file), ours, server)


def get(origin: Origin, target: str = "/") -> Request:
    return Request("GET", origin, target, [], None)


@pytest.mark.parametrize("by", ["file", "context", "environment", "not at all"])
async def test_a_trusted_server_answers(
    authority: Authority, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if by == "environment":
        monkeypatch.setenv("SSL_CERT_FILE", authority.file)
    settings = {
        "file": HttpSettings(verify=authority.file),
        "context": HttpSettings(verify=authority.context),
        "environment": HttpSettings(),
        "not at all": HttpSettings(verify=False),
    }[by]
    http = HttpClient(settings)
    before = authority.server.connections
    for number in range(3):
        response = await http.send(get(authority.origin, f"/{number}"), monotonic() + 20)
        assert response.body == f"/{number}\n".encode()
    assert authority.server.connections == before + 1
    await http.close()


async def test_a_body_of_several_records_arrives(authority: Authority) -> None:
    http = HttpClient(HttpSettings(verify=authority.context))
    body = bytes(range(256)) * 4000
    request = Request("POST", authority.origin, "/p", [], body)
    assert (await http.send(request, monotonic() + 20)).body == b"/p\n" + body
    await http.close()


class Blocks:
    """A body that is read while it is sent."""

    replayable = True
    begun = False
    handed = 0

    def __init__(self, *blocks: bytes | memoryview) -> None:
        self.blocks = blocks
        self.length = sum(map(len, blocks))

    async def chunks(self) -> AsyncIterator[bytes | memoryview]:
        for block in self.blocks:
            yield block


async def test_blocks_of_a_file_arrive(authority: Authority) -> None:
    http = HttpClient(HttpSettings(verify=authority.context))
    blocks = [bytes([number]) * 262_144 for number in range(20)]
    body = Blocks(b"small", *blocks, memoryview(b"view" * 100_000))
    request = Request("POST", authority.origin, "/p", [], body)
    for _ in range(2):
        response = await http.send(request, monotonic() + 20)
        assert response.body == b"/p\n" + b"".join(body.blocks)
    await http.close()


@pytest.mark.parametrize("trust_env", [True, False])
async def test_an_unknown_authority_is_refused_before_anything_is_sent(
    authority: Authority, trust_env: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not trust_env:
        monkeypatch.setenv("SSL_CERT_FILE", authority.file)
    http = HttpClient(HttpSettings(trust_env=trust_env))
    before = len(authority.server.seen)
    with pytest.raises(TransportError) as caught:
        await http.send(get(authority.origin), monotonic() + 20)
    assert (caught.value.kind, caught.value.sent) == ("connect", False)
    assert "certificate of localhost is not trusted" in caught.value.message
    assert len(authority.server.seen) == before
    await http.close()


async def test_a_certificate_for_another_name_is_refused(authority: Authority) -> None:
    http = HttpClient(HttpSettings(verify=authority.context))
    elsewhere = Origin("https", "127.0.0.1", authority.server.port)
    with pytest.raises(TransportError) as caught:
        await http.send(get(elsewhere), monotonic() + 20)
    assert (caught.value.kind, caught.value.sent) == ("connect", False)
    await http.close()


async def test_a_server_that_speaks_something_else_is_refused() -> None:
    http = HttpClient(HttpSettings(verify=False))
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def speak() -> None:
            peer, _ = listener.accept()
            peer.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")
            peer.recv(65536)
            peer.close()

        thread = threading.Thread(target=speak)
        thread.start()
        with pytest.raises(TransportError) as caught:
            origin = Origin("https", "127.0.0.1", listener.getsockname()[1])
            await http.send(get(origin), monotonic() + 20)
        thread.join()
    assert (caught.value.kind, caught.value.sent) == ("connect", False)
    await http.close()


async def test_a_ca_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    http = HttpClient(HttpSettings(verify=str(tmp_path / "none.pem")))
    with pytest.raises(TransportError) as caught:
        await http.send(get(Origin("https", "localhost", 1)), monotonic() + 20)
    assert (caught.value.kind, caught.value.sent) == ("connect", False)
    assert "CA certificates cannot be loaded" in caught.value.message
    await http.close()


async def test_the_peer_closing_an_idle_connection_is_noticed(authority: Authority) -> None:
    http = HttpClient(HttpSettings(verify=authority.context))
    for _ in range(3):
        assert (await http.send(get(authority.origin), monotonic() + 20)).status == 200
        authority.server.hang_up()
        await pause(0.1)
    await http.close()


async def test_truncation_is_an_error(authority: Authority) -> None:
    http = HttpClient(HttpSettings(verify=authority.context))
    authority.server.on("/cut", [send(head(200, [("Content-Length", "10")]) + b"12345"), close()])
    with pytest.raises(TransportError) as caught:
        await http.send(get(authority.origin, "/cut"), monotonic() + 20)
    assert (caught.value.kind, caught.value.sent) == ("closed", True)
    await http.close()


async def test_deadline_and_close_reach_through_tls(authority: Authority) -> None:
    http = HttpClient(HttpSettings(verify=authority.context))
    authority.server.on("/slow", [wait(3), *answer()])
    kinds: list[str] = []

    def asking(seconds: float) -> None:
        async def ask() -> None:
            with pytest.raises(TransportError) as caught:
                await http.send(get(authority.origin, "/slow"), monotonic() + seconds)
            kinds.append(caught.value.kind)

        workers.append(Worker(ask, "ask"))

    workers: list[Worker] = []
    asking(0.3)
    assert await workers[0].join(30)
    asking(20)
    await pause(0.2)
    await http.close()
    assert await workers[1].join(30)
    assert kinds == ["timeout", "client_closed"]
