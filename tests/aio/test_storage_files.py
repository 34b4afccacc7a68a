# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""What a file of the system's or the caller's can do to a transfer, up and down."""

from __future__ import annotations

import bz2
import fcntl
import gzip
import io
import json
import lzma
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aerodb import AeroDBAPIError
from aerodb._core.http import SourceError
from aerodb._io.sources import FileSource
from aerodb.aio import AeroDBClient
from tests.support.forms import uploaded
from tests.support.scripted import ScriptedServer, answer
from tests.support.tus_server import TusServer, tus_server

OBJECT = "/storage/v1/object/b/f.txt"
DATA = b"the same line again and again\n" * 50_000
JSON = ("Content-Type", "application/json")
STORED = answer(201, b'{"path":"f.txt"}', [JSON])
FULL = answer(200, DATA, [("ETag", '"v1"')])


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        server.on(OBJECT, STORED)
        yield server


@pytest.fixture
async def client(scripted: ScriptedServer) -> AsyncIterator[AeroDBClient]:
    async with AeroDBClient(f"http://127.0.0.1:{scripted.port}", "key") as connected:
        yield connected


@pytest.fixture(scope="module")
def tus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TusServer]:
    with tus_server(tmp_path_factory.mktemp("tus")) as server:
        yield server


OPENERS: dict[str, Callable[[Path], Any]] = {
    "gz": gzip.open,
    "bz2": bz2.open,
    "xz": lzma.open,
}


def opened(kind: str, folder: Path) -> Any:
    """A file that gives more than the file of the system below it has."""
    opener = OPENERS[kind.removeprefix("buffered ")]
    path = folder / "m"
    with opener(path, "wb") as file:  # type: ignore[call-arg]
        file.write(DATA)
    return io.BufferedReader(opener(path)) if kind.startswith("buffered") else opener(path)


@pytest.mark.parametrize("kind", [*OPENERS, "buffered gz"])
async def test_a_file_that_decompresses_is_uploaded_whole(
    client: AeroDBClient, scripted: ScriptedServer, tmp_path: Path, kind: str
) -> None:
    with opened(kind, tmp_path) as file:
        assert file.read(4) == b"the "
        (await client.storage.from_("b").upload("f.txt", file, checksum=True)).unwrap()
    assert uploaded(scripted.seen[0]).content == DATA[4:]


@pytest.mark.parametrize("kind", [*OPENERS, "buffered gz"])
async def test_a_file_that_decompresses_is_uploaded_whole_in_chunks(
    tus: TusServer, tmp_path: Path, kind: str
) -> None:
    async with AeroDBClient(f"http://127.0.0.1:{tus.port}", "key") as client:
        with opened(kind, tmp_path) as file:
            bucket = client.storage.from_("b")
            (await bucket.upload_resumable(kind, file, chunk_size=400_000)).unwrap()
    assert tus.completed[kind] == DATA


async def test_a_damaged_file_is_an_error(
    client: AeroDBClient, scripted: ScriptedServer, tmp_path: Path
) -> None:
    for kind in OPENERS:
        opened(kind, tmp_path).close()
        path = tmp_path / "m"
        path.write_bytes(path.read_bytes()[:-5])
        with OPENERS[kind](path) as file:
            error = (await client.storage.from_("b").upload("f.txt", file)).error
        assert error is not None
        assert error.code == "FILE_ERROR"
    assert scripted.seen == []


class Liar(io.BytesIO):
    """Says that it is shorter than it is."""

    def seek(self, offset: int, whence: int = 0) -> int:
        return super().seek(offset, whence) if whence != io.SEEK_END else 1000


async def test_a_file_that_goes_on_behind_its_end_is_no_upload(
    client: AeroDBClient, scripted: ScriptedServer
) -> None:
    error = (await client.storage.from_("b").upload("f.txt", Liar(DATA))).error
    assert error is not None
    assert error.code == "SOURCE_CHANGED"
    assert scripted.seen == []


@pytest.fixture
def version() -> Iterator[Any]:
    """A file whose size the system says to be 0."""
    path = Path("/proc/version")
    if not path.exists():
        pytest.skip("there is no /proc")
    with path.open("rb") as file:
        yield file


async def test_files_without_a_size_are_read_to_their_end(
    client: AeroDBClient, scripted: ScriptedServer, version: Any
) -> None:
    bucket = client.storage.from_("b")
    (await bucket.upload("f.txt", Path(version.name), checksum=True)).unwrap()
    (await bucket.upload("f.txt", version)).unwrap()
    version.seek(0)
    expected = version.read()
    assert [uploaded(seen).content for seen in scripted.seen] == [expected, expected]
    assert expected


async def test_a_fifo_is_no_file_and_nobody_waits_for_it(
    client: AeroDBClient, scripted: ScriptedServer, tmp_path: Path
) -> None:
    scripted.on(OBJECT, FULL)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to(pipe)
    bucket = client.storage.from_("b")
    for place in (pipe, tmp_path / "link"):
        for error in (
            (await bucket.upload("f.txt", place)).error,
            (await bucket.upload_resumable("f.txt", place)).error,
            (await bucket.download_to("f.txt", place)).error,
        ):
            assert error is not None
            assert error.code == "FILE_ERROR"
    assert pipe.is_fifo()
    assert (tmp_path / "link").is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["link", "pipe"]


async def test_a_view_with_steps(client: AeroDBClient, scripted: ScriptedServer) -> None:
    (await client.storage.from_("b").upload("f.txt", memoryview(DATA)[::2])).unwrap()
    assert uploaded(scripted.seen[0]).content == DATA[::2]


def closed_file(folder: Path) -> Any:
    file = (folder / "closed").open("w+b")
    file.close()
    return file


class Decoding:
    """A file of text that is none of `io`."""

    def read(self, size: int) -> str:
        return "text"


class Texts:
    """An iterator of what is not bytes."""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        return "text"


async def test_what_cannot_be_read_is_an_error(
    client: AeroDBClient, scripted: ScriptedServer, tmp_path: Path
) -> None:
    scripted.on("/functions/v1/f", answer(200))
    (tmp_path / "t").write_text("text")
    with (tmp_path / "t").open() as text, (tmp_path / "w").open("wb") as writer:
        for given, code in (
            (tmp_path / "a\0b", "FILE_ERROR"),
            (closed_file(tmp_path), "FILE_ERROR"),
            (writer, "FILE_ERROR"),
            (text, "INVALID_ARGUMENT"),
            (Texts(), "INVALID_ARGUMENT"),
            (Decoding(), "INVALID_ARGUMENT"),
        ):
            bucket = client.storage.from_("b")
            for error in (
                (await bucket.upload("f.txt", given)).error,
                (await client.functions.invoke("f", given)).error,
            ):
                assert error is not None, given
                assert error.code == code


class Slow:
    """An iterator that takes its time, longer than there is."""

    def __init__(self) -> None:
        self.pieces = [b"x"] * 5

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if not self.pieces:
            raise StopIteration
        time.sleep(0.2)
        return self.pieces.pop()


async def test_a_source_that_takes_too_long_is_said_to_be_one(
    client: AeroDBClient, scripted: ScriptedServer
) -> None:
    error = (await client.functions.invoke("f", Slow(), timeout=0.5)).error
    assert error is not None
    assert error.code == "TIMEOUT"
    assert "what was to be sent" in error.message
    assert error.hint is None


def test_two_who_read_one_open_file_at_once_do_not_mix_it_up() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"aaaabbbbcccc")
        file.seek(0)
        one, other = FileSource(file, None), FileSource(file, None)
        one.seek(0)
        assert one.read(4) == b"aaaa"
        other.seek(0)
        other.read(4)
        other.seek(0)
        with pytest.raises(SourceError, match="was read by somebody else"):
            one.read(4)


async def test_a_state_file_does_not_take_the_place_of_what_is_uploaded(
    client: AeroDBClient, tmp_path: Path
) -> None:
    film = tmp_path / "film.bin"
    film.write_bytes(b"content")
    bucket = client.storage.from_("b")
    with film.open("rb") as opened:
        for file in (film, opened):
            error = (await bucket.upload_resumable("f", file, state_file=film)).error
            assert error is not None
            assert error.code == "INVALID_ARGUMENT"
    assert film.read_bytes() == b"content"


async def test_what_can_be_resized_is_let_go(
    client: AeroDBClient, scripted: ScriptedServer
) -> None:
    data = bytearray(DATA)
    (await client.storage.from_("b").upload("f.txt", data)).unwrap()
    data.append(0)  # BufferError, if anything held a piece of it
    assert uploaded(scripted.seen[-1]).content == DATA


# --- down ---------------------------------------------------------------------------------------


async def test_a_file_that_does_not_wait_loses_nothing(
    client: AeroDBClient, scripted: ScriptedServer
) -> None:
    scripted.on(OBJECT, FULL)
    reading, writing = os.pipe()
    flags = fcntl.fcntl(writing, fcntl.F_GETFL)
    fcntl.fcntl(writing, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    with os.fdopen(writing, "wb", buffering=0) as raw, os.fdopen(reading, "rb"):
        error = (await client.storage.from_("b").download_to("f.txt", raw)).error
    assert error is not None
    assert error.code == "FILE_ERROR"


class Full(io.BytesIO):
    """Finds out late that it is full, as a buffered file does."""

    def flush(self) -> None:
        raise OSError(28, "No space left on device")


async def test_what_cannot_be_written_is_an_error(
    client: AeroDBClient, scripted: ScriptedServer, tmp_path: Path
) -> None:
    scripted.on(OBJECT, FULL)
    with (
        (tmp_path / "t").open("w") as text,
        tempfile.NamedTemporaryFile("w", dir=tmp_path) as wrapped,
        (tmp_path / "t").open("rb") as reader,
    ):
        for target, code in (
            (Full(), "FILE_ERROR"),
            (closed_file(tmp_path), "FILE_ERROR"),
            (reader, "FILE_ERROR"),
            (tmp_path / "a\0b", "FILE_ERROR"),
            (str(tmp_path / "a\0b"), "FILE_ERROR"),
            (text, "INVALID_ARGUMENT"),
            (wrapped, "INVALID_ARGUMENT"),
            (7, "INVALID_ARGUMENT"),
        ):
            given: Any = target
            error = (await client.storage.from_("b").download_to("f.txt", given)).error
            assert error is not None, target
            assert error.code == code, target


class Simple:
    """A file of somebody's own, whose `write` says nothing."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: Any) -> None:
        self.data += data


async def test_a_simple_file_of_ones_own(client: AeroDBClient, scripted: ScriptedServer) -> None:
    scripted.on(OBJECT, FULL)
    given: Any = Simple()
    (await client.storage.from_("b").download_to("f.txt", given)).unwrap()
    assert given.data == DATA


@pytest.mark.parametrize(
    "character", "x\N{LATIN SMALL LETTER E WITH ACUTE}\N{HIRAGANA LETTER A}\N{CAT}"
)
async def test_a_file_may_be_called_as_long_as_the_system_lets_it(
    client: AeroDBClient, scripted: ScriptedServer, tmp_path: Path, character: str
) -> None:
    scripted.on(OBJECT, FULL)
    target = tmp_path / (character * (255 // len(character.encode())))
    (await client.storage.from_("b").download_to("f.txt", target)).unwrap()
    assert target.read_bytes() == DATA


@pytest.mark.parametrize("items", ["abc", ["b"], [("a", b"", b"")], 7, [b"ab"], None])
async def test_many_of_what_are_no_pairs(client: AeroDBClient, tmp_path: Path, items: Any) -> None:
    bucket = client.storage.from_("b")
    for response in (await bucket.upload_many(items), await bucket.download_many(items)):
        assert response.error is not None
        assert response.error.code == "INVALID_ARGUMENT"
    if items != ["b"]:
        error = (await bucket.download_many(items, tmp_path)).error
        assert error is not None
        assert error.code == "INVALID_ARGUMENT"
    assert os.listdir(tmp_path) == []


async def test_two_objects_are_not_written_to_one_file(
    client: AeroDBClient, scripted: ScriptedServer, tmp_path: Path
) -> None:
    target = tmp_path / "f.txt"
    bucket = client.storage.from_("b")
    for items in ({"a": target, "b": str(target)}, [("a", target), ("b", f"{tmp_path}/./f.txt")]):
        error = (await bucket.download_many(items)).error
        assert error is not None
        assert error.code == "INVALID_ARGUMENT"
        assert "'a' and 'b'" in error.message
        assert "f.txt" in error.message
    assert os.listdir(tmp_path) == []
    assert scripted.seen == []


# --- what a server says of it -------------------------------------------------------------------


async def test_stored_before_it_was_sent_is_not_stored(
    client: AeroDBClient, scripted: ScriptedServer
) -> None:
    scripted.early = STORED
    size = 30_000_000
    bucket = client.storage.from_("b")
    for given in (bytes(size), iter([bytes(1_000_000)] * 30)):
        error = (await bucket.upload("f.txt", given)).error
        assert error is not None
        assert (error.code, error.maybe_applied) == ("INVALID_RESPONSE", True)


@pytest.mark.parametrize("length", ["known", "unknown"])
async def test_another_size_is_another_object(
    client: AeroDBClient, scripted: ScriptedServer, length: str
) -> None:
    for said, code in ((3, "INVALID_RESPONSE"), (len(DATA), None), (None, None)):
        about = json.dumps({"path": "f.txt", "size": said}).encode()
        scripted.on(OBJECT, answer(200, about, [JSON]))
        given: Any = DATA if length == "known" else iter([DATA])
        error = (await client.storage.from_("b").update("f.txt", given)).error
        assert (error and error.code) == code
        assert error is None or error.maybe_applied


@pytest.mark.parametrize("cursors", [[None], ["a", "a"], ["a", None]])
async def test_more_without_a_place_is_an_error(
    client: AeroDBClient, scripted: ScriptedServer, cursors: list[str | None]
) -> None:
    pages = [
        json.dumps({"hasNext": True, "nextCursor": cursor, "objects": [{"name": f"{at}"}]})
        for at, cursor in enumerate(cursors)
    ]
    scripted.on(
        "/storage/v1/object/list-v2/b", *(answer(200, page.encode(), [JSON]) for page in pages)
    )
    with pytest.raises(AeroDBAPIError) as caught:
        [found async for found in client.storage.from_("b").iter_files()]
    assert caught.value.code == "INVALID_RESPONSE"


# --- streams after their block ------------------------------------------------------------------


async def first_of(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for piece in pieces:
        yield piece
        break


async def test_a_stream_is_read_inside_its_block(
    client: AeroDBClient, scripted: ScriptedServer
) -> None:
    lines = b"one\ntwo\nthree\n" * 100_000
    scripted.on(OBJECT, answer(200, lines, [("ETag", '"v"')]))
    scripted.on("/functions/v1/f", answer(200, lines, [("Content-Type", "text/plain")]))
    async with client.functions.stream("f") as stream:
        pieces = stream.iter_bytes()
        assert [piece async for piece in first_of(pieces)]
    for late in (pieces, stream.iter_lines(), stream.iter_events()):
        with pytest.raises(TypeError, match="inside its block"):
            [found async for found in late]
    async with client.storage.from_("b").download_stream("f.txt") as down:
        assert [piece async for piece in first_of(down)]
    with pytest.raises(TypeError, match="inside its block"):
        [found async for found in down]
    with pytest.raises(TypeError, match="opened already"):
        async with down:
            pass
    assert len(scripted.seen) == 2
