"""No secret reaches a text (wire-contract §1.9 S7, reliability C4)."""

from __future__ import annotations

import copy
import pickle
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb._core.redact import Secret, redact_headers, redact_json, redact_text, redact_url

CANARY = "c4n4ry-0123456789-abcdef"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLXBhcnQ"


@pytest.mark.parametrize("show", [str, repr, "{}".format, "{!r:>80}".format, "%s".__mod__])
def test_a_secret_shows_at_most_its_last_four_characters(show: object) -> None:
    shown = show(Secret(CANARY))  # type: ignore[operator]
    assert CANARY[:-4] not in shown
    assert CANARY[-5:] not in shown
    assert "***" in shown


def test_a_short_secret_shows_nothing() -> None:
    assert "hunter2"[-2:] not in str(Secret("hunter2"))


def test_a_secret_gives_itself_out_only_when_asked() -> None:
    assert Secret(CANARY).reveal() == CANARY
    assert Secret(CANARY) == Secret(CANARY)
    assert hash(Secret(CANARY)) == hash(Secret(CANARY))
    assert Secret(CANARY) != CANARY
    assert Secret(CANARY) != Secret("other")


@pytest.mark.parametrize("travel", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_secret_does_not_travel(travel: object) -> None:
    with pytest.raises(TypeError, match="make a client where it is needed") as caught:
        travel(Secret(CANARY))  # type: ignore[operator]
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h/a?select=id&x=eq.1", "https://h/a?select=id&x=eq.1"),
        ("https://h/a?token=abc&x=1", "https://h/a?token=***&x=1"),
        ("https://h/a?x=1&ACCESS_TOKEN=abc#f", "https://h/a?x=1&ACCESS_TOKEN=***#f"),
        ("https://h/a?apikey=abc", "https://h/a?apikey=***"),
        ("https://h/a?mytoken=abc", "https://h/a?mytoken=abc"),
        ("https://user:pa@ss@h:1/a@b?x=c@d", "https://***@h:1/a@b?x=c@d"),
        ("/rest/v1/t?token=abc", "/rest/v1/t?token=***"),
        ("", ""),
    ],
)
def test_urls(url: str, shown: str) -> None:
    assert redact_url(url) == shown


def test_headers() -> None:
    names = [b"Authorization", b"apikey", b"COOKIE", b"Set-Cookie", b"X-Signature"]
    shown = redact_headers([(name, CANARY.encode()) for name in names] + [(b"Accept", b"*/*")])
    assert CANARY not in str(shown)
    assert shown[-1] == ("Accept", "*/*")


def test_json_members_at_any_depth() -> None:
    names = [
        "password",
        "current_password",
        "new_password",
        "access_token",
        "refresh_token",
        "token",
    ]
    value = {"a": [{name: CANARY, "kept": 1} for name in names], "Password": {"x": CANARY}}
    shown = redact_json(value)
    assert CANARY not in str(shown)
    assert [item["kept"] for item in shown["a"]] == [1] * len(names)
    assert value["a"][0]["password"] == CANARY  # type: ignore[index]  # a copy, not in place


def test_json_too_deep_is_masked_and_does_not_raise() -> None:
    value: object = CANARY
    for _ in range(5000):
        value = [value]
    assert CANARY not in repr(redact_json(value))


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {CANARY}",
        f"bearer   {CANARY}, and more",
        f"GET /x?token={CANARY}&y=1",
        f'{{"password" : "{CANARY}"',
        f'{{"access_token":"{CANARY}',
        f"key aero_sk_{CANARY} is unknown",
        f"postgres://u:{CANARY}@host/db",
    ],
)
def test_texts_lose_what_looks_like_a_secret(text: str) -> None:
    assert CANARY[:10] not in redact_text(text)


def test_jwt_and_named_secrets_are_masked() -> None:
    assert redact_text(f"bad token {JWT}!") == "bad token ***!"
    assert redact_text(f"x {CANARY} y", [CANARY]) == "x *** y"
    assert redact_text("banana", ["a"]) == "banana"


def test_plain_sentences_stay_as_they_are() -> None:
    text = 'column "token_count" of relation "tokens" does not exist; see https://h/doc?page=2'
    assert redact_text(text) == text


@given(st.text())
def test_redaction_never_raises(text: str) -> None:
    redact_url(text)
    redact_text(text, [text])
    redact_json({text: [text, None, 1.5]})


@pytest.mark.parametrize(
    "unit", ["eyJ-", "eyJaaaa.", "bearer ", "?token=", '"token":"', "a://", "aero_sk_", '"\\', " "]
)
def test_hostile_texts_take_linear_time(unit: str) -> None:
    def cost(size: int) -> float:
        text = (unit * size)[:size]
        started = time.process_time()
        redact_text(text)
        return time.process_time() - started

    small = min(cost(8_000) for _ in range(3))
    large = min(cost(64_000) for _ in range(3))
    assert large < 40 * small + 0.05  # quadratic would be 64-fold
