# GENERATED from tests/aio/test_storage_replaced.py by scripts/generate.py [359a04206269]: do not edit
"""An object that is replaced while it is downloaded (reliability S4): its new content, whole."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from aerodb import AeroDBAPIError
from aerodb.sync import AeroDBClient, _transport
from tests.support.scripted import ScriptedServer, Step, close, head

OBJECT = "/storage/v1/object/b/f.txt"
OLD, NEW = bytes(range(256)) * 40, bytes(reversed(range(256))) * 40
SPAN = (100, 8_999)


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def client(scripted: ScriptedServer) -> Iterator[AeroDBClient]:
    with AeroDBClient(f"http://127.0.0.1:{scripted.port}", "aero_sk_x") as connected:
        yield connected


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chance always picks the shortest wait between two attempts."""
    from aerodb.sync.storage import _download

    monkeypatch.setattr(_transport, "jitter", lambda: 0.0)
    monkeypatch.setattr(_download, "jitter", lambda: 0.0)


def serve(data: bytes, *, cut: int | None = None, knows: bool = True) -> list[Step]:
    """A version of the object, as a server gives it that `knows` If-Range; `cut` ends its body."""
    sum_of_it = hashlib.sha256(data).hexdigest()
    tag = f'"{sum_of_it[:8]}"'

    def step(sock: Any, seen: Any) -> None:
        headers = [("ETag", tag), ("X-Checksum-SHA256", sum_of_it)]
        wanted = seen.header("range")
        if knows and seen.header("if-range") not in (None, tag):
            wanted = None
        first, last = 0, len(data) - 1
        if wanted is not None:
            start, _, end = wanted.removeprefix("bytes=").partition("-")
            first, last = int(start), min(last, int(end or last))
            headers.append(("Content-Range", f"bytes {first}-{last}/{len(data)}"))
        body = data[first : last + 1]
        status = 416 if not body else 200 if wanted is None else 206
        sock.sendall(head(status, [*headers, ("Content-Length", str(len(body)))]) + body[:cut])
        if cut is not None:
            close()(sock, seen)

    return [step]


def fetched(client: AeroDBClient, folder: Path, way: str) -> bytes:
    bucket = client.storage.from_("b")
    if way == "range":
        return (bucket.download("f.txt", range=SPAN)).unwrap()
    if way == "download":
        return (bucket.download("f.txt")).unwrap()
    if way == "download_to":
        (bucket.download_to("f.txt", folder / "f")).unwrap()
        return (folder / "f").read_bytes()
    found = b""
    span = SPAN if way == "stream of a range" else None
    with bucket.download_stream("f.txt", range=span) as stream:
        for piece in stream:
            found += piece
    return found


def asked(scripted: ScriptedServer) -> list[tuple[str | None, bool]]:
    return [(seen.header("range"), bool(seen.header("if-range"))) for seen in scripted.seen]


@pytest.mark.parametrize("knows", [True, False], ids=["if-range", "no if-range"])
@pytest.mark.parametrize("way", ["download", "download_to", "range"])
def test_the_new_content_from_its_beginning(
    client: AeroDBClient, scripted: ScriptedServer, tmp_path: Path, way: str, knows: bool
) -> None:
    scripted.on(OBJECT, serve(OLD, cut=500), serve(NEW, knows=knows))
    expected = NEW[SPAN[0] : SPAN[1] + 1] if way == "range" else NEW
    assert fetched(client, tmp_path, way) == expected
    first = "bytes=100-8999" if way == "range" else None
    rest = "bytes=600-8999" if way == "range" else "bytes=500-"
    requests = [(first, False), (rest, True), (first, False)]
    if knows and way != "range":
        requests.pop()  # what comes whole is taken as it is
    assert asked(scripted) == requests


@pytest.mark.parametrize("way", ["download", "download_to", "range"])
def test_the_new_content_is_shorter_than_what_had_come(
    client: AeroDBClient, scripted: ScriptedServer, tmp_path: Path, way: str
) -> None:
    scripted.on(OBJECT, serve(OLD, cut=500), serve(NEW[:400], knows=False))
    expected = NEW[SPAN[0] : 400] if way == "range" else NEW[:400]
    assert fetched(client, tmp_path, way) == expected
    assert len(scripted.seen) == 3


@pytest.mark.parametrize("size", [400, len(NEW)])
@pytest.mark.parametrize("knows", [True, False], ids=["if-range", "no if-range"])
@pytest.mark.parametrize("way", ["stream", "stream of a range"])
def test_a_stream_cannot_take_back_what_it_gave_out(
    client: AeroDBClient, scripted: ScriptedServer, tmp_path: Path, way: str, knows: bool, size: int
) -> None:
    scripted.on(OBJECT, serve(OLD, cut=500), serve(NEW[:size], knows=knows))
    with pytest.raises(AeroDBAPIError) as caught:
        fetched(client, tmp_path, way)
    assert caught.value.code == "SOURCE_CHANGED"
    assert len(scripted.seen) == 2


@pytest.mark.parametrize("way", ["download", "download_to", "range"])
def test_one_that_never_stays_the_same(
    client: AeroDBClient, scripted: ScriptedServer, tmp_path: Path, way: str
) -> None:
    """It ends, and leaves nothing."""
    versions = [serve(bytes([n]) * 10_000, cut=500, knows=False) for n in range(100)]
    scripted.on(OBJECT, *versions)
    with pytest.raises(AeroDBAPIError) as caught:
        fetched(client, tmp_path, way)
    assert caught.value.code in ("SOURCE_CHANGED", "NETWORK_ERROR")
    assert len(scripted.seen) < 10
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("way", ["download", "range", "stream"])
def test_a_part_that_does_not_exist_is_not_a_replaced_object(
    client: AeroDBClient, scripted: ScriptedServer, tmp_path: Path, way: str
) -> None:
    scripted.on(OBJECT, serve(b""))
    with pytest.raises(AeroDBAPIError) as caught:
        fetched(client, tmp_path, way)
    assert caught.value.error.status == 416
    assert len(scripted.seen) == 1
