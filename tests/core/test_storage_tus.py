"""The machine of resumable uploads, against a model of a server that fails as it likes."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb._core.storage.state import Saved, dump_state, load_state
from aerodb._core.storage.tus import Pause, Resumable, resumable_problem, upload_path
from aerodb._core.storage.upload import Upload, checked_upload
from aerodb._core.url import parse_base_url
from aerodb.types import AeroDBError

BASE = parse_base_url("http://127.0.0.1:5000/proxy")
ROOT = "/proxy/storage/v1/upload/resumable"


def machine(size: int = 10, chunk: int = 4, retries: int = 2, **more: Any) -> Resumable:
    return Resumable(BASE, size, chunk=chunk, retries=retries, **more)


def heads(**given: Any) -> list[tuple[bytes, bytes]]:
    return [(n.replace("_", "-").encode(), str(v).encode()) for n, v in given.items()]


def failure(status: int | None, code: str = "http_0", *, retryable: bool = False) -> AeroDBError:
    return AeroDBError("no", status, code, retryable=retryable, maybe_applied=status is None)


BROKE = failure(None, "NETWORK_ERROR", retryable=True)


def begun(offset: int = 0, **more: Any) -> Resumable:
    made = machine(**more)
    assert made.answered(heads(location=f"{ROOT}/u1")) is None
    if offset:
        assert made.answered(heads(upload_offset=offset)) is None
    return made


def test_the_straight_way() -> None:
    made = machine()
    assert made.step == "create"
    assert made.answered(heads(location=f"http://127.0.0.1:5000{ROOT}/u1")) is None
    assert made.location == "/storage/v1/upload/resumable/u1"
    sent = []
    while made.step == "send":
        sent.append((made.offset, made.part))
        assert made.answered(heads(upload_offset=made.offset + made.part)) is None
    assert sent == [(0, 4), (4, 4), (8, 2)]
    assert made.step == "done"


@pytest.mark.parametrize(
    ("error", "step"),
    [
        (BROKE, "ask"),
        (failure(503, retryable=True), "ask"),
        (failure(429, retryable=True), "ask"),
        (failure(409), "ask"),
        (failure(423), "ask"),
        (failure(460), "send"),
        (failure(404), "create"),
        (failure(410), "create"),
    ],
)
def test_what_follows_a_failed_chunk(error: AeroDBError, step: str) -> None:
    made = begun(offset=4)
    assert isinstance(made.failed(error, 0.5), Pause)
    assert made.step == step
    if step == "create":
        assert (made.location, made.offset) == (None, 0)


@pytest.mark.parametrize("status", [400, 401, 403, 413, 415, 500, 507])
def test_what_ends_it(status: int) -> None:
    error = failure(status)
    assert begun().failed(error, 0.5) is error


@pytest.mark.parametrize(
    ("status", "code"), [(405, "http_405"), (412, "x"), (501, "x"), (404, "not_found")]
)
def test_a_server_without_such_uploads(status: int, code: str) -> None:
    found = machine().failed(failure(status, code), 0.5)
    assert isinstance(found, AeroDBError)
    assert found.code == "NOT_SUPPORTED"
    missing = failure(404, "bucket_not_found")
    assert machine().failed(missing, 0.5) is missing


def test_progress_makes_good_for_failures() -> None:
    made = begun(size=1000, chunk=10)
    for offset in range(10, 500, 10):
        for _ in range(2):
            assert isinstance(made.failed(BROKE, 0.0), Pause)
            assert made.answered(heads(upload_offset=made.offset)) is None
        assert made.answered(heads(upload_offset=offset)) is None
    for _ in range(2):
        assert isinstance(made.failed(BROKE, 0.0), Pause)
    assert made.failed(BROKE, 0.0) is BROKE


def test_a_server_that_loses_what_it_has_taken_is_left() -> None:
    made = begun(offset=4)
    for _ in range(2):
        assert isinstance(made.failed(BROKE, 0.0), Pause)
        assert made.answered(heads(upload_offset=0)) is None
        assert made.answered(heads(upload_offset=4)) is None
    assert made.failed(BROKE, 0.0) is BROKE


def test_a_server_that_forgets_is_left() -> None:
    made, gone = machine(), failure(404)
    for _ in range(3):
        made.answered(heads(location=f"{ROOT}/u1"))
        assert isinstance(made.failed(gone, 0.0), Pause)
    made.answered(heads(location=f"{ROOT}/u1"))
    assert made.failed(gone, 0.0) is gone


@pytest.mark.parametrize("offset", [None, "x", 0, 5, 99])
def test_an_offset_that_makes_no_sense_is_asked_for(offset: Any) -> None:
    made = begun()
    given_as = {} if offset is None else {"upload_offset": offset}
    assert made.answered(heads(**given_as)) is None
    assert made.step == "ask"


def test_another_files_upload_is_not_gone_on_with() -> None:
    for told in ({"upload_offset": 11}, {"upload_offset": 3, "upload_length": 9}):
        made = machine(location="/storage/v1/upload/resumable/u1")
        assert made.step == "ask"
        assert made.answered(heads(**told)) is None
        assert made.step == "create"


@pytest.mark.parametrize(
    "location",
    [
        "",
        "http://evil.example/proxy/storage/v1/upload/resumable/u1",
        "//evil.example/proxy/storage/v1/upload/resumable/u1",
        "http://127.0.0.1:5001/proxy/storage/v1/upload/resumable/u1",
        "https://127.0.0.1:5000/proxy/storage/v1/upload/resumable/u1",
        "http://u:p@127.0.0.1:5000/proxy/storage/v1/upload/resumable/u1",
        "/storage/v1/upload/resumable/u1",  # outside of the prefix
        f"{ROOT}/../../object/u1",
        f"{ROOT}/%2e%2e/u1",
        f"{ROOT}/",
        f"{ROOT}",
        f"{ROOT}x/u1",
        "/proxy/storage/v1/object/b/u1",
        "u1",
        f"{ROOT}/u 1",
        f"{ROOT}\\u1",
    ],
)
def test_a_location_elsewhere_is_refused(location: str) -> None:
    found = machine().answered(heads(location=location))
    assert found is not None
    assert found.code == "UNSAFE_LOCATION"
    assert upload_path(BASE, location) is None


def test_what_is_said_at_creation() -> None:
    upload = checked_upload(metadata={"a": "é"}, cache_control=60, upsert=True)
    assert isinstance(upload, Upload)
    call = machine().create_call("b", "x/é.png", upload, "image/png")
    sent = dict(call.headers)
    pairs = dict(pair.split(" ") for pair in sent["Upload-Metadata"].split(","))
    assert {name: base64.b64decode(value).decode() for name, value in pairs.items()} == {
        "bucketName": "b",
        "objectName": "x/é.png",
        "contentType": "image/png",
        "cacheControl": "60",
        "metadata": '{"a":"é"}',
    }
    assert (sent["Upload-Length"], sent["x-upsert"]) == ("10", "true")


class Model:
    """A server that keeps what it gets, and whose answers may get lost."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.data: list[int] | None = None

    def carry_out(self, made: Resumable, event: str) -> AeroDBError | None:
        if event == "unsent":
            return made_error(made.failed(BROKE, 0.0))
        if event == "forget":
            self.data = None
        if made.step == "create":
            self.data = []
            return self.answer(made, event, location=f"{ROOT}/u1")
        if self.data is None:
            return made_error(made.failed(failure(404), 0.0))
        if made.step == "ask":
            return self.answer(made, event, upload_offset=len(self.data), upload_length=self.size)
        if made.offset != len(self.data):
            return made_error(made.failed(failure(409), 0.0))
        chunk = range(made.offset, made.offset + made.part)
        kept = chunk[: len(chunk) // 2] if event == "half" else chunk
        self.data += kept
        if event == "half":
            return made_error(made.failed(BROKE, 0.0))
        return self.answer(made, event, upload_offset=len(self.data))

    def answer(self, made: Resumable, event: str, **headers: Any) -> AeroDBError | None:
        if event == "lost":
            return made_error(made.failed(BROKE, 0.0))
        return made.answered(heads(**headers))


def made_error(verdict: Any) -> AeroDBError | None:
    return verdict if isinstance(verdict, AeroDBError) else None


@given(
    size=st.integers(1, 60),
    chunk=st.integers(1, 20),
    events=st.lists(st.sampled_from(["fine", "unsent", "lost", "half", "forget"]), max_size=40),
)
def test_whatever_fails_the_server_has_every_byte_once(
    size: int, chunk: int, events: list[str]
) -> None:
    made, server = machine(size, chunk), Model(size)
    plan = iter(events)
    for _ in range(1000):
        if made.step == "done":
            break
        error = server.carry_out(made, next(plan, "fine"))
        if error is not None:
            return  # given up: that is allowed, a wrong object is not
    assert made.step == "done"
    assert server.data == list(range(size))


@given(url=st.text(), bucket=st.text(), path=st.text(), fingerprint=st.text())
def test_a_state_is_read_back(url: str, bucket: str, path: str, fingerprint: str) -> None:
    saved = Saved(url, bucket, path, fingerprint)
    assert load_state(dump_state(saved)) == saved


@given(st.binary(max_size=200))
def test_no_state_raises(data: bytes) -> None:
    load_state(data)


def test_arguments() -> None:
    assert resumable_problem(1024, None) is None
    assert all(resumable_problem(size, None) for size in (0, -1, True, "1 MiB", 1.5))
    assert resumable_problem(1024, 3)


def announced(bucket: str, name: str) -> str:
    return f"bucketName {b64(bucket)}, objectName {b64(name)},contentType {b64('a/b')}"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("metadata", "code", "named"),
    [
        (announced("b", "é/f"), None, True),
        (announced("b", "other"), "INVALID_ARGUMENT", False),
        (announced("other", "é/f"), "INVALID_ARGUMENT", False),
        ("", None, False),
        ("bucketName,objectName ====", None, False),
        (f"objectName {b64('é/f')}", None, False),
    ],
)
def test_an_upload_of_another_object_is_not_gone_on_with(
    metadata: str, code: str | None, named: bool
) -> None:
    made = machine(location="/storage/v1/upload/resumable/u1", target=("b", "é/f"))
    made.named = False
    error = made.answered(heads(upload_offset=4, upload_length=10, upload_metadata=metadata))
    assert (error.code if error else None) == code
    assert made.named is named
    if error is None:
        assert (made.step, made.offset, made.taken_over) == ("send", 4, 4)


def test_what_was_not_sent_cannot_have_arrived() -> None:
    made = begun()
    assert made.answered(heads(upload_offset=4), whole=False) is None
    assert (made.step, made.offset) == ("ask", 0)
    made = begun()
    assert made.answered(heads(upload_offset=3), whole=False) is None
    assert (made.step, made.offset) == ("send", 3)
