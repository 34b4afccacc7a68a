"""Accept and Content-Type."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb.local.rest.media_types import accepted_types, canonical_type


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("application/json", "application/json"),
        ("application/json; charset=utf-8", "application/json"),
        ("APPLICATION/JSON", "application/json"),
        ("application/vnd.pgrst.object+json", "application/vnd.pgrst.object+json"),
        ("ApplicatIon/vnd.PgRsT.object+json", "application/vnd.pgrst.object+json"),
        ("application/vnd.pgrst.object", "application/vnd.pgrst.object+json"),
        (
            "application/vnd.pgrst.object+json;nulls=stripped",
            "application/vnd.pgrst.object+json;nulls=stripped",
        ),
        ("application/vnd.pgrst.array+json", "application/json"),
        (
            "application/vnd.pgrst.array; nulls=stripped",
            "application/vnd.pgrst.array+json;nulls=stripped",
        ),
        (
            "application/vnd.pgrst.plan;",
            'application/vnd.pgrst.plan+text; for="application/json"',
        ),
        (
            'application/vnd.pgrst.plan+json ; for="text/xml" ; options=wal|analyze|x',
            'application/vnd.pgrst.plan+json; for="text/xml"; options=analyze|wal',
        ),
        ("text/csv;header=present", "text/csv"),
        ("*/*", "*/*"),
        ("application/vnd.twkb", "application/vnd.twkb"),
        ("Image/PNG", "Image/PNG"),
        ("nonsense", "nonsense"),
        ("", ""),
    ],
)
def test_canonical(text: str, canonical: str) -> None:
    assert canonical_type(text) == canonical


@pytest.mark.parametrize(
    ("header", "types"),
    [
        (None, ("*/*",)),
        ("", ()),
        ("text/csv", ("text/csv",)),
        ("text/csv;q=0.5, application/json", ("application/json", "text/csv")),
        ("*/*, text/csv", ("text/csv", "*/*")),
        ("text/html,application/xml;q=0.9,*/*;q=0.8", ("text/html", "application/xml", "*/*")),
        ("a/b;q=x, c/d;q=0.1", ("a/b", "c/d")),
    ],
)
def test_accepted(header: str | None, types: tuple[str, ...]) -> None:
    assert accepted_types(header) == types


@given(st.text(max_size=120))
def test_any_header_parses(header: str) -> None:
    for media in accepted_types(header):
        assert canonical_type(media) == media or not media.isascii() or " " in media
