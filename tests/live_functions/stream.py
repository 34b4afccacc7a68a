"""Answers piece by piece, in the way that its path says."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

from aerodb.local.functions import Request, Response, event


def text() -> Iterator[str]:
    yield "one\n"
    yield "two\n"
    yield "drei ä"


async def objects() -> AsyncIterator[Any]:
    for number in range(3):
        await asyncio.sleep(0)
        yield {"n": number}


def events(count: int) -> Iterator[Any]:
    yield event("first\nsecond", name="greeting", id="1")
    for number in range(count):
        yield {"n": number}
        time.sleep(0.001)


def breaking() -> Iterator[str]:
    yield "x" * 10
    raise ValueError("in the middle")


def handler(request: Request) -> Any:
    kind = {"Content-Type": "text/event-stream"}
    answers: dict[str, Any] = {
        "text": text,
        "objects": objects,
        "events": lambda: Response(events(3), headers=kind),
        "endless": lambda: Response(events(10**9), headers=kind),
        "breaking": breaking,
        "empty": lambda: iter(()),
    }
    return answers[request.path]()
