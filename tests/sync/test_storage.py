# GENERATED from tests/aio/test_storage.py by scripts/generate.py [6667b6d66ef2]: do not edit
"""Uploads and downloads over a real socket, when everything goes well and when it does not."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
from collections.abc import Iterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aerodb import AeroDBAPIError, ClientOptions
from aerodb._core.storage import ranges, upload
from aerodb.sync import AeroDBClient, _transport
from tests.support.forms import uploaded
from tests.support.scripted import (
    ScriptedServer,
    Step,
    answer,
    chunked,
    close,
    head,
    reset,
    send,
    trickle,
    wait,
)

KEY = "aero_sk_0123456789abcdef"
OBJECT = "/storage/v1/object/b/f.txt"
ABOUT = json.dumps({"id": "1", "name": "f.txt", "path": "f.txt", "owner": None}).encode()
STORED = answer(201, ABOUT, [("Content-Type", "application/json")])
DATA = bytes(range(256)) * 2000
TAG = ("ETag", '"v1"')
SUM = ("X-Checksum-SHA256", hashlib.sha256(DATA).hexdigest())


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def client(scripted: ScriptedServer) -> Iterator[AeroDBClient]:
    with AeroDBClient(f"http://127.0.0.1:{scripted.port}", KEY) as connected:
        yield connected


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chance always picks the shortest wait between two attempts."""
    monkeypatch.setattr(_transport, "jitter", lambda: 0.0)
    from aerodb.sync.storage import _download, _resumable

    monkeypatch.setattr(_download, "jitter", lambda: 0.0)
    monkeypatch.setattr(_resumable, "jitter", lambda: 0.0)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def full(data: bytes = DATA, *headers: tuple[str, str]) -> list[Step]:
    return answer(200, data, [TAG, *headers])


def part(data: bytes, first: int, *headers: tuple[str, str], says: str | None = None) -> list[Step]:
    """The rest of `data` from `first` on, as it should be, or as `says`."""
    content_range = says or f"bytes {first}-{len(data) - 1}/{len(data)}"
    return answer(206, data[first:], [TAG, ("Content-Range", content_range), *headers])


# --- what is sent -------------------------------------------------------------------------------


def sources(folder: Path) -> dict[str, Any]:
    path = folder / "file.bin"
    path.write_bytes(DATA)
    standing = io.BytesIO(b"skipped" + DATA)
    standing.seek(7)
    return {
        "bytes": DATA,
        "bytearray": bytearray(DATA),
        "memoryview": memoryview(DATA),
        "array of words": memoryview(DATA).cast("I"),
        "path": path,
        "BytesIO": standing,
        "open file": path.open("rb"),
        "iterator": iter([DATA[:10], b"", bytearray(DATA[10:5000]), DATA[5000:]]),
        "list": [DATA[:10], DATA[10:]],
        "pipe": os.fdopen(_filled_pipe(DATA[:40_000]), "rb"),
        "nothing": b"",
    }


def _filled_pipe(data: bytes) -> int:
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    return reading


KINDS = [
    "bytes", "bytearray", "memoryview", "array of words", "path", "BytesIO", "open file",
    "iterator", "list", "pipe", "nothing",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_source_arrives_as_it_is(
    client: AeroDBClient, scripted: ScriptedServer, tmp_path: Path, kind: str
) -> None:
    scripted.on(OBJECT, STORED)
    given = sources(tmp_path)
    expected = {"pipe": DATA[:40_000], "nothing": b""}.get(kind, DATA)
    response = client.storage.from_("b").upload(
        "f.txt", given[kind], metadata={"a": "é"}, cache_control=60
    )
    assert response.unwrap().id == "1"
    (seen,) = scripted.seen
    form = uploaded(seen)
    assert form.content == expected
    assert form.fields == {"metadata": '{"a":"é"}'.encode(), "cacheControl": b"60"}
    assert b"Content-Type: text/plain" in seen.body[:1000]
    assert (seen.method, seen.header("x-upsert"), seen.header("apikey")) == ("POST", None, KEY)
    known = kind not in ("iterator", "list", "pipe")
    assert (seen.header("content-length") is not None) is known
    assert (seen.header("transfer-encoding") is not None) is not known
    for name in ("open file", "pipe"):
        assert not given[name].closed
        given[name].close()


@pytest.mark.parametrize(
    ("file", "hint"),
    [
        ("text", "pathlib.Path"),
        (io.StringIO("text"), "binary"),
        (7, None),
        (None, None),
        ({"a": 1}, None),
        (["text"], "binary"),
        (Path("/nowhere/at/all"), None),
        (Path("/"), None),
    ],
)
def test_what_cannot_be_uploaded_is_not(
    client: AeroDBClient, scripted: ScriptedServer, file: Any, hint: str | None
) -> None:
    scripted.on(OBJECT, STORED)
    error = (client.storage.from_("b").upload("f.txt", file)).error
    assert error is not None
    assert error.code == ("FILE_ERROR" if isinstance(file, Path) else "INVALID_ARGUMENT")
    assert hint is None or hint in str(error.hint)
    assert [seen for seen in scripted.seen if b"\r\n--" in seen.body] == []


def test_names_that_cannot_be_meant_are_not_sent(
    client: AeroDBClient, scripted: ScriptedServer, tmp_path: Path
) -> None:
    storage = client.storage
    for path in (
        "",
        "a//b",
        "../x",
        "a/./b",
        "a\\b",
        "a\x00",
        "x" * 1025,
        "%252e%252e/x",
        "a%252fb",
    ):
        bucket = storage.from_("b")
        for response in (
            bucket.upload(path, b"x"),
            bucket.update(path, b"x"),
            bucket.upload_resumable(path, b"x"),
            bucket.upload_to_signed_url(path, "token", b"x"),
            bucket.download(path),
            bucket.download_to(path, tmp_path / "x"),
            bucket.info(path),
            bucket.exists(path),
            bucket.remove([path]),
            bucket.move(path, "x"),
            bucket.copy("x", path),
            bucket.create_signed_url(path, 60),
            bucket.create_signed_urls([path], 60),
            bucket.create_signed_upload_url(path),
            *((bucket.upload_many({path: b"x"})).data or ()),
            *((bucket.download_many([path], tmp_path)).data or ()),
        ):
            assert response.error is not None
            assert response.error.code == "INVALID_ARGUMENT"
        with pytest.raises(ValueError, match="path"):
            bucket.get_public_url(path)
    for name in ("", "..", "a/b", "public", "%2e%2e"):
        for response in (
            storage.from_(name).info("x"),
            storage.bucket(name).list(),
            storage.get_bucket(name),
            storage.create_bucket(name),
            storage.delete_bucket(name),
        ):
            assert response.error is not None
            assert response.error.code == "INVALID_ARGUMENT"
    assert scripted.seen == []
    assert names_in(tmp_path) == []


def test_a_checksum_goes_along(client: AeroDBClient, scripted: ScriptedServer) -> None:
    scripted.on(OBJECT, STORED)
    bucket = client.storage.from_("b")
    digest = hashlib.sha256(DATA).hexdigest()
    for checksum in (True, digest, digest.upper()):
        (bucket.upload("f.txt", DATA, checksum=checksum)).unwrap()
    assert {seen.header("x-checksum-sha256") for seen in scripted.seen} == {digest}
    refused = bucket.upload("f.txt", iter([DATA]), checksum=True)
    assert refused.error is not None
    assert refused.error.code == "INVALID_ARGUMENT"


def test_a_token_is_the_only_credential(
    client: AeroDBClient, scripted: ScriptedServer
) -> None:
    scripted.on("/storage/v1/object/upload/sign/b/f.txt", answer(403, b"{}"), STORED)
    bucket = client.storage.from_("b")
    refused = (bucket.upload_to_signed_url("f.txt", "secret-token-1234", DATA)).error
    assert refused is not None
    assert "secret-token" not in str(refused) + repr(refused)
    (bucket.upload_to_signed_url("f.txt", "secret-token-1234", DATA)).unwrap()
    for seen in scripted.seen:
        assert seen.method == "PUT"
        assert seen.target.endswith("?token=secret-token-1234")
        assert seen.header("apikey") is seen.header("authorization") is None
    assert uploaded(scripted.seen[-1]).content == DATA


# --- retries (wire-contract §1.8) ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("failing", "options", "attempts"),
    [
        ([reset()], {}, 1),
        ([reset()], {"upsert": True}, 2),
        (answer(502), {}, 1),
        (answer(502), {"upsert": True}, 2),
        (answer(503, b"", [("Retry-After", "0")]), {}, 2),
        (answer(429, b"", [("Retry-After", "0")]), {}, 2),
        (answer(500), {"upsert": True}, 1),
    ],
)
def test_what_is_sent_again(
    client: AeroDBClient,
    scripted: ScriptedServer,
    failing: list[Step],
    options: dict[str, Any],
    attempts: int,
) -> None:
    scripted.on(OBJECT, failing, STORED)
    response = client.storage.from_("b").upload("f.txt", DATA, **options)
    assert len(scripted.seen) == attempts
    assert response.ok is (attempts == 2)
    assert [uploaded(seen).content for seen in scripted.seen] == [DATA] * attempts


@pytest.mark.parametrize("status", [429, 503, 502])
def test_an_iterator_is_read_once(
    client: AeroDBClient, scripted: ScriptedServer, status: int
) -> None:
    scripted.on(OBJECT, answer(status, b"", [("Retry-After", "0")]), STORED)
    response = client.storage.from_("b").upload("f.txt", iter([DATA]), upsert=True)
    assert response.error is not None
    assert response.error.status == status
    assert len(scripted.seen) == 1


def test_what_was_never_begun_is_tried_again(scripted: ScriptedServer) -> None:
    scripted.stop()
    with AeroDBClient(f"http://127.0.0.1:{scripted.port}", KEY) as client:
        pieces = iter([DATA])
        error = (client.storage.from_("b").upload("f.txt", pieces)).error
    assert error is not None
    assert (error.code, error.attempts, error.maybe_applied) == ("NETWORK_ERROR", 3, False)
    assert next(pieces) == DATA


def test_a_401_is_answered_once_if_the_file_can_be_read_again(
    client: AeroDBClient, scripted: ScriptedServer
) -> None:
    tokens = {"access_token": "new", "refresh_token": "r2", "expires_in": 900}
    json_type = ("Content-Type", "application/json")
    scripted.on("/auth/refresh", answer(200, json.dumps(tokens).encode(), [json_type]))
    refusal = answer(401, b'{"code":"invalid_token"}', [json_type])
    scripted.on(OBJECT, refusal, STORED)
    bucket = client.as_user("old", "r1").storage.from_("b")
    (bucket.upload("f.txt", DATA)).unwrap()
    sent = [seen for seen in scripted.seen if seen.target == OBJECT]
    assert [seen.header("authorization") for seen in sent] == ["Bearer old", "Bearer new"]
    assert [uploaded(seen).content for seen in sent] == [DATA, DATA]
    scripted.on(OBJECT, refusal, STORED)
    bucket = client.as_user("old", "r1").storage.from_("b")
    error = (bucket.upload("f.txt", iter([DATA]))).error
    assert error is not None
    assert error.status == 401


@pytest.mark.parametrize("status", [413, 401])
def test_an_answer_before_the_end_is_heard(
    client: AeroDBClient, scripted: ScriptedServer, status: int
) -> None:
    """The server answers at the head, and goes on reading just a little."""

    def refuse(sock: Any, seen: Any) -> None:
        raise AssertionError("the whole upload was sent")

    scripted.on(OBJECT, [refuse])
    scripted.early = answer(status, b'{"error":"no","code":"early"}')
    large = iter([bytes(1024 * 1024)] * 256)
    error = (client.storage.from_("b").upload("f.txt", large)).error
    assert error is not None
    assert (error.status, error.code) == (status, "early")
    assert sum(1 for _ in large) > 100  # most of it was never asked for


def test_a_delete_that_comes_twice_is_one(
    client: AeroDBClient, scripted: ScriptedServer
) -> None:
    gone = answer(404, b'{"error":"Bucket not found","code":"bucket_not_found"}')
    scripted.on("/storage/v1/bucket/b", [reset()], gone)
    assert (client.storage.delete_bucket("b")).ok
    scripted.on("/storage/v1/bucket/b", gone)
    assert not (client.storage.delete_bucket("b")).ok


# --- the source changes (reliability S6) ----------------------------------------------------------


def appended(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def truncated(path: Path) -> None:
    os.truncate(path, 3_000_000)


def rewritten(path: Path) -> None:
    other = path.with_suffix(".new")
    other.write_bytes(bytes(4_000_000))
    os.replace(other, path)


def touched(path: Path) -> None:
    os.utime(path, ns=(1, 1))


@pytest.mark.parametrize("change", [appended, truncated, rewritten, touched])
def test_a_file_that_changes_is_no_upload(
    client: AeroDBClient, scripted: ScriptedServer, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    scripted.on(OBJECT, STORED)
    path = tmp_path / "f"
    path.write_bytes(bytes(4_000_000))
    changes = iter([change])

    def progress(now: Any) -> None:
        for todo in changes:
            todo(path)

    response = client.storage.from_("b").upload("f.txt", path, progress=progress, upsert=True)
    assert response.error is not None
    assert (response.error.code, response.error.maybe_applied) == ("SOURCE_CHANGED", False)
    assert scripted.seen == []  # no request has come to its end


# --- progress (reliability S7) --------------------------------------------------------------------


def test_progress_is_told_and_cannot_break_anything(
    client: AeroDBClient, scripted: ScriptedServer, tmp_path: Path
) -> None:
    scripted.on(OBJECT, STORED, full(), full(), STORED, full())
    bucket, seen = client.storage.from_("b"), []
    (bucket.upload("f.txt", DATA, progress=seen.append)).unwrap()
    assert [now.transferred for now in seen][:: len(seen) - 1] == [0, len(DATA)]
    assert {(now.path, now.total, now.direction) for now in seen} == {
        ("f.txt", len(DATA), "upload")
    }
    assert seen[-1].fraction == 1.0
    seen.clear()
    (bucket.download("f.txt", progress=seen.append)).unwrap()
    (bucket.download_to("f.txt", tmp_path / "f", progress=seen.append)).unwrap()
    assert seen[-1].transferred == seen[-1].total == len(DATA)
    assert seen[-1].direction == "download"

    calls = []

    def failing(now: Any) -> None:
        calls.append(now)
        raise RuntimeError("boom")

    for response in (
        bucket.upload("f.txt", DATA, progress=failing),
        bucket.download("f.txt", progress=failing),
    ):
        assert response.ok
        assert response.meta.warnings == ("the progress function failed: RuntimeError: boom",)
    assert len(calls) == 2  # not called again after it has failed
    with pytest.raises(TypeError):
        bucket.upload("f.txt", DATA, progress="yes")  # type: ignore[arg-type]


@pytest.mark.parametrize("library", ["tqdm", "rich"])
def test_a_bar(
    client: AeroDBClient,
    scripted: ScriptedServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    library: str,
) -> None:
    from aerodb._io import progress_bars

    monkeypatch.setattr(progress_bars, "find_spec", lambda name: name == library or None)
    scripted.on(OBJECT, STORED)
    (client.storage.from_("b").upload("f.txt", DATA, progress=True)).unwrap()
    assert "f.txt" in capsys.readouterr().err
    monkeypatch.setattr(progress_bars, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip install"):
        client.storage.from_("b").upload("f.txt", DATA, progress=True)


# --- truncation (reliability S2) ------------------------------------------------------------------

HALF = len(DATA) // 2
LENGTH = ("Content-Length", str(len(DATA)))
CUTS: dict[str, list[list[Step]]] = {
    "short length": [[send(head(200, [LENGTH]) + DATA[:HALF]), close()]],
    "cut chunked": [[*chunked([DATA[:HALF]], complete=False), close()]],
    "cut gzip": [answer(200, gzip.compress(DATA)[:-40], [("Content-Encoding", "gzip")])],
    "no length and close": [[send(head(200) + DATA[:HALF]), close()]],
    "reset": [[send(head(200, [LENGTH]) + DATA[:HALF]), reset()]],
    "wrong range": [
        [send(head(200, [TAG, LENGTH]) + DATA[:HALF]), close()],
        part(DATA, HALF, says=f"bytes {HALF + 1}-{len(DATA)}/{len(DATA) + 1}"),
    ],
}


@pytest.mark.parametrize("cut", CUTS)
def test_less_than_everything_is_an_error(
    client: AeroDBClient, scripted: ScriptedServer, tmp_path: Path, cut: str
) -> None:
    bucket = client.storage.from_("b")
    scripted.on(OBJECT, *CUTS[cut])
    errors = [(bucket.download("f.txt")).error]
    scripted.on(OBJECT, *CUTS[cut])
    errors.append((bucket.download_to("f.txt", tmp_path / "f")).error)
    scripted.on(OBJECT, *CUTS[cut])
    with bucket.download_stream("f.txt") as stream:
        with pytest.raises(AeroDBAPIError):
            for _ in stream:
                pass
        errors.append(stream.error)
    for error in errors:
        assert error is not None
        assert error.code in ("NETWORK_ERROR", "INVALID_RESPONSE")
    assert names_in(tmp_path) == []
    assert {seen.header("accept-encoding") for seen in scripted.seen} == {"identity"}


@pytest.mark.parametrize(
    "date", [f"Mon, 1 Jan {'9' * 30} 00:00:00 GMT", f"Mon, 1 Jan 2024 00:00:00 +{'9' * 30}", "soon"]
)
def test_a_date_that_is_none_is_told_as_it_came(
    client: AeroDBClient, scripted: ScriptedServer, tmp_path: Path, date: str
) -> None:
    bucket = client.storage.from_("b")
    scripted.on(OBJECT, answer(200, DATA, [("Last-Modified", date)]))
    assert (bucket.download_to("f.txt", tmp_path / "f")).unwrap().updated_at == date
    with bucket.download_stream("f.txt") as stream:
        assert stream.info is not None
        assert stream.info.updated_at == date


def test_bytes_that_are_not_the_servers_are_not_kept(
    client: AeroDBClient, scripted: ScriptedServer, tmp_path: Path
) -> None:
    target = tmp_path / "f"
    target.write_bytes(b"before")
    scripted.on(OBJECT, full(DATA[::-1], SUM))
    bucket = client.storage.from_("b")
    error = (bucket.download_to("f.txt", target)).error
    assert error is not None
    assert error.code == "INTEGRITY_ERROR"
    assert target.read_bytes() == b"before"
    assert names_in(tmp_path) == ["f"]
    several = (bucket.download_many({"f.txt": target})).error
    assert several is not None
    assert several.code == "INTEGRITY_ERROR"
    assert target.read_bytes() == b"before"
    (bucket.download_many({"f.txt": target}, verify_checksum=False)).unwrap()
    assert target.read_bytes() == DATA[::-1]
    target.write_bytes(b"before")
    (bucket.download_to("f.txt", target, verify_checksum=False)).unwrap()
    assert target.read_bytes() == DATA[::-1]
    scripted.on(OBJECT, full(DATA, SUM))
    (bucket.download_to("f.txt", target)).unwrap()


@pytest.mark.parametrize("way", ["download", "download_stream"])
def test_bytes_that_are_not_the_servers_are_no_content(
    client: AeroDBClient, scripted: ScriptedServer, tmp_path: Path, way: str
) -> None:
    scripted.on(OBJECT, full(DATA[::-1], SUM))
    with pytest.raises(AeroDBAPIError) as caught:
        fetched(client, tmp_path, way)
    assert caught.value.code == "INTEGRITY_ERROR"
    assert caught.value.error.status == 200
    assert fetched(client, tmp_path, way, verify_checksum=False) == DATA[::-1]
    scripted.on(OBJECT, full(DATA, SUM))
    assert fetched(client, tmp_path, way) == DATA


@pytest.mark.parametrize("way", ["download", "download_to", "download_stream"])
def test_the_sum_is_compared_once_it_is_whole(
    client: AeroDBClient, scripted: ScriptedServer, tmp_path: Path, way: str
) -> None:
    """Over several answers, and after a beginning that was dropped."""
    scripted.on(OBJECT, [serve_from(DATA, ['"v"'], [HALF], SUM)])
    assert fetched(client, tmp_path, way) == DATA
    wrong = DATA[:HALF] + DATA[HALF:][::-1]
    scripted.on(OBJECT, [serve_from(wrong, ['"v"'], [HALF], SUM)])
    with pytest.raises(AeroDBAPIError) as caught:
        fetched(client, tmp_path, way)
    assert caught.value.code == "INTEGRITY_ERROR"
    if way != "download_stream":
        scripted.on(OBJECT, [serve_from(DATA, ['"v1"', '"v2"'], [HALF], SUM)])
        assert fetched(client, tmp_path, way) == DATA


def test_a_part_is_not_held_against_the_sum_of_the_whole(
    client: AeroDBClient, scripted: ScriptedServer
) -> None:
    scripted.on(OBJECT, part(DATA[:8], 3, SUM, says="bytes 3-7/100"))
    bucket = client.storage.from_("b")
    assert (bucket.download("f.txt", range=(3, 7))).unwrap() == DATA[3:8]


# --- going on (reliability S4) --------------------------------------------------------------------


def serve_from(data: bytes, tags: list[str], cuts: list[int], *more: tuple[str, str]) -> Step:
    """A server of ranges that ends a body after so many bytes of it; the last is whole."""

    def step(sock: Any, seen: Any) -> None:
        tag = tags.pop(0) if len(tags) > 1 else tags[0]
        wanted = seen.header("range")
        first = int(wanted[6:-1]) if wanted and seen.header("if-range") in (None, tag) else 0
        body = data[first:]
        headers = [("ETag", tag), ("Content-Length", str(len(body))), *more]
        if first:
            headers.append(("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}"))
        if cuts:
            body = body[: cuts.pop(0)]
        sock.sendall(head(206 if first else 200, headers) + body)
        if len(body) + first < len(data):
            close()(sock, seen)

    return step


@pytest.mark.parametrize("way", ["download", "download_to", "download_stream"])
def test_twenty_cuts_cost_nothing_but_time(
    client: AeroDBClient, scripted: ScriptedServer, tmp_path: Path, way: str
) -> None:
    cuts = [len(DATA) // 25] * 20
    scripted.on(OBJECT, [serve_from(DATA, ['"v1"'], cuts)])
    assert fetched(client, tmp_path, way) == DATA
    assert len(scripted.seen) == 21
    starts = [int((seen.header("range") or "bytes=0-")[6:-1]) for seen in scripted.seen]
    assert starts == [number * (len(DATA) // 25) for number in range(21)]
    assert {seen.header("if-range") for seen in scripted.seen[1:]} == {'"v1"'}


def fetched(client: AeroDBClient, folder: Path, way: str, **more: Any) -> bytes:
    bucket = client.storage.from_("b")
    if way == "download":
        return (bucket.download("f.txt", **more)).unwrap()
    if way == "download_to":
        (bucket.download_to("f.txt", folder / "f", **more)).unwrap()
        return (folder / "f").read_bytes()
    found = b""
    with bucket.download_stream("f.txt", **more) as stream:
        assert stream.error is None
        for piece in stream:
            found += piece
    return found


@pytest.mark.parametrize("way", ["download", "download_to"])
def test_a_new_version_is_fetched_from_its_beginning(
    client: AeroDBClient, scripted: ScriptedServer, tmp_path: Path, way: str
) -> None:
    scripted.on(OBJECT, [serve_from(DATA, ['"v1"', '"v2"'], [HALF])])
    assert fetched(client, tmp_path, way) == DATA
    assert len(scripted.seen) == 2


def test_a_new_version_cannot_go_on_in_a_stream(
    client: AeroDBClient, scripted: ScriptedServer, tmp_path: Path
) -> None:
    scripted.on(OBJECT, [serve_from(DATA, ['"v1"', '"v2"'], [HALF])])
    with pytest.raises(AeroDBAPIError) as caught:
        fetched(client, tmp_path, "download_stream")
    assert caught.value.code == "SOURCE_CHANGED"


def test_a_part_of_an_object(client: AeroDBClient, scripted: ScriptedServer) -> None:
    scripted.on(OBJECT, part(DATA[:8], 3, says="bytes 3-7/100"))
    bucket = client.storage.from_("b")
    assert (bucket.download("f.txt", range=(3, 7))).unwrap() == DATA[3:8]
    assert scripted.seen[-1].header("range") == "bytes=3-7"
    scripted.on(OBJECT, answer(416, b'{"error":"no","code":"range_not_satisfiable"}'))
    error = (bucket.download("f.txt", range=(900, None))).error
    assert error is not None
    assert error.code == "range_not_satisfiable"


def test_a_limit_on_what_is_held(client: AeroDBClient, scripted: ScriptedServer) -> None:
    scripted.on(OBJECT, full(), chunked([DATA], [TAG]))
    for _ in range(2):
        error = (client.storage.from_("b").download("f.txt", max_bytes=1000)).error
        assert error is not None
        assert error.code == "RESPONSE_TOO_LARGE"


# --- where it goes ------------------------------------------------------------------------------


def test_a_file_is_its_owners_and_appears_whole(
    client: AeroDBClient, scripted: ScriptedServer, tmp_path: Path
) -> None:
    during: list[tuple[str, int]] = []

    def look(now: Any) -> None:
        during.extend((p.name, p.stat().st_mode & 0o777) for p in tmp_path.iterdir())

    scripted.on(OBJECT, full(bytes(3_000_000)))
    made = client.storage.from_("b").download_to("f.txt", tmp_path / "f", progress=look)
    assert made.unwrap().size == 3_000_000
    assert {mode for _, mode in during} == {0o600}
    assert "f" not in {name for name, _ in during}
    assert names_in(tmp_path) == ["f"]


def test_a_link_in_the_place_is_replaced_not_followed(
    client: AeroDBClient, scripted: ScriptedServer, tmp_path: Path
) -> None:
    scripted.on(OBJECT, full())
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"theirs")
    (tmp_path / "f").symlink_to(elsewhere)
    (client.storage.from_("b").download_to("f.txt", tmp_path / "f")).unwrap()
    assert elsewhere.read_bytes() == b"theirs"
    assert (tmp_path / "f").read_bytes() == DATA
    assert not (tmp_path / "f").is_symlink()


@pytest.mark.parametrize("target", ["missing/f", ".", ""])
def test_a_place_that_cannot_be_written(
    client: AeroDBClient, scripted: ScriptedServer, tmp_path: Path, target: str
) -> None:
    scripted.on(OBJECT, full())
    error = (client.storage.from_("b").download_to("f.txt", tmp_path / target)).error
    assert error is not None
    assert error.code == "FILE_ERROR"
    assert names_in(tmp_path) == []


def test_an_open_file_is_written_to(client: AeroDBClient, scripted: ScriptedServer) -> None:
    scripted.on(OBJECT, [serve_from(DATA, ['"v1"', '"v2"'], [HALF])])
    into = io.BytesIO()
    into.write(b"before ")
    (client.storage.from_("b").download_to("f.txt", into)).unwrap()
    assert into.getvalue() == b"before " + DATA


def test_nothing_leads_out_of_a_folder(
    client: AeroDBClient, scripted: ScriptedServer, tmp_path: Path
) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.mkdir()
    folder.mkdir()
    (folder / "link").symlink_to(outside)
    scripted.on("/storage/v1/object/b/link/f.txt", full())
    scripted.on("/storage/v1/object/b/sub/f.txt", full())
    bucket = client.storage.from_("b")
    many = bucket.download_many(["link/f.txt", "sub/f.txt", "../f.txt"], folder)
    assert many.data is not None
    assert [one.error and one.error.code for one in many.data] == [
        "FILE_ERROR",
        None,
        "INVALID_ARGUMENT",
    ]
    assert many.error is many.data[0].error
    assert names_in(outside) == []
    assert (folder / "sub" / "f.txt").read_bytes() == DATA


# --- several at once ------------------------------------------------------------------------------


def test_many_at_once_but_not_more(scripted: ScriptedServer) -> None:
    paths = [f"{number}.txt" for number in range(12)]
    for path in paths:
        scripted.on(f"/storage/v1/object/b/{path}", [wait(0.05), *STORED])
    scripted.on("/storage/v1/object/b/5.txt", answer(413, b'{"code":"file_too_large"}'))
    with AeroDBClient(f"http://127.0.0.1:{scripted.port}", KEY) as client:
        many = client.storage.from_("b").upload_many(
            [(path, path.encode()) for path in paths], concurrency=3
        )
    assert many.error is not None
    assert many.error.code == "file_too_large"
    assert many.data is not None
    assert [one.ok for one in many.data] == [path != "5.txt" for path in paths]
    sent = {seen.target.rpartition("/")[2]: uploaded(seen).content for seen in scripted.seen}
    assert sent == {path: path.encode() for path in paths}
    assert 1 < scripted.most_at_once <= 3


def test_many_with_a_number_that_is_none(client: AeroDBClient) -> None:
    wrong: list[Any] = [0, -1, 65, True, 1.5, "4", None]
    for concurrency in wrong:
        response = client.storage.from_("b").upload_many({}, concurrency=concurrency)
        assert response.error is not None
    assert (client.storage.from_("b").upload_many({})).unwrap() == []


@pytest.mark.parametrize("paths", [None, 7, b"ab"])
def test_names_that_are_none(
    client: AeroDBClient, scripted: ScriptedServer, paths: Any
) -> None:
    bucket = client.storage.from_("b")
    for response in (bucket.remove(paths), bucket.create_signed_urls(paths, 60)):
        assert response.error is not None
        assert response.error.code == "INVALID_ARGUMENT"
    assert scripted.seen == []


@pytest.mark.parametrize("value", [["name"], {}, 7, "none"])
def test_settings_that_are_none(
    client: AeroDBClient, scripted: ScriptedServer, value: Any
) -> None:
    bucket = client.storage.from_("b")
    for response in (
        bucket.list(sort_by=(value, "asc")),
        bucket.list(sort_by=("name", value)),
        bucket.list_v2(sort_by=(value, "asc")),
        client.storage.list_buckets(sort_by=(value, "asc")),
        client.storage.create_bucket("bucket", policy=value),
        client.storage.update_bucket("bucket", policy=value),
    ):
        assert response.error is not None
        assert response.error.code == "INVALID_ARGUMENT"
    assert scripted.seen == []


WHOLE = {"path": "a", "signedURL": "/object/sign/b/a?token=t", "error": None}


@pytest.mark.parametrize(
    "found",
    [7, {}, {"path": "b"}, {"path": "b", "signedURL": "no url"}, {"signedURL": "/object/x"}],
)
def test_of_several_signed_urls_none_is_lost(
    client: AeroDBClient, scripted: ScriptedServer, found: Any
) -> None:
    """What cannot be read among them is no reason to pass over it."""
    scripted.on("/storage/v1/object/sign/b", answer(200, json.dumps([WHOLE, found]).encode()))
    error = (client.storage.from_("b").create_signed_urls(["a", "b"], 60)).error
    assert error is not None
    assert error.code == "INVALID_RESPONSE"


def test_one_name_is_one_name(client: AeroDBClient, scripted: ScriptedServer) -> None:
    scripted.on("/storage/v1/object/sign/b", answer(200, b"[]"))
    scripted.on("/storage/v1/object/b", answer(200, b"[]"))
    bucket = client.storage.from_("b")
    (bucket.create_signed_urls("abc", 60)).unwrap()
    (bucket.remove("abc")).unwrap()
    signed, removed = (json.loads(seen.body) for seen in scripted.seen)
    assert (signed["paths"], removed["prefixes"]) == (["abc"], ["abc"])


# --- time and redirects ---------------------------------------------------------------------------


def test_a_transfer_may_take_its_time_but_not_stand_still(
    client: AeroDBClient, scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "IDLE_SECONDS", 1.0)
    monkeypatch.setattr(upload, "IDLE_SECONDS", 1.0)
    bucket = client.storage.from_("b")
    slow = [send(head(200, [TAG, ("Content-Length", "12")])), trickle(b"twelve bytes", 0.2)]
    scripted.on(OBJECT, slow)
    assert (bucket.download("f.txt")).unwrap() == b"twelve bytes"
    scripted.on(OBJECT, [wait(5), *STORED])
    error = (bucket.upload("f.txt", DATA)).error
    assert error is not None
    assert error.code == "TIMEOUT"


def test_a_total_time_may_be_set(client: AeroDBClient, scripted: ScriptedServer) -> None:
    slow = [send(head(200, [TAG, ("Content-Length", "40")])), trickle(b"x" * 40, 0.2)]
    scripted.on(OBJECT, slow)
    error = (client.storage.from_("b").download("f.txt", timeout=0.6)).error
    assert error is not None
    assert error.code == "TIMEOUT"
    for wrong in (0, -1, "1", True):
        response = client.storage.from_("b").download("f.txt", timeout=wrong)  # type: ignore[arg-type]
        assert response.error is not None
        assert response.error.code == "INVALID_ARGUMENT"


def test_nothing_goes_to_another_origin(
    client: AeroDBClient, scripted: ScriptedServer, tmp_path: Path
) -> None:
    with ScriptedServer() as other:
        away = answer(307, b"", [("Location", f"http://127.0.0.1:{other.port}{OBJECT}")])
        scripted.on(OBJECT, away)
        scripted.on("/storage/v1/upload/resumable", away)
        bucket = client.storage.from_("b")
        for response in (
            bucket.download("f.txt"),
            bucket.download_to("f.txt", tmp_path / "f"),
            bucket.upload("f.txt", DATA, upsert=True),
            bucket.upload_resumable("f.txt", DATA),
        ):
            assert response.error is not None
            assert response.error.code == "UNEXPECTED_REDIRECT"
        created = answer(201, b"", [("Location", f"http://127.0.0.1:{other.port}/u1")])
        scripted.on("/storage/v1/upload/resumable", created)
        unsafe = (bucket.upload_resumable("f.txt", DATA)).error
        given = f"http://127.0.0.1:{other.port}/storage/v1/upload/resumable/u1"
        also = (bucket.upload_resumable("f.txt", DATA, upload_url=given)).error
        assert unsafe is not None
        assert also is not None
        assert unsafe.code == also.code == "UNSAFE_LOCATION"
        assert other.seen == []
        assert other.connections == 0


def test_a_signed_url_on_another_host_is_handed_on_and_not_asked(
    client: AeroDBClient, scripted: ScriptedServer
) -> None:
    with ScriptedServer() as other:
        url = f"http://127.0.0.1:{other.port}/o?token=abcdefgh"
        body = json.dumps({"signedUrl": url}).encode()
        scripted.on("/storage/v1/object/sign/b/f.txt", answer(200, body))
        signed = (client.storage.from_("b").create_signed_url("f.txt", 60)).unwrap()
        assert signed.url == url
        assert "abcdefgh" not in repr(signed)
        assert other.connections == 0


def test_what_is_closed_says_so(scripted: ScriptedServer) -> None:
    client = AeroDBClient(
        f"http://127.0.0.1:{scripted.port}", KEY, options=ClientOptions(retries=0)
    )
    client.close()
    error = (client.storage.from_("b").upload("f.txt", DATA)).error
    assert error is not None
    assert error.code == "CLIENT_CLOSED"
