"""What waits for a client that does not read (wire contract §4.8)."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from aerodb.local.realtime.outbox import MAXIMUM_FRAMES, Frame, Outbox


class Reader:
    """A client that reads nothing until it is let go on, then everything."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.overflows = 0
        self.goes_on = asyncio.Event()
        self.outbox = Outbox(self._send, self._overflowed)

    async def _send(self, text: str) -> None:
        await self.goes_on.wait()
        self.read.append(text)

    def _overflowed(self) -> None:
        self.overflows += 1


class Losing:
    """A subscription; a frame's text tells what was lost before it."""

    def __init__(self) -> None:
        self.dropped = self.all = 0

    def lose(self) -> None:
        self.dropped += 1
        self.all += 1

    def stamp(self, text: str) -> str:
        dropped, self.dropped = self.dropped, 0
        return f"{text} after {dropped}"


class Looked(Frame):
    """Counts how often anybody looks at frames."""

    looks = 0

    def __getattribute__(self, name: str) -> Any:
        Looked.looks += 1
        return super().__getattribute__(name)


@pytest.mark.parametrize("every", [0, 2, 3000], ids=["none", "half", "few"])
async def test_a_frame_costs_the_same_however_many_wait(every: int) -> None:
    """Who is present is never left out: thousands of such frames may wait, and of a few that can
    be lost each makes place for itself alone."""
    reader, owner, count = Reader(), Losing(), 4 * MAXIMUM_FRAMES
    Looked.looks = 0
    for number in range(count):
        may_be_lost = every and number % every == 1
        reader.outbox.put(Looked(str(number), owner if may_be_lost else None))
    assert Looked.looks < 30 * count
    reader.outbox.close()


@pytest.mark.parametrize("seed", range(20))
async def test_the_oldest_that_may_be_lost_give_way(seed: int) -> None:
    chance, reader, owner = random.Random(seed), Reader(), Losing()
    share = chance.random()
    lasting: list[str] = []
    losable: list[str] = []
    for number in range(3 * MAXIMUM_FRAMES):
        if number == 10:
            await asyncio.sleep(0)  # the first is on its way
        is_lasting = chance.random() < share
        (lasting if is_lasting else losable).append(str(number))
        reader.outbox.put(Frame(str(number), None if is_lasting else owner))
    waiting = max(0, MAXIMUM_FRAMES - len(lasting))
    reader.goes_on.set()
    await reader.outbox.flush(20)
    texts = [text.split()[0] for text in reader.read]
    assert texts == sorted(texts, key=int)
    assert [text for text in texts if text in set(lasting)] == lasting
    kept = [text for text in texts if text not in set(lasting)]
    assert owner.all == len(losable) - len(kept)
    assert abs(len(kept) - waiting) <= 1  # the one on its way does not wait any more
    assert kept[1:] == losable[len(losable) - len(kept) + 1 :]
    told = sum(int(text.rpartition(" ")[2]) for text in reader.read if " " in text)
    assert told + owner.dropped == owner.all
    assert not reader.outbox.crowded
    reader.outbox.put(Frame("more", owner))
    await reader.outbox.flush(20)
    assert reader.read[-1].startswith("more")
