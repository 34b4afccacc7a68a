# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""Resumable uploads, against a server that others wrote, over a line that breaks."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from aerodb.aio import AeroDBClient
from aerodb.aio.storage import _resumable
from tests.support.faults import FaultProxy
from tests.support.scripted import ScriptedServer, answer, reset
from tests.support.tus_server import TusServer, tus_server

MIB = 1024 * 1024
KEY = "aero_sk_0123456789abcdef"
ROOT = "/storage/v1/upload/resumable"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chance always picks the shortest wait between two attempts."""
    monkeypatch.setattr(_resumable, "jitter", lambda: 0.0)


@pytest.fixture(scope="module")
def tus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TusServer]:
    with tus_server(tmp_path_factory.mktemp("tus")) as server:
        yield server


@pytest.fixture
async def client(tus: TusServer) -> AsyncIterator[AeroDBClient]:
    async with AeroDBClient(f"http://127.0.0.1:{tus.port}", KEY) as connected:
        yield connected


async def test_a_file_goes_up_in_chunks(
    client: AeroDBClient, tus: TusServer, tmp_path: Path
) -> None:
    data = os.urandom(5 * MIB + 17)
    path = tmp_path / "f.png"
    path.write_bytes(data)
    seen: list[Any] = []
    response = await client.storage.from_("b").upload_resumable(
        "folder/é.png", path, metadata={"a": 1}, chunk_size=MIB, progress=seen.append
    )
    assert response.unwrap().size == len(data)
    assert tus.completed["folder/é.png"] == data
    assert tus.metadata["folder/é.png"]["contentType"] == "image/png"
    assert tus.metadata["folder/é.png"]["bucketName"] == "b"
    assert (seen[-1].transferred, seen[-1].total) == (len(data), len(data))


@pytest.mark.parametrize("source", ["bytes", "open file"])
async def test_other_sources_that_can_be_read_again(
    client: AeroDBClient, tus: TusServer, tmp_path: Path, source: str
) -> None:
    data = os.urandom(MIB)
    (tmp_path / "f").write_bytes(b"skipped" + data)
    with (tmp_path / "f").open("rb") as file:
        file.read(7)
        given = data if source == "bytes" else file
        (
            await client.storage.from_("b").upload_resumable(source, given, chunk_size=300_000)
        ).unwrap()
    assert tus.completed[source] == data


async def test_an_iterator_cannot_be_resumed(client: AeroDBClient) -> None:
    error = (await client.storage.from_("b").upload_resumable("f", iter([b"x"]))).error
    assert error is not None
    assert error.code == "INVALID_ARGUMENT"


async def test_a_line_that_breaks_again_and_again(tus: TusServer, tmp_path: Path) -> None:
    data = os.urandom(6 * MIB)
    (tmp_path / "f").write_bytes(data)
    with FaultProxy(tus.port) as proxy:
        breaks = iter(range(MIB, 6 * MIB, MIB))
        after = [next(breaks)]

        def cut(now: Any) -> None:
            if after and now.transferred >= after[0]:
                after[:] = [step] if (step := next(breaks, None)) else []
                proxy.cut_all()

        async with AeroDBClient(f"http://127.0.0.1:{proxy.port}", KEY) as client:
            response = await client.storage.from_("b").upload_resumable(
                "broken", tmp_path / "f", chunk_size=MIB, progress=cut
            )
            assert response.ok, response.error
            assert proxy.connections > 4
        assert tus.completed["broken"] == data


async def test_going_on_by_the_url_of_the_error(
    client: AeroDBClient, tus: TusServer, tmp_path: Path
) -> None:
    data = os.urandom(3 * MIB)
    with FaultProxy(tus.port) as proxy:
        async with AeroDBClient(f"http://127.0.0.1:{proxy.port}", KEY) as other:

            def refuse(now: Any) -> None:
                if now.transferred >= 2 * MIB:
                    proxy.set("refuse")

            error = (
                await other.storage.from_("b").upload_resumable(
                    "gone on", data, chunk_size=MIB, progress=refuse
                )
            ).error
    assert error is not None
    assert error.code == "NETWORK_ERROR"
    url = error.details["upload_url"].replace(str(proxy.port), str(tus.port))
    seen: list[Any] = []
    (
        await client.storage.from_("b").upload_resumable(
            "gone on", data, chunk_size=MIB, upload_url=url, progress=seen.append
        )
    ).unwrap()
    assert tus.completed["gone on"] == data
    assert seen[0].transferred >= MIB  # not from the beginning


async def test_a_file_that_changed_is_begun_anew(
    client: AeroDBClient, tus: TusServer, tmp_path: Path
) -> None:
    path, state = tmp_path / "f", tmp_path / "state"
    path.write_bytes(os.urandom(2 * MIB))
    bucket = client.storage.from_("b")

    def change(now: Any) -> None:
        if now.transferred == MIB:
            with path.open("ab") as file:
                file.write(b"more")

    error = (
        await bucket.upload_resumable(
            "changed", path, chunk_size=MIB, state_file=state, progress=change
        )
    ).error
    assert error is not None
    assert error.code == "SOURCE_CHANGED"
    assert state.stat().st_mode & 0o777 == 0o600
    assert "changed" not in tus.completed
    (await bucket.upload_resumable("changed", path, chunk_size=MIB, state_file=state)).unwrap()
    assert tus.completed["changed"] == path.read_bytes()
    assert not exists(state)


def exists(path: Path) -> bool:
    return path.exists()


async def test_a_state_file_that_is_no_path(client: AeroDBClient) -> None:
    """The number of an open file is none: reading it as one would close that file."""
    with tempfile.TemporaryFile() as other:
        wrong: list[Any] = [other.fileno(), b"state", 1.5]
        for state in wrong:
            response = await client.storage.from_("b").upload_resumable("f", b"x", state_file=state)
            assert response.error is not None
            assert response.error.code == "INVALID_ARGUMENT"
        other.write(b"still open")


@pytest.mark.parametrize("content", [b"", b"nonsense", b'{"version":1}', b"\xff"])
async def test_a_state_file_of_something_else(
    client: AeroDBClient, tus: TusServer, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "state").write_bytes(content)
    data = os.urandom(5000)
    done = await client.storage.from_("b").upload_resumable(
        "fresh", data, state_file=tmp_path / "state"
    )
    assert done.ok
    assert tus.completed["fresh"] == data


async def test_a_token_is_the_only_credential(tmp_path: Path) -> None:
    """With every request, and in no error, state or URL; the process that goes on needs its own."""
    data, token, state = os.urandom(3000), "secret-token-1234", tmp_path / "state"
    made = answer(201, b"", [("Location", f"{ROOT}/sign/one")])
    told = answer(200, b"", [("Upload-Offset", "1024")])
    ok = [answer(204, b"", [("Upload-Offset", str(offset))]) for offset in (1024, 2048, 3000)]
    with ScriptedServer() as scripted:
        scripted.on(f"{ROOT}/sign", made, answer(401))
        scripted.on(f"{ROOT}/sign/one", ok[0], answer(403), told, *ok[1:])
        async with AeroDBClient(f"http://127.0.0.1:{scripted.port}", KEY) as client:
            bucket = client.storage.from_("b")
            sizes: Any = {"chunk_size": 1024, "state_file": state, "token": token}
            refused = (await bucket.upload_resumable("f", data, **sizes)).error
            assert refused is not None
            assert refused.status == 403
            assert token not in str(refused) + repr(refused) + str(refused.details)
            assert token not in state.read_text()
            done = await bucket.upload_resumable("f", data, **sizes)
            assert (done.unwrap().path, done.unwrap().size) == ("f", 3000)
            for wrong in ({"token": "a b"}, {"token": ""}, {"token": token, "upsert": True}):
                error = (await bucket.upload_resumable("f", data, **wrong)).error
                assert error is not None
                assert error.code == "INVALID_ARGUMENT"
    assert [seen.method for seen in scripted.seen] == [
        "POST", "PATCH", "PATCH", "HEAD", "PATCH", "PATCH",
    ]  # fmt: skip
    for seen in scripted.seen:
        assert seen.header("x-signature") == token
        assert seen.header("apikey") is None
        assert seen.header("authorization") is None
        assert "x-upsert" not in {name.lower() for name, _ in seen.headers}


async def test_with_a_token_or_as_oneself_are_two_uploads(tmp_path: Path) -> None:
    """An upload that was begun in one way cannot be gone on with in the other."""
    data, state = os.urandom(2000), tmp_path / "state"
    with ScriptedServer() as scripted:
        begun = {way: answer(201, b"", [("Location", f"{ROOT}{way}/one")]) for way in ("", "/sign")}
        for way, made in begun.items():
            scripted.on(f"{ROOT}{way}", made)
            done = answer(204, b"", [("Upload-Offset", "2000")])
            scripted.on(f"{ROOT}{way}/one", *([answer(400)] if not way else []), done)
        async with AeroDBClient(f"http://127.0.0.1:{scripted.port}", KEY) as client:
            bucket = client.storage.from_("b")
            assert not (await bucket.upload_resumable("f", data, state_file=state)).ok
            again = await bucket.upload_resumable("f", data, state_file=state, token="t" * 20)
            assert again.ok, again.error
    assert [seen.method for seen in scripted.seen] == ["POST", "PATCH", "POST", "PATCH"]


async def test_what_a_scripted_server_makes_of_it(tmp_path: Path) -> None:
    """409, 423, 460 and a lost upload, one after another, and a checksum with every chunk."""
    data = os.urandom(3000)
    with ScriptedServer() as scripted:
        made = [answer(201, b"", [("Location", f"{ROOT}/{name}")]) for name in ("one", "two")]
        scripted.on(ROOT, *made)
        told = {offset: [("Upload-Offset", str(offset))] for offset in (0, 1000, 2000, 2500)}
        ok = {offset: answer(204, b"", headers) for offset, headers in told.items()}
        scripted.on(
            f"{ROOT}/one",
            answer(409), answer(200, b"", told[0]), answer(423), answer(200, b"", told[1000]),
            answer(460), answer(404),
        )  # fmt: skip
        end = answer(204, b"", [("Upload-Offset", "3000")])
        scripted.on(f"{ROOT}/two", ok[1000], ok[2000], [reset()], answer(200, b"", told[2500]), end)
        async with AeroDBClient(f"http://127.0.0.1:{scripted.port}", KEY) as client:
            response = await client.storage.from_("b").upload_resumable(
                "f", data, chunk_size=1024, checksum=True
            )
    assert response.ok
    lines = [
        (seen.method, seen.target.removeprefix(ROOT), seen.header("upload-offset"))
        for seen in scripted.seen
    ]
    assert lines[:8] == [
        ("POST", "", None),
        ("PATCH", "/one", "0"),
        ("HEAD", "/one", None),
        ("PATCH", "/one", "0"),
        ("HEAD", "/one", None),
        ("PATCH", "/one", "1000"),
        ("PATCH", "/one", "1000"),
        ("POST", "", None),
    ]
    assert lines[8:13] == [
        ("PATCH", "/two", "0"),
        ("PATCH", "/two", "1000"),
        ("PATCH", "/two", "2000"),
        ("HEAD", "/two", None),
        ("PATCH", "/two", "2500"),
    ]
    sent = [seen for seen in scripted.seen if seen.method == "PATCH"]
    assert all((seen.header("upload-checksum") or "").startswith("sha256 ") for seen in sent)
    assert sent[-1].body == data[2500:]
