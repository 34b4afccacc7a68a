# GENERATED from tests/aio/test_io_primitives.py by scripts/generate.py [82fba2584e2c]: do not edit
"""The contract of the shim's small parts, the same on both sides."""

from __future__ import annotations

import logging
import threading
import uuid
from typing import Any

import pytest

from aerodb._io import on_threads
from aerodb._io.on_threads import (
    Event,
    Lock,
    Queue,
    Worker,
    call,
    jitter,
    monotonic,
    new_id,
    pause,
    wall_clock,
)


def test_names_are_sorted_and_there() -> None:
    assert on_threads.__all__ == sorted(on_threads.__all__)
    assert all(hasattr(on_threads, name) for name in on_threads.__all__)


def test_an_id_is_a_random_uuid() -> None:
    made = {new_id() for _ in range(1000)}
    assert len(made) == 1000
    for text in made:
        parsed = uuid.UUID(text)
        assert (parsed.version, parsed.variant, str(parsed)) == (4, uuid.RFC_4122, text)


def test_jitter_is_a_fraction() -> None:
    drawn = [jitter() for _ in range(2000)]
    assert all(0 <= number < 1 for number in drawn)
    assert 0.4 < sum(drawn) / len(drawn) < 0.6


def test_clocks() -> None:
    assert monotonic() <= monotonic()
    assert wall_clock() > 1_700_000_000


def test_pause_takes_its_time() -> None:
    started = monotonic()
    pause(0.05)
    pause(-1)
    assert monotonic() - started >= 0.05


def test_a_lock_lets_one_in_at_a_time() -> None:
    lock = Lock()
    inside: list[int] = []
    order: list[int] = []

    def entering(number: int) -> Any:
        def enter() -> None:
            for _ in range(20):
                with lock:
                    inside.append(number)
                    pause(0)
                    assert inside == [number]
                    inside.remove(number)
            order.append(number)

        return enter

    workers = [Worker(entering(number), f"enter-{number}") for number in range(8)]
    for worker in workers:
        assert worker.join(30)
    assert sorted(order) == list(range(8))


def test_a_lock_is_free_after_an_error() -> None:
    lock = Lock()
    with pytest.raises(ValueError, match="inside"):
        with lock:
            raise ValueError("inside")
    with lock:
        pass


def test_an_event_that_is_up_does_not_wait() -> None:
    event = Event()
    event.set()
    assert event.is_set()
    assert event.wait(0)
    assert event.wait(None)
    event.clear()
    assert not event.is_set()
    assert not event.wait(0.01)


def test_an_event_wakes_everybody() -> None:
    event = Event()
    woken: list[bool] = []

    def wait() -> None:
        woken.append(event.wait(30))

    workers = [Worker(wait, f"wait-{number}") for number in range(5)]
    pause(0.02)
    assert woken == []
    event.set()
    for worker in workers:
        assert worker.join(30)
    assert woken == [True] * 5


def test_an_event_can_be_raised_by_any_thread() -> None:
    event = Event()
    thread = threading.Timer(0.02, event.set)
    thread.start()
    assert event.wait(30)
    thread.join()


def test_a_queue_keeps_order_and_is_bounded() -> None:
    queue: Queue[int] = Queue(3)
    assert [queue.put_nowait(number) for number in range(4)] == [True, True, True, False]
    assert len(queue) == 3
    assert [queue.get(0) for _ in range(4)] == [0, 1, 2, None]
    assert queue.put_nowait(9)
    assert queue.get(None) == 9


def test_a_queue_wakes_who_waits() -> None:
    queue: Queue[str] = Queue(1)
    thread = threading.Timer(0.02, queue.put_nowait, ["late"])
    thread.start()
    assert queue.get(30) == "late"
    thread.join()
    started = monotonic()
    assert queue.get(0.02) is None
    assert monotonic() - started >= 0.02


def test_a_queue_between_workers_loses_nothing() -> None:
    queue: Queue[int] = Queue(1000)
    got: list[int] = []

    def take() -> None:
        for _ in range(100):
            item = queue.get(30)
            assert item is not None
            got.append(item)

    workers = [Worker(take, f"take-{number}") for number in range(4)]
    for number in range(1, 401):
        assert queue.put_nowait(number)
        if number % 50 == 0:
            pause(0)
    for worker in workers:
        assert worker.join(30)
    assert sorted(got) == list(range(1, 401))


def test_joining_a_worker() -> None:
    event = Event()

    def work() -> None:
        event.wait(30)

    worker = Worker(work, "work")
    assert not worker.join(0.01)
    event.set()
    assert worker.join(30)
    assert worker.join(0)


def test_a_worker_that_joins_itself_returns_at_once() -> None:
    results: list[bool] = []
    started = Event()

    def work() -> None:
        assert started.wait(30)
        results.append(workers[0].join(30))

    workers = [Worker(work, "work")]
    started.set()
    assert workers[0].join(30)
    assert results == [False]


def test_a_worker_that_fails_is_heard_of(caplog: pytest.LogCaptureFixture) -> None:
    def work() -> None:
        raise ValueError("in the worker")

    with caplog.at_level(logging.ERROR, logger="aerodb"):
        worker = Worker(work, "work")
        assert worker.join(30)
    assert "in the worker" in caplog.text


def test_a_plain_handler_is_called() -> None:
    assert call(lambda value: value + 1, 1) == 2
