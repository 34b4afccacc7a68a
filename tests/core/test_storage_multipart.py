"""The form around an upload is one that an independent parser reads back."""

from __future__ import annotations

import email
import email.policy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aerodb._core.storage.multipart import form
from aerodb._core.storage.upload import Upload, checked_upload, upload_form
from aerodb.types import AeroDBError


def parsed(content_type: str, body: bytes) -> list[tuple[str, str | None, str, bytes]]:
    """Name, file name, type and content of each part, by the standard library."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message: Any = email.message_from_bytes(head + body, policy=email.policy.HTTP)
    return [
        (
            part.get_param("name", header="content-disposition"),
            part.get_filename(),
            part.get_content_type(),
            part.get_payload(decode=True),
        )
        for part in message.iter_parts()
    ]


@given(content=st.binary(max_size=2000), seconds=st.none() | st.integers(0, 10**9))
def test_the_file_stands_between_head_and_tail(content: bytes, seconds: int | None) -> None:
    made = form(
        "0" * 32,
        file_name="a.bin",
        content_type="application/x-thing",
        cache_seconds=None if seconds is None else str(seconds),
        metadata=b'{"a":1}',
    )
    # message parsers normalise line ends in text; a single byte pattern avoids what they do to it
    payload = content.replace(b"\r", b"R").replace(b"\n", b"N")
    parts = parsed(made.content_type, made.head + payload + made.tail)
    names = ["cacheControl"] * (seconds is not None) + ["metadata", "file"]
    assert [part[0] for part in parts] == names
    assert parts[-2][3] == b'{"a":1}'
    assert parts[-1] == ("file", "a.bin", "application/x-thing", payload)


@given(st.text(alphabet=st.characters(codec="ascii"), min_size=1, max_size=30))
def test_a_file_name_cannot_end_its_header(name: str) -> None:
    made = form("b", file_name=name, content_type="text/plain")
    head = made.head.split(b"\r\n\r\n")[0]
    assert head.count(b"\r\n") == 2
    assert b'filename="' in head
    assert head.split(b'filename="')[1].split(b"\r\n")[0].count(b'"') == 1


def test_arguments_that_cannot_be_sent() -> None:
    wrong: list[dict[str, Any]] = [
        {"content_type": "png"},
        {"content_type": "image/png\r\nX: 1"},
        {"content_type": 3},
        {"cache_control": -1},
        {"cache_control": ""},
        {"cache_control": "no-store\n"},
        {"metadata": [1]},
        {"metadata": {"a": object()}},
        {"checksum": "abc"},
        {"checksum": 1.5},
    ]
    for arguments in wrong:
        found = checked_upload(**arguments)
        assert isinstance(found, AeroDBError), arguments
        assert found.code == "INVALID_ARGUMENT"


def test_seconds_go_into_the_form_and_texts_into_the_header() -> None:
    for given_as, seconds, header in (
        (60, "60", None),
        ("60", "60", None),
        ("no-store", None, "no-store"),
        (None, None, None),
    ):
        upload = checked_upload(cache_control=given_as)
        assert isinstance(upload, Upload)
        assert (upload.cache_seconds, upload.cache_header) == (seconds, header)


def test_the_type_is_the_callers_or_what_was_guessed() -> None:
    given_one, guessed = checked_upload(content_type="a/b"), checked_upload()
    assert isinstance(given_one, Upload)
    assert isinstance(guessed, Upload)
    assert b"Content-Type: a/b" in upload_form(given_one, "b", "x/y.png", "image/png").head
    head = upload_form(guessed, "b", "x/y.png", "image/png").head
    assert b"Content-Type: image/png" in head
    assert b'filename="y.png"' in head


def test_a_mapping_of_file_options_is_told_what_goes_where() -> None:
    """What other clients take third: `upload(path, file, {"content-type": ..., "upsert": ...})`."""
    refused = checked_upload(content_type={"content-type": "text/plain"})
    assert isinstance(refused, AeroDBError)
    assert "not dict" in refused.message
    assert "upsert=" in (refused.hint or "")
    wrong = checked_upload(content_type="png")
    assert isinstance(wrong, AeroDBError)
    assert "not 'png'" in wrong.message
