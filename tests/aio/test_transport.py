# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""What becomes of a call when the network or the server fails, through the whole client.

Retries (wire-contract §1.8), the deadline (reliability T5), redirects (§1.9 S2, S3), the end.
"""

from __future__ import annotations

import copy
import pickle
import random
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from aerodb import AeroDBAPIError, ClientOptions
from aerodb._io.on_asyncio import Worker, monotonic, pause
from aerodb.aio import AeroDBClient, _transport
from tests.support.faults import FaultProxy
from tests.support.scripted import (
    ScriptedServer,
    answer,
    chunked,
    close,
    head,
    hold,
    reset,
    send,
    trickle,
    wait,
)

KEY = "aero_pk_0123456789abcdef"
JSON = ("Content-Type", "application/json")
PATHS = ("/rest/v1/t", "/rest/v1/rpc/f", "/health")
ROWS = answer(200, b'[{"id":1}]', [JSON])
REPORT = answer(200, b'{"status":"ok"}', [JSON])


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chance always picks the shortest wait between two attempts."""
    monkeypatch.setattr(_transport, "jitter", lambda: 0.0)


def url_of(server: ScriptedServer | FaultProxy) -> str:
    return f"http://127.0.0.1:{server.port}"


@pytest.fixture
async def client(scripted: ScriptedServer) -> AsyncIterator[AeroDBClient]:
    async with AeroDBClient(url_of(scripted), KEY) as connected:
        yield connected


async def all_done(workers: list[Worker]) -> None:
    for worker in workers:
        assert await worker.join(60)


# --- the table of retries ------------------------------------------------------------------------

OPERATIONS: dict[str, Callable[[AeroDBClient], Any]] = {
    "select": lambda client: client.from_("t").select(),
    "rpc by GET": lambda client: client.rpc("f", get=True),
    "health": lambda client: client,
    "insert": lambda client: client.from_("t").insert({"a": 1}),
    "update": lambda client: client.from_("t").update({"a": 1}).eq("id", 1),
    "delete": lambda client: client.from_("t").delete().eq("id", 1),
    "upsert": lambda client: client.from_("t").upsert({"id": 1}),
    "rpc": lambda client: client.rpc("f", {"a": 1}),
}
READS = ("select", "rpc by GET", "health")


async def run(client: AeroDBClient, name: str) -> Any:
    if name == "health":
        return await client.health()
    return await OPERATIONS[name](client).execute()


@dataclass(frozen=True)
class Failing:
    """How one answer fails; whether reads and writes are repeated after it; what is said."""

    steps: Any
    reads: bool
    writes: bool
    in_doubt: bool  # whether a write that ended so may have been applied
    code: str
    retryable: bool = True


def body(code: str) -> bytes:
    return b'{"code":"%s","message":"m","details":null,"hint":null}' % code.encode()


AFTER = ("Retry-After", "0")
PART = send(head(200, [JSON, ("Content-Length", "20")]) + b'[{"id":1')
TABLE = {
    "429 with Retry-After": Failing(answer(429, b"", [AFTER]), True, True, False, "http_429"),
    "429": Failing(answer(429), True, False, False, "http_429"),
    "503 with Retry-After": Failing(answer(503, b"", [AFTER]), True, True, False, "http_503"),
    "503": Failing(answer(503), True, False, True, "http_503"),
    "503 after a rollback": Failing(answer(503, body("53300")), True, False, False, "53300"),
    "503 in mid-commit": Failing(answer(503, body("08006"), [AFTER]), True, False, True, "08006"),
    "408": Failing(answer(408), True, False, True, "http_408"),
    "502": Failing(answer(502, b"<html>", []), True, False, True, "http_502"),
    "504": Failing(answer(504), True, False, True, "http_504"),
    "504 with Retry-After": Failing(answer(504, b"", [AFTER]), True, False, True, "http_504"),
    "500": Failing(answer(500), False, False, True, "http_500", retryable=False),
    "500 with Retry-After": Failing(
        answer(500, b"", [AFTER]), False, False, True, "http_500", retryable=False
    ),
    "501": Failing(answer(501), False, False, True, "http_501", retryable=False),
    "400": Failing(answer(400, body("22P02")), False, False, False, "22P02", retryable=False),
    "401": Failing(answer(401), False, False, False, "http_401", retryable=False),
    "404": Failing(answer(404), False, False, False, "http_404", retryable=False),
    "409": Failing(answer(409, body("23505")), False, False, False, "23505", retryable=False),
    "reset": Failing([reset()], True, False, True, "NETWORK_ERROR"),
    "close": Failing([close()], True, False, True, "NETWORK_ERROR"),
    "reset in the head": Failing(
        [send(b"HTTP/1.1 200 OK\r\nContent-"), reset()], True, False, True, "NETWORK_ERROR"
    ),
    "reset after the head": Failing(
        [send(head(200, [("Content-Length", "9")])), reset()], True, False, True, "NETWORK_ERROR"
    ),
    "reset in the body": Failing([PART, reset()], True, False, True, "NETWORK_ERROR"),
    "close in the body": Failing([PART, close()], True, False, True, "NETWORK_ERROR"),
    "chunks without end": Failing(
        [*chunked([b"[{}"], complete=False), close()], True, False, True, "NETWORK_ERROR"
    ),
    "not HTTP": Failing(
        [send(b"SSH-2.0-OpenSSH_9.9\r\n\r\n"), close()], True, False, True, "INVALID_RESPONSE"
    ),
}


def is_answer(operation: str, failing: Failing) -> bool:
    """A 503 of /health is its answer, and comes back at once (§7)."""
    return operation == "health" and failing.code in {"http_503", "53300", "08006"}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.usefixtures("at_once")
async def test_a_failure_and_then_a_success(
    client: AeroDBClient, scripted: ScriptedServer, operation: str
) -> None:
    good = REPORT if operation == "health" else ROWS
    for name, failing in TABLE.items():
        scripted.seen.clear()
        for path in PATHS:
            scripted.on(path, failing.steps, good)
        response = await run(client, operation)
        again = failing.reads if operation in READS else failing.writes
        again = again and not is_answer(operation, failing)
        assert len(scripted.seen) == response.meta.attempts == (2 if again else 1), name
        assert len({seen.header("x-request-id") for seen in scripted.seen}) == 1, name
        if again:
            assert response.ok, (name, response.error)
            continue
        error = response.error
        assert error is not None, name
        assert error.attempts == 1, name
        assert error.retryable is failing.retryable, name
        assert error.maybe_applied is (failing.in_doubt and operation not in READS), name
        assert error.request_id == scripted.seen[0].header("x-request-id"), name
        assert str(error.url).startswith(url_of(scripted)), name
        if not is_answer(operation, failing):
            assert error.code == failing.code, name


@pytest.mark.parametrize("operation", READS)
@pytest.mark.usefixtures("at_once")
async def test_a_read_is_tried_three_times(
    client: AeroDBClient, scripted: ScriptedServer, operation: str
) -> None:
    for name, failing in TABLE.items():
        if not failing.reads or is_answer(operation, failing):
            continue
        scripted.seen.clear()
        for path in PATHS:
            scripted.on(path, failing.steps)
        response = await run(client, operation)
        assert response.error is not None, name
        assert (response.error.code, response.error.attempts) == (failing.code, 3), name
        assert response.error.retryable, name
        assert not response.error.maybe_applied, name
        assert len(scripted.seen) == 3, name


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.usefixtures("at_once")
async def test_what_was_never_sent_is_tried_three_times(
    scripted: ScriptedServer, operation: str
) -> None:
    async with AeroDBClient(url_of(scripted), KEY) as client:
        scripted.stop()
        error = (await run(client, operation)).error
    assert error is not None
    assert (error.code, error.status, error.attempts) == ("NETWORK_ERROR", None, 3)
    assert error.retryable
    assert not error.maybe_applied
    assert scripted.seen == []


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_server_that_comes_up_meanwhile(scripted: ScriptedServer, operation: str) -> None:
    for path in PATHS:
        scripted.on(path, REPORT if operation == "health" else ROWS)
    with FaultProxy(scripted.port) as proxy:
        proxy.set("refuse")
        async with AeroDBClient(url_of(proxy), KEY, options=ClientOptions(retries=20)) as client:
            threading.Timer(0.1, proxy.set, ("pass",)).start()
            response = await run(client, operation)
    assert response.ok, response.error
    assert response.meta.attempts > 1
    assert len(scripted.seen) == 1


@pytest.mark.usefixtures("at_once")
async def test_an_outcome_in_doubt_stays_in_doubt(
    client: AeroDBClient, scripted: ScriptedServer
) -> None:
    """The first attempt may have inserted the row that the second one then collides with."""
    scripted.on("/rest/v1/t", answer(502), answer(409, body("23505")))
    insert = client.from_("t").insert({"id": 1}).retry("ambiguous")
    error = (await insert.execute()).error
    assert error is not None
    assert (error.code, error.attempts, error.maybe_applied) == ("23505", 2, True)


@pytest.mark.usefixtures("at_once")
async def test_never_means_never_answered(client: AeroDBClient, scripted: ScriptedServer) -> None:
    for steps in (answer(429, b"", [AFTER]), answer(503, b"", [AFTER]), answer(502), [reset()]):
        scripted.seen.clear()
        scripted.on("/rest/v1/t", steps, ROWS)
        response = await client.from_("t").select().retry("never").execute()
        assert response.error is not None
        assert response.error.attempts == len(scripted.seen) == 1
        assert not response.error.maybe_applied  # it is a read


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("retries", [0, 1, 5])
async def test_as_many_retries_as_the_options_say(scripted: ScriptedServer, retries: int) -> None:
    scripted.on("/rest/v1/t", answer(503))
    async with AeroDBClient(
        url_of(scripted), KEY, options=ClientOptions(retries=retries)
    ) as client:
        response = await client.from_("t").select().execute()
    assert response.error is not None
    assert response.error.attempts == len(scripted.seen) == retries + 1


@pytest.mark.usefixtures("at_once")
async def test_a_stream_is_opened_again_but_never_begun_again(
    client: AeroDBClient, scripted: ScriptedServer
) -> None:
    scripted.on("/rest/v1/t", answer(503), [reset()], ROWS)
    async with client.from_("t").stream() as rows:
        assert rows.error is None
        assert rows.response.meta.attempts == 3
        assert [row async for row in rows] == [{"id": 1}]
    scripted.seen.clear()
    scripted.on("/rest/v1/t", [PART, reset()], ROWS)
    async with client.from_("t").stream() as rows:
        with pytest.raises(AeroDBAPIError) as caught:
            [row async for row in rows]
    error = caught.value.error
    assert (error.code, error.attempts, len(scripted.seen)) == ("NETWORK_ERROR", 1, 1)
    assert error.request_id == scripted.seen[0].header("x-request-id")
    assert error.retryable
    assert not error.maybe_applied  # it is a read
    assert error.url == f"{url_of(scripted)}/rest/v1/t"
    assert url_of(scripted) in error.message


# --- no write twice (reliability T1) -------------------------------------------------------------

FAULTS = 9


class Effects:
    """A table behind a server that fails by a schedule. It counts the rows it inserts."""

    def __init__(self, *, honours_keys: bool = False) -> None:
        self.inserted: Counter[bytes] = Counter()
        self._honours_keys = honours_keys
        self._known: set[str] = set()

    def apply(self, sock: Any, seen: Any) -> None:
        key = seen.header("idempotency-key")
        if self._honours_keys and key is not None:
            if key in self._known:
                return
            self._known.add(key)
        self.inserted[seen.body] += 1

    def steps(self, fault: int, rng: random.Random) -> Any:
        """One answer. The first four happen before any effect (§1.8, the server's obligation)."""
        refusals: list[Any] = [
            answer(429, b"", [("Retry-After-Ms", "0")]),
            answer(503, b"", [("Retry-After", "0")]),
            answer(429),
            answer(400, body("22P02")),
        ]
        if fault < len(refusals):
            return refusals[fault]
        maybe = [self.apply] if rng.random() < 0.7 else []
        size = rng.randrange(80)
        whole = head(201, [JSON, ("Content-Length", "10")]) + b'[{"id":1}]'
        broken: list[Any] = [
            [*maybe, *answer(rng.choice([502, 503, 504, 500, 408]))],
            [*maybe, rng.choice([reset(), close()])],
            [self.apply, send(whole[: min(size, len(whole) - 1)]), rng.choice([reset(), close()])],
            [*maybe, send(b"\x00\x01 no HTTP at all\r\n\r\n"), close()],
            [self.apply, send(whole)],
        ]
        return broken[fault - len(refusals)]

    def schedule(self, seed: int) -> list[Any]:
        rng = random.Random(seed)
        faults = [self.steps(rng.randrange(FAULTS), rng) for _ in range(rng.randint(1, 4))]
        return [*faults, [self.apply, *answer(201, b'[{"id":1}]', [JSON])]]


@pytest.mark.usefixtures("at_once")
async def test_a_write_is_never_applied_twice(scripted: ScriptedServer) -> None:
    table = Effects()
    outcomes: Counter[str] = Counter()
    options = ClientOptions(retry_budget=None, retries=5)
    async with AeroDBClient(url_of(scripted), KEY, options=options) as client:
        for seed in range(400):
            scripted.on("/rest/v1/t", *table.schedule(seed))
            response = await client.from_("t").insert({"n": seed}).execute()
            times = table.inserted[b'{"n":%d}' % seed]
            assert times <= 1, seed
            if response.error is None:
                assert times == 1, seed
            elif not response.error.maybe_applied:
                assert times == 0, (seed, response.error)
            outcomes["ok" if response.ok else "in doubt" if times else "not applied"] += 1
            outcomes["repeated"] += response.meta.attempts > 1
    assert min(outcomes.values()) > 40, outcomes  # the schedules reach every corner


@pytest.mark.usefixtures("at_once")
async def test_nor_under_a_key_that_the_server_honours(scripted: ScriptedServer) -> None:
    table = Effects(honours_keys=True)
    known = ClientOptions(retry_budget=None, retries=5, idempotency_keys=True)
    good = 0
    async with AeroDBClient(url_of(scripted), KEY, options=known) as client:
        for seed in range(200):
            scripted.on("/rest/v1/t", *table.schedule(seed))
            query = client.from_("t").insert({"n": seed}).idempotency_key()
            response = await query.execute()
            times = table.inserted[b'{"n":%d}' % seed]
            assert times <= 1, seed
            if response.error is None:
                assert times == 1, seed
            elif not response.error.maybe_applied:
                assert times == 0, (seed, response.error)
            good += response.ok
    assert good > 100


# --- an outage is not amplified (T2) -------------------------------------------------------------


@pytest.mark.usefixtures("at_once")
async def test_one_budget_for_all_calls_of_a_client(scripted: ScriptedServer) -> None:
    scripted.on("/rest/v1/t", answer(503))
    options = ClientOptions(retry_budget=10)
    async with AeroDBClient(url_of(scripted), KEY, options=options) as client:

        async def ask() -> None:
            for number in range(25):
                table = client.from_("t") if number % 2 else client.schema("other").from_("t")
                assert not (await table.select().execute()).ok

        await all_done([Worker(ask, f"ask-{number}") for number in range(8)])
        assert len(scripted.seen) == 200 + 10
        # Health again: every success earns a fifth of a retry.
        scripted.on("/rest/v1/t", ROWS)
        for _ in range(50):
            assert (await client.from_("t").select().execute()).ok
        scripted.on("/rest/v1/t", answer(503))
        attempts = [(await client.from_("t").select().execute()).meta.attempts for _ in range(6)]
    assert attempts == [3, 3, 3, 3, 3, 1]


@pytest.mark.usefixtures("at_once")
async def test_streams_that_are_opened_earn_retries_too(scripted: ScriptedServer) -> None:
    scripted.on("/rest/v1/t", answer(503))
    async with AeroDBClient(url_of(scripted), KEY, options=ClientOptions(retry_budget=2)) as client:
        attempts = [(await client.from_("t").select().execute()).meta.attempts for _ in range(2)]
        assert attempts == [3, 1]
        scripted.on("/rest/v1/t", ROWS)
        for _ in range(10):
            async with client.from_("t").stream() as rows:
                assert [row async for row in rows] == [{"id": 1}]
        scripted.on("/rest/v1/t", answer(503))
        attempts = [(await client.from_("t").select().execute()).meta.attempts for _ in range(2)]
        assert attempts == [3, 1]


# --- Retry-After (T3) ----------------------------------------------------------------------------

DATE = ("Date", "Sun, 06 Nov 1994 08:49:37 GMT")


@pytest.mark.parametrize(
    ("headers", "text", "seconds"),
    [
        ([("Retry-After", "0.3")], b"", 0.3),
        ([("Retry-After-Ms", "300")], b"", 0.3),
        ([("Retry-After-Ms", "300"), ("Retry-After", "100")], b"", 0.3),
        ([("Retry-After", "Sun, 06 Nov 1994 08:49:38 GMT"), DATE], b"", 1.0),
        ([("Retry-After", "Sunday, 06-Nov-94 08:49:38 GMT"), DATE], b"", 1.0),
        ([("Retry-After", "Sun Nov  6 08:49:38 1994"), DATE], b"", 1.0),
        ([("Retry-After", "Sun, 06 Nov 1994 00:00:00 GMT"), DATE], b"", 0.0),
        ([JSON], b'{"error":"x","retry_after":0.3}', 0.3),
        ([JSON], b'{"error":{"message":"x","retry_after":0.3}}', 0.3),
    ],
)
async def test_retry_after_is_waited_for(
    client: AeroDBClient, scripted: ScriptedServer, headers: Any, text: bytes, seconds: float
) -> None:
    scripted.on("/rest/v1/t", answer(503, text, headers), ROWS)
    started = monotonic()
    response = await client.from_("t").insert({"a": 1}).execute()
    assert response.ok, response.error
    assert response.meta.attempts == 2
    assert monotonic() - started >= seconds


@pytest.mark.parametrize(
    "value", ["soon", "-1", "inf", "Infinity", "nan", "1e309", "1e3", "0x10", "9" * 400, "", "1,2"]
)
@pytest.mark.usefixtures("at_once")
async def test_garbage_in_retry_after_is_no_retry_after(
    client: AeroDBClient, scripted: ScriptedServer, value: str
) -> None:
    scripted.on("/rest/v1/t", answer(429, b"", [("Retry-After", value)]))
    insert = (await client.from_("t").insert({"a": 1}).execute()).error
    select = (await client.from_("t").select().execute()).error
    assert insert is not None
    assert select is not None
    assert (insert.retry_after, insert.attempts) == (None, 1)
    assert (select.retry_after, select.attempts) == (None, 3)


@pytest.mark.parametrize(("value", "timeout"), [("10", 5.0), ("61", 300.0), ("600", 3000.0)])
async def test_a_retry_after_too_far_off_is_left_to_the_caller(
    client: AeroDBClient, scripted: ScriptedServer, value: str, timeout: float
) -> None:
    scripted.on("/rest/v1/t", answer(503, b"", [("Retry-After", value)]))
    started = monotonic()
    response = await client.from_("t").select().timeout(timeout).execute()
    assert monotonic() - started < 5
    error = response.error
    assert error is not None
    assert (error.code, error.attempts) == ("http_503", 1)
    assert (error.retry_after, error.retryable) == (float(value), True)


# --- one deadline for everything (T5) ------------------------------------------------------------

PADDED = head(200, [JSON, ("Content-Length", "100"), ("X-Padding", "x" * 60)])
SLOW = {
    "silence": [wait(6), *ROWS],
    "slow head": [trickle(PADDED, 0.05)],
    "slow body": [send(PADDED), trickle(b"[" + b" " * 98 + b"]", 0.06)],
    "slow chunks": [
        send(head(200, [JSON, ("Transfer-Encoding", "chunked")])),
        trickle(b"1\r\n \r\n" * 20, 0.05),
    ],
    "slow error": [
        send(head(500, [JSON, ("Content-Length", "100")])),
        trickle(b" " * 100, 0.06),
    ],
}
SECONDS = 0.5
FULL = 5.0  # what each of the above takes at least


@pytest.mark.parametrize("operation", ["select", "insert", "rpc"])
@pytest.mark.parametrize("name", SLOW)
async def test_slow_answers_end_with_the_deadline(
    scripted: ScriptedServer, operation: str, name: str
) -> None:
    for path in PATHS:
        scripted.on(path, SLOW[name])
    async with AeroDBClient(
        url_of(scripted), KEY, options=ClientOptions(timeout=SECONDS)
    ) as client:
        started = monotonic()
        error = (await run(client, operation)).error
        elapsed = monotonic() - started
        assert error is not None
        assert (error.code, error.status, error.attempts) == ("TIMEOUT", None, 1)
        assert error.maybe_applied is (operation != "select")
        assert SECONDS * 0.9 < elapsed < FULL / 2
        scripted.on("/rest/v1/t", ROWS)
        assert (await client.from_("t").select().execute()).ok


@pytest.mark.parametrize("name", SLOW)
async def test_a_stream_ends_with_the_deadline(scripted: ScriptedServer, name: str) -> None:
    scripted.on("/rest/v1/t", SLOW[name])
    async with AeroDBClient(url_of(scripted), KEY) as client:
        started = monotonic()
        async with client.from_("t").select().timeout(SECONDS).stream() as rows:
            with pytest.raises(AeroDBAPIError) as caught:
                [row async for row in rows]
        assert SECONDS * 0.9 < monotonic() - started < FULL / 2
        assert caught.value.code == "TIMEOUT"
        assert not caught.value.error.maybe_applied


async def test_waiting_for_a_connection_ends_with_the_deadline(scripted: ScriptedServer) -> None:
    release = threading.Event()
    scripted.on("/rest/v1/rpc/f", [hold(release), *ROWS])
    options = ClientOptions(max_connections=1)
    async with AeroDBClient(url_of(scripted), KEY, options=options) as client:

        async def occupy() -> None:
            assert (await client.rpc("f").execute()).ok

        worker = Worker(occupy, "occupy")
        while not scripted.seen:
            await pause(0.01)
        started = monotonic()
        response = await client.from_("t").insert({"a": 1}).timeout(SECONDS).execute()
        assert SECONDS * 0.9 < monotonic() - started < 10 * SECONDS
        release.set()
        assert response.error is not None
        assert (response.error.code, response.error.maybe_applied) == ("TIMEOUT", False)
        await all_done([worker])
    assert [seen.target.split("?")[0] for seen in scripted.seen] == ["/rest/v1/rpc/f"]


async def test_a_chain_of_retries_ends_with_the_deadline(scripted: ScriptedServer) -> None:
    scripted.on("/rest/v1/t", [wait(0.1), *answer(503, b"", [("Retry-After-Ms", "100")])])
    options = ClientOptions(timeout=1.0, retries=20)
    async with AeroDBClient(url_of(scripted), KEY, options=options) as client:
        started = monotonic()
        error = (await client.from_("t").insert({"a": 1}).execute()).error
        elapsed = monotonic() - started
    assert error is not None
    assert error.code in {"http_503", "TIMEOUT"}
    assert 2 <= error.attempts == len(scripted.seen) < 10
    assert elapsed < 3.0  # 21 attempts would take more than four


async def test_a_swallowed_request_ends_with_the_deadline(scripted: ScriptedServer) -> None:
    with FaultProxy(scripted.port) as proxy:
        proxy.set("blackhole")
        async with AeroDBClient(url_of(proxy), KEY) as client:
            started = monotonic()
            insert = client.from_("t").insert({"a": "x" * 1_000_000})
            error = (await insert.timeout(SECONDS).execute()).error
            assert SECONDS * 0.9 < monotonic() - started < 20 * SECONDS
    assert error is not None
    assert (error.code, error.maybe_applied, error.attempts) == ("TIMEOUT", True, 1)


@pytest.mark.parametrize(
    "seconds",
    [float("inf"), 1e300, 1e7, 10**400, float("nan"), -1, 0, True, "1"],
    ids=["inf", "1e300", "1e7", "huge", "nan", "-1", "0", "True", "text"],
)
async def test_a_time_that_is_none_is_refused(
    client: AeroDBClient, scripted: ScriptedServer, seconds: Any
) -> None:
    response = await client.from_("t").select().timeout(seconds).execute()
    report = await client.health(timeout=seconds)
    assert response.error is not None
    assert response.error.code == "INVALID_ARGUMENT"
    assert report.error is not None
    assert report.error.code == "INVALID_ARGUMENT"
    assert scripted.seen == []


async def test_the_longest_time_that_is_allowed(scripted: ScriptedServer) -> None:
    scripted.on("/rest/v1/t", ROWS)
    longest = 10**6
    options = ClientOptions(timeout=longest, connect_timeout=longest, keepalive_seconds=longest)
    for name in ("timeout", "connect_timeout", "keepalive_seconds"):
        with pytest.raises(ValueError, match=f"{name} must be a finite number of seconds"):
            ClientOptions().replace(**{name: longest + 1})
    async with AeroDBClient(url_of(scripted), KEY, options=options) as client:
        assert (await client.from_("t").select().execute()).ok
        async with client.from_("t").stream() as rows:
            assert [row async for row in rows] == [{"id": 1}]
        assert (await client.from_("t").select().timeout(longest).execute()).ok


# --- redirects (§1.9 S2, S3) ---------------------------------------------------------------------


def moved(status: int, location: str) -> Any:
    return answer(status, b"", [("Location", location)])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_read_is_followed_on_the_same_origin(
    client: AeroDBClient, scripted: ScriptedServer, status: int
) -> None:
    scripted.on("/rest/v1/t", moved(status, "/a?x=1"))
    scripted.on("/a", moved(status, f"{url_of(scripted)}/b"))
    scripted.on("/b", moved(status, "/c"))
    scripted.on("/c", ROWS)
    response = await client.from_("t").select().execute()
    assert response.ok, response.error
    assert response.meta.attempts == 1
    assert [seen.target for seen in scripted.seen][1:] == ["/a?x=1", "/b", "/c"]
    assert {seen.header("apikey") for seen in scripted.seen} == {KEY}
    scripted.seen.clear()
    async with client.from_("t").stream() as rows:
        assert [row async for row in rows] == [{"id": 1}]
    assert len(scripted.seen) == 4


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_fourth_redirect_is_not_followed(
    client: AeroDBClient, scripted: ScriptedServer, status: int
) -> None:
    scripted.on("/rest/v1/t", moved(status, "/a"))
    scripted.on("/a", moved(status, "/b"))
    scripted.on("/b", moved(status, "/a"))
    error = (await client.from_("t").select().execute()).error
    assert error is not None
    assert (error.code, error.status, error.attempts) == ("UNEXPECTED_REDIRECT", status, 1)
    assert len(scripted.seen) == 4
    assert not error.retryable


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("operation", ["insert", "update", "delete", "upsert", "rpc"])
async def test_a_write_is_not_followed(
    client: AeroDBClient, scripted: ScriptedServer, operation: str, status: int
) -> None:
    for path in PATHS:
        scripted.on(path, moved(status, "/elsewhere"))
    error = (await run(client, operation)).error
    assert error is not None
    assert (error.code, error.status) == ("UNEXPECTED_REDIRECT", status)
    assert len(scripted.seen) == 1


@pytest.mark.parametrize("operation", ["select", "rpc by GET", "health", "insert", "stream"])
@pytest.mark.parametrize(
    "form",
    ["http://127.0.0.1:{}/x", "//127.0.0.1:{}/x", "http://localhost:{}/", "https://127.0.0.1:{}/x"],
)
async def test_another_origin_sees_nothing(
    client: AeroDBClient, scripted: ScriptedServer, operation: str, form: str
) -> None:
    with ScriptedServer() as other:
        for path in PATHS:
            scripted.on(path, moved(302, form.format(other.port)))
        if operation == "stream":
            async with client.from_("t").stream() as rows:
                error = rows.error
        else:
            error = (await run(client, operation)).error
        assert error is not None
        assert (error.code, error.status) == ("UNEXPECTED_REDIRECT", 302)
        assert len(scripted.seen) == 1
        assert (other.connections, other.seen) == (0, [])


@pytest.mark.parametrize(
    "location",
    ["", "x", "?a=1", "file:///etc/passwd", "javascript:1", "http://", "http://[::1", "/\\evil",
     "/a b", "/a\tb", "/../x", "/%2e%2E/x", "/rest/v1/t?select=%2A", "http://u:p@127.0.0.1/"],
)  # fmt: skip
async def test_a_location_of_no_use(
    client: AeroDBClient, scripted: ScriptedServer, location: str
) -> None:
    scripted.on("/rest/v1/t", moved(302, location))
    error = (await client.from_("t").select().execute()).error
    assert error is not None
    assert error.code == "UNEXPECTED_REDIRECT"
    assert len(scripted.seen) == 1
    assert "u:p" not in str(error)


async def test_a_redirect_stays_below_the_prefix(scripted: ScriptedServer) -> None:
    scripted.on("/db/rest/v1/t", moved(302, "/other/x"))
    scripted.on("/db/rest/v1/u", moved(302, "/db/x"))
    scripted.on("/db/x", ROWS)
    async with AeroDBClient(f"{url_of(scripted)}/db/", KEY) as client:
        error = (await client.from_("t").select().execute()).error
        assert error is not None
        assert error.code == "UNEXPECTED_REDIRECT"
        assert (await client.from_("u").select().execute()).ok


# --- the end, and what a client is not -----------------------------------------------------------


async def test_a_closed_client_says_so(scripted: ScriptedServer) -> None:
    client = AeroDBClient(url_of(scripted), KEY)
    states = [client.is_closed]
    for _ in range(2):
        await client.close()
        states.append(client.is_closed)
    assert states == [False, True, True]
    for operation in OPERATIONS:
        error = (await run(client, operation)).error
        assert error is not None
        assert (error.code, error.status) == ("CLIENT_CLOSED", None), operation
        assert (error.attempts, error.maybe_applied) == (1, False), operation
        assert not error.retryable
    async with client.from_("t").stream() as rows:
        assert rows.error is not None
        assert rows.error.code == "CLIENT_CLOSED"
    assert scripted.connections == 0


async def test_closing_ends_calls_under_way(scripted: ScriptedServer) -> None:
    release = threading.Event()
    scripted.on("/rest/v1/t", [hold(release), *ROWS])
    client = AeroDBClient(url_of(scripted), KEY, options=ClientOptions(max_connections=4))
    codes: list[tuple[str | None, bool]] = []

    async def insert() -> None:
        error = (await client.from_("t").insert({"a": 1}).execute()).error
        assert error is not None
        codes.append((error.code, error.maybe_applied))

    workers = [Worker(insert, f"insert-{number}") for number in range(12)]
    while len(scripted.seen) < 4:
        await pause(0.01)
    await client.close()
    await all_done(workers)
    release.set()
    assert sorted(codes) == [("CLIENT_CLOSED", False)] * 8 + [("CLIENT_CLOSED", True)] * 4


async def test_a_client_is_neither_pickled_nor_copied(client: AeroDBClient) -> None:
    for made in (client, client._transport, client.from_("t").select()):
        for way in (pickle.dumps, copy.deepcopy):
            with pytest.raises(TypeError):
                way(made)
    with pytest.raises(TypeError, match="URL and key"):
        copy.copy(client)


async def test_sixteen_share_a_client(scripted: ScriptedServer) -> None:
    """Every answer belongs to its question, whatever happens to the others."""

    def echo(sock: Any, seen: Any) -> None:
        text = f'[{{"target":"{seen.target}","n":{seen.body.decode() or "null"}}}]'.encode()
        rng = random.Random(text)
        if rng.random() < 0.1:
            reset()(sock, seen)
        data = head(200, [JSON, ("Content-Length", str(len(text)))]) + text
        sock.sendall(data[: len(data) // 2])
        pause_between(rng.random() * 0.002)
        sock.sendall(data[len(data) // 2 :])

    for path in PATHS:
        scripted.on(path, [echo])
    wrong: list[Any] = []
    broken: list[str | None] = []
    options = ClientOptions(max_connections=5, retries=0)
    async with AeroDBClient(url_of(scripted), KEY, options=options) as client:

        def asking(name: int) -> Any:
            async def ask() -> None:
                for turn in range(20):
                    number = name * 100 + turn
                    if turn % 2:
                        response = await client.from_("t").select().eq("n", number).execute()
                        expected = f"n=eq.{number}"
                    else:
                        response = await client.rpc("f", {"n": number}).execute()
                        expected = f"{{'n': {number}}}"
                    if response.error is not None:
                        broken.append(response.error.code)
                    elif expected not in str(response.data):
                        wrong.append((expected, response.data))

            return ask

        await all_done([Worker(asking(name), f"ask-{name}") for name in range(16)])
    assert wrong == []
    assert set(broken) == {"NETWORK_ERROR"}
    assert len(scripted.seen) == 320
    assert scripted.most_at_once <= 6  # the server sees the end of a connection a little later


def pause_between(seconds: float) -> None:
    threading.Event().wait(seconds)


async def test_without_a_url_the_error_says_where_one_comes_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AERODB_URL", raising=False)
    with pytest.raises(ValueError, match=r"AERODB_URL is not set: .*`aerodb dev` prints"):
        AeroDBClient.from_env()
