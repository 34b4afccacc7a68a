"""Server-sent events and lines: however the bytes are cut, what comes out is the same."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb._core.functions import EventReader, LineSplitter, ServerSentEvent
from aerodb._core.functions.lines import TooLong
from aerodb.local.functions import event

LIMIT = 1_000_000
LINE_END = re.compile(r"\r\n|\n|\r")


def by_the_standard(stream: bytes) -> list[ServerSentEvent]:
    """The standard's own steps over the whole stream at once: another way than the reader's."""
    text = stream.decode("utf-8", "replace").removeprefix("\ufeff")
    lines = LINE_END.split(text)[:-1]  # the last one has no end: it is discarded
    data = kind = last_id = ""
    retry: int | None = None
    found: list[ServerSentEvent] = []
    for line in lines:
        if line == "":
            if data != "":
                found.append(ServerSentEvent(data[:-1], kind or "message", last_id, retry))
            data = kind = ""
            continue
        if line.startswith(":"):
            continue
        name, _, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if name == "event":
            kind = value
        elif name == "data":
            data += value + "\n"
        elif name == "id" and "\0" not in value:
            last_id = value
        elif name == "retry" and re.fullmatch("[0-9]+", value):
            retry = int(value[:18])
    return found


def read(stream: bytes, cuts: list[int]) -> list[ServerSentEvent]:
    reader = EventReader(LIMIT)
    found: list[ServerSentEvent] = []
    start = 0
    for end in [*sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]:
        found += reader.feed(stream[start:end])
        start = end
    return found


WORDS = ["data", "event", "id", "retry", ":", ": ", " ", "\n", "\r", "\r\n", "\n\n", "\ufeff",
         "\0", "17", "ä€😀", "x", "datax", "\u2028", "\x0b", "\x85"]  # fmt: skip
streams = st.one_of(
    st.binary(max_size=200),
    st.lists(st.sampled_from(WORDS), max_size=60).map(lambda words: "".join(words).encode()),
)


@given(streams, st.lists(st.integers(0, 400), max_size=12))
def test_events_are_those_of_the_standard_however_they_are_cut(
    stream: bytes, cuts: list[int]
) -> None:
    assert read(stream, cuts) == by_the_standard(stream)


@given(streams)
def test_byte_by_byte(stream: bytes) -> None:
    assert read(stream, list(range(len(stream)))) == by_the_standard(stream)


@given(streams, st.lists(st.integers(0, 400), max_size=12))
def test_lines_are_the_same_however_they_are_cut(stream: bytes, cuts: list[int]) -> None:
    splitter = LineSplitter(LIMIT)
    found: list[bytes] = []
    start = 0
    for end in [*sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]:
        found += splitter.feed(stream[start:end])
        start = end
    found += splitter.finish()
    assert found == stream.splitlines()
    assert splitter.finish() == []


@given(
    st.text() | st.dictionaries(st.text(), st.integers(), min_size=1),
    st.none() | st.text(st.characters(exclude_characters="\r\n\0", codec="utf-8"), min_size=1),
    st.none() | st.text(st.characters(exclude_characters="\r\n\0", codec="utf-8")),
    st.lists(st.integers(0, 400), max_size=6),
)
def test_what_the_instance_writes_is_what_the_client_reads(
    data: object, name: str | None, id: str | None, cuts: list[int]
) -> None:
    try:
        stream = event(data, name=name, id=id, retry=1500).encode()
    except UnicodeEncodeError:
        return
    (found,) = read(stream, cuts)
    assert found.event == (name or "message")
    assert found.id == (id or "")
    assert found.retry == 1500
    if isinstance(data, str):
        assert found.data == LINE_END.sub("\n", data)
    else:
        assert found.json() == data


@pytest.mark.parametrize("bad", ["a\nb", "a\rb", "a\0b"])
def test_no_name_or_id_can_begin_another_field(bad: str) -> None:
    with pytest.raises(ValueError, match="one line"):
        event("x", name=bad)
    with pytest.raises(ValueError, match="one line"):
        event("x", id=bad)


def test_an_event_ended_by_cr_is_there_at_once() -> None:
    reader = EventReader(LIMIT)
    assert [one.data for one in reader.feed(b"data: 1\r\r")] == ["1"]
    assert [one.data for one in reader.feed(b"\ndata: 2\r\n\r\n")] == ["2"]


def test_the_id_stays_and_the_type_does_not() -> None:
    one, other = read(b"id: 7\nevent: tick\ndata: a\n\ndata: b\n\n", [])
    assert (one.event, one.id, other.event, other.id) == ("tick", "7", "message", "7")


@pytest.mark.parametrize(
    "pieces",
    [
        [b"data: " + b"x" * 200 + b"\n\n"],
        [b"x"] * 200,
        [b"data: " + b"x" * 40 + b"\n"] * 4,
        [b"x" * 90, b"x" * 90 + b"\n"],
    ],
)
def test_no_line_and_no_event_is_held_beyond_the_limit(pieces: list[bytes]) -> None:
    reader = EventReader(100)
    with pytest.raises(TooLong):
        for piece in pieces:
            reader.feed(piece)


def test_many_events_that_are_small_enough_pass() -> None:
    reader = EventReader(100)
    stream = b"data: " + b"x" * 80 + b"\n\n"
    assert sum(len(reader.feed(stream * 10)) for _ in range(10)) == 100
