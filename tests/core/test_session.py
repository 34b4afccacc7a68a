"""The life of a session, with time as an argument (wire-contract §2.3, §2.5)."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb._core.errors import client_error
from aerodb._core.identity import AuthData, Session, User, key_role, life_left, token_life
from aerodb._core.session import (
    TABLE,
    Happening,
    Outcome,
    Phase,
    Refresh,
    SessionMachine,
    Use,
    Wait,
    not_refreshed,
    outcome_of,
    table_text,
    worth_renewing,
)
from aerodb.types import AeroDBError

FAILURE = client_error("NETWORK_ERROR", "no connection")
OTHER = Session("access-2", "refresh-2")


def signed_in(life: float = 900.0, now: float = 0.0, refresh: str | None = "refresh-1") -> Any:
    machine = SessionMachine()
    machine.adopt(Session("access-1", refresh), life, now)
    return machine


# --- the table ---------------------------------------------------------------------------------


def test_the_table_says_what_the_contract_says() -> None:
    out, signed, renewing, expired = Phase
    assert TABLE[out, Happening.TOKENS] is signed
    assert TABLE[out, Happening.PENDING] is out
    assert TABLE[signed, Happening.DUE] is renewing
    assert TABLE[signed, Happening.REFUSED] is renewing
    assert TABLE[signed, Happening.OUTDATED] is signed
    assert TABLE[renewing, Happening.RENEWED] is signed
    assert TABLE[renewing, Happening.REJECTED] is out
    assert TABLE[renewing, Happening.UNREACHABLE] is signed
    assert TABLE[renewing, Happening.UNREACHABLE_LATE] is expired
    assert TABLE[expired, Happening.DUE] is renewing
    assert all(TABLE[phase, Happening.SIGN_OUT] is out for phase in Phase)
    assert all(TABLE[phase, Happening.USER] is phase for phase in Phase)


def test_only_a_rejection_or_the_user_ends_a_session() -> None:
    ends = {event for (before, event), after in TABLE.items()
            if after is Phase.SIGNED_OUT and before is not Phase.SIGNED_OUT}  # fmt: skip
    assert ends == {Happening.REJECTED, Happening.SIGN_OUT, Happening.CLOSE}


def test_every_state_can_be_reached_and_left() -> None:
    assert set(TABLE.values()) == set(Phase)
    for phase in Phase:
        assert any(before is phase and after is not phase for (before, _), after in TABLE.items())


def test_the_table_can_be_printed() -> None:
    lines = table_text().split("\n")
    assert len(lines) == len(TABLE)
    assert any(line.split()[0] == line.split()[-1] == "SIGNED_IN" for line in lines)


# --- deciding ----------------------------------------------------------------------------------


def test_nobody_sends_the_key_alone() -> None:
    decision = SessionMachine().decide(1e9)
    assert isinstance(decision, Use)
    assert decision.grant.token is None


@pytest.mark.parametrize(
    ("life", "early"), [(900.0, 60.0), (600.0, 60.0), (100.0, 10.0), (10.0, 1.0), (0.0, 0.0)]
)
def test_when_an_early_refresh_is_due(life: float, early: float) -> None:
    machine = signed_in(life, now=1000.0)
    if life:
        assert isinstance(machine.decide(1000.0 + life - early - 0.01), Use)
    due = machine.decide(1000.0 + life - early)
    assert isinstance(due, Refresh)
    assert due.is_early == (early > 0)
    late = machine.decide(1000.0 + life)
    assert isinstance(late, Refresh)
    assert not late.is_early


def test_without_a_refresh_token_a_session_is_used_for_ever() -> None:
    machine = signed_in(10.0, refresh=None)
    assert isinstance(machine.decide(1e9), Use)
    assert machine.refused(machine.grant, 0.0) is None
    assert machine.begin() is None


def test_a_failure_keeps_the_token_while_it_lives_and_the_next_attempt_waits() -> None:
    machine = signed_in(900.0)
    for failures, delay in enumerate([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]):
        now = 850.0
        machine.begin()
        assert machine.phase is Phase.REFRESHING
        assert machine.unreachable(machine.generation, FAILURE, now)
        assert machine.phase is Phase.SIGNED_IN, failures
        assert isinstance(machine.decide(now + min(delay, 50.0) - 0.01), Use)
        held = machine.refused(machine.grant, now)
        assert held == Wait(delay)
    assert machine.session is not None


def test_a_failure_after_the_deadline_makes_calls_wait() -> None:
    machine = signed_in(10.0)
    machine.begin()
    machine.unreachable(machine.generation, FAILURE, 11.0)
    assert machine.phase is Phase.EXPIRED
    assert machine.decide(11.5) == Wait(0.5)
    assert isinstance(machine.decide(12.0), Refresh)
    assert machine.session is not None


def test_a_success_forgets_failures() -> None:
    machine = signed_in(10.0)
    machine.begin()
    machine.unreachable(machine.generation, FAILURE, 20.0)
    machine.begin()
    assert machine.renewed(OTHER, machine.generation, 900.0, 21.0)
    machine.begin()
    machine.unreachable(machine.generation, FAILURE, 22.0)
    assert machine.refused(machine.grant, 22.0) == Wait(1.0)


def test_a_401_on_an_older_token_needs_no_refresh() -> None:
    machine = signed_in()
    used = machine.grant
    machine.begin()
    machine.renewed(OTHER, machine.generation, 900.0, 0.0)
    decision = machine.refused(used, 1.0)
    assert isinstance(decision, Use)
    assert decision.grant.token == "access-2"
    assert machine.phase is Phase.SIGNED_IN


def test_a_401_of_another_user_is_not_ours_to_answer() -> None:
    machine = signed_in()
    used = machine.grant
    machine.sign_out()
    assert machine.refused(used, 1.0) is None
    machine.adopt(Session("access-9", "refresh-9"), 900.0, 1.0)
    assert machine.refused(used, 1.0) is None


@pytest.mark.parametrize("ending", ["sign_out", "adopt", "close"])
def test_a_refresh_that_comes_too_late_changes_nothing(ending: str) -> None:
    machine = signed_in()
    generation = machine.generation
    machine.begin()
    arguments: tuple[Any, ...] = (OTHER, 900.0, 1.0) if ending == "adopt" else ()
    getattr(machine, ending)(*arguments)
    before = (machine.phase, machine.grant, machine.session)
    assert not machine.renewed(Session("late", "late"), generation, 900.0, 2.0)
    assert not machine.rejected(generation, FAILURE)
    assert not machine.unreachable(generation, FAILURE, 2.0)
    assert before == (machine.phase, machine.grant, machine.session)


def test_the_user_stays_known_over_a_refresh() -> None:
    machine = SessionMachine()
    machine.adopt(Session("access-1", "refresh-1", user=User("1")), 900.0, 0.0)
    machine.begin()
    machine.renewed(OTHER, machine.generation, 900.0, 0.0)
    assert machine.session is not None
    assert machine.session.user == User("1")
    assert machine.user_updated(User("1", "new@example.com"))
    assert machine.session.user == User("1", "new@example.com")
    assert machine.grant.token == "access-2"


STEPS = st.sampled_from(["adopt", "begin", "renew", "reject", "fail", "out", "user", "abandon"])


def take(machine: SessionMachine, step: str, generation: int, now: float) -> None:
    {
        "adopt": lambda: machine.adopt(Session("a", "r"), 300.0, now),
        "begin": machine.begin,
        "renew": lambda: machine.renewed(OTHER, generation, 300.0, now),
        "reject": lambda: machine.rejected(generation, FAILURE),
        "fail": lambda: machine.unreachable(generation, FAILURE, now),
        "out": machine.sign_out,
        "user": lambda: machine.user_updated(User("1")),
        "abandon": lambda: machine.abandoned(generation, now),
    }[step]()


@given(st.lists(st.tuples(STEPS, st.floats(0, 500)), max_size=40))
def test_whatever_happens_the_parts_agree(steps: list[tuple[str, float]]) -> None:
    machine, now = SessionMachine(), 0.0
    for step, passed in steps:
        now += passed
        generation = machine.generation
        take(machine, step, generation, now)
        assert (machine.phase is Phase.SIGNED_OUT) == (machine.session is None)
        held = None if machine.session is None else machine.session.access_token
        assert machine.grant.token == held
        assert machine.grant.renew_at <= machine.deadline
        decision = machine.decide(now)
        if isinstance(decision, Use) and held is not None:
            assert now < machine.deadline
        if isinstance(decision, Wait):
            assert 0 < decision.seconds <= 60
        assert machine.generation >= generation


# --- reading answers ---------------------------------------------------------------------------


def error(status: int | None, code: str) -> AeroDBError:
    return AeroDBError("text", status, code)


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (None, Outcome.OK),
        (error(401, "invalid_refresh_token"), Outcome.REJECTED),
        (error(401, "refresh_token_reused"), Outcome.REJECTED),
        (error(401, "anything"), Outcome.REJECTED),
        (error(400, "session_expired"), Outcome.REJECTED),
        (error(403, "session_revoked"), Outcome.REJECTED),
        (error(404, "user_not_found"), Outcome.REJECTED),
        (error(401, "invalid_api_key"), Outcome.UNREACHABLE),
        (error(400, "validation_failed"), Outcome.UNREACHABLE),
        (error(403, "access_denied"), Outcome.UNREACHABLE),
        (error(404, "http_404"), Outcome.UNREACHABLE),
        (error(429, "rate_limit_exceeded"), Outcome.UNREACHABLE),
        (error(500, "internal_error"), Outcome.UNREACHABLE),
        (error(503, "session_revoked"), Outcome.UNREACHABLE),
        (error(200, "INVALID_RESPONSE"), Outcome.UNREACHABLE),
        (error(None, "NETWORK_ERROR"), Outcome.UNREACHABLE),
        (error(None, "TIMEOUT"), Outcome.UNREACHABLE),
    ],
)
def test_what_a_failed_refresh_means(found: AeroDBError | None, outcome: Outcome) -> None:
    assert outcome_of(found) is outcome


INVALID = (b"WWW-Authenticate", b'Bearer error="invalid_token"')


@pytest.mark.parametrize(
    ("path", "status", "headers", "code", "worth"),
    [
        ("/rest/v1/t", 401, [], "token_expired", True),
        ("/rest/v1/t", 401, [], "PGRST303", True),
        ("/rest/v1/t", 401, [], "invalid_credentials", False),
        ("/rest/v1/t", 401, [], "session_revoked", False),
        ("/rest/v1/t", 401, [], "invalid_api_key", False),
        ("/rest/v1/t", 403, [INVALID], "42501", False),
        ("/rest/v1/t", 400, [], "invalid_token", False),
        ("/functions/v1/f", 401, [], "mine", False),
        ("/functions/v1/f", 401, [(b"X-Aerodb-Error", b"token_expired")], "token_expired", True),
        ("/functions/v1/f", 401, [INVALID], None, True),
        ("/functions/v1/f", 401, [(b"WWW-Authenticate", b"Basic")], None, False),
    ],
)
def test_which_answers_ask_for_a_newer_token(
    path: str, status: int, headers: list[tuple[bytes, bytes]], code: str | None, worth: bool
) -> None:
    assert worth_renewing(path, status, headers, code) is worth


def test_what_passes_says_so() -> None:
    assert not_refreshed(None).retryable
    lost = AeroDBError("cut", None, "NETWORK_ERROR", retryable=True, maybe_applied=True)
    assert not_refreshed(lost).retryable
    assert not not_refreshed(lost).maybe_applied


# --- the value ---------------------------------------------------------------------------------

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJpYXQiOjEwMCwiZXhwIjoxMDAwLCJyb2xlIjoic2VydmljZV9yb2xlIn0.c2ln"


def test_how_long_a_token_lives() -> None:
    assert token_life(Session("opaque")) == 900
    assert token_life(Session("opaque", expires_in=899)) == 899
    assert token_life(Session(JWT)) == 900
    assert life_left(Session(JWT), 400.0) == 600
    assert life_left(Session(JWT), 5000.0) < 0
    assert life_left(Session(JWT), -5000.0) == 900
    assert life_left(Session("opaque", expires_in=100, expires_at=1050.0), 1000.0) == 50


@pytest.mark.parametrize(
    ("key", "role"),
    [
        ("aero_sk_x", "service_role"),
        ("aero_pk_x", "anon"),
        (JWT, "service_role"),
        ("a.b.c", None),
        ("eyJ.eyJ.x", None),
        ("", None),
        ("opaque", None),
        ("a.W10.c", None),
    ],
)
def test_what_a_key_looks_like(key: str, role: str | None) -> None:
    assert key_role(key) == role


@pytest.mark.parametrize("bad", [None, "", "two words", "line\nbreak", "ünïcode", "x" * 20_000, 7])
def test_what_is_no_token(bad: Any) -> None:
    with pytest.raises((TypeError, ValueError)) as refused:
        Session(bad)
    assert "x" * 100 not in str(refused.value)


def test_a_session_shows_no_token() -> None:
    session = Session("access-canary", "refresh-canary", user=User("1", "ada@example.com"))
    data = AuthData(session.user, session)
    for text in (repr(session), str(session), f"{session}", repr(data), repr(session._access)):
        assert "canary" not in text.replace("***nary", "")
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="dump"):
            leak(session)
    with pytest.raises(TypeError):
        dataclasses.asdict(data)
    with pytest.raises(AttributeError):
        session.user = None  # type: ignore[misc]
    assert not hasattr(session, "__dict__")


def test_dump_and_load() -> None:
    user = User("1", "ada@example.com", metadata={"a": [1]})
    session = Session("a", "r", expires_in=900, expires_at=1e9, user=user)
    found = Session.load(session.dump())
    assert found == session
    assert (found.user, found.expires_in, found.expires_at) == (user, 900, 1e9)
    assert Session.load(Session("a").dump()) == Session("a") != session
    for text in (
        "",
        "{}",
        "[]",
        "null",
        '{"access_token": 7}',
        '{"access_token": "a b"}',
        "{" * 500,
    ):
        with pytest.raises(ValueError, match="no session"):
            Session.load(text)


def test_infinity_is_no_life() -> None:
    machine = signed_in(math.inf)
    assert isinstance(machine.decide(1e12), Use)
