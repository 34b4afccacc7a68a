"""The long way through realtime, in both twins, over real sockets: what its promises amount to.

    python scripts/soak_realtime.py
        [--kills 200] [--seeds 50] [--events 1000] [--slow 60] [--exits 20]

`kills`: so many ends of the connection, of every kind: as many connections, and no change is
lost. `seeds`: numbered changes, with 20 ends at random points among them: each is heard once, or
told to be missing by a notice that covers it. `slow`: a handler that sleeps 0.5 s, at 50 changes a
second, for so many seconds: the connection stays, the memory is bounded, and what overflows is
counted. `exits`: so many programs for each supported Python that is found, each handler (quick, or
asleep for minutes) and each end (client left open, or closed), which end in the middle of a flood:
with 0, in silence, within 2 s.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.support.exits import ASLEEP, leave
from tests.support.pythons import SUPPORTED, find, link_core
from tests.support.realtime_ordeal import Twin, kills, numbered
from tests.support.slow_handler import LIMIT_MIB, slow

TWINS: tuple[Twin, ...] = ("aio", "sync")
LONGEST_EXIT = 2.0  # seconds, which is what is promised


def exits(count: int) -> bool:
    """Whether so many programs of every kind end as promised."""
    kept = True
    with tempfile.TemporaryDirectory() as folder:
        environment = link_core(Path(folder))
        for version in SUPPORTED if count else ():
            python = find(version)
            if python is None:
                print(f"Python {version}: not here", flush=True)
                continue
            for twin, sleep, end in product(TWINS, (0, ASLEEP), ("open", "close")):
                found = [leave(python, environment, twin, sleep, end) for _ in range(count)]
                wrong = [one for one in found if one[:3] != (0, "leaving\n", "")]
                worst = max(one.seconds for one in found)
                print(f"{twin}: Python {version}, handler of {sleep:.0f} s, {end}: {count} ends, "
                      f"{len(wrong)} wrong, at most {worst:.2f} s", flush=True)  # fmt: skip
                kept &= not wrong and worst <= LONGEST_EXIT
    return kept


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--slow", type=float, default=60)
    parser.add_argument("--exits", type=int, default=20)
    chosen = parser.parse_args()
    failed = not exits(chosen.exits)
    for twin in TWINS:
        begin = time.perf_counter()
        opened, heard = kills(twin, chosen.kills)
        took = time.perf_counter() - begin
        print(f"{twin}: {chosen.kills} ends, {opened} connections made again, "
              f"{len(heard)} changes heard once each, {took:.0f} s", flush=True)  # fmt: skip
        failed |= opened != chosen.kills
        begin, total = time.perf_counter(), Counter[str]()
        for seed in range(chosen.seeds):
            total.update(numbered(twin, seed, chosen.events))
        took = time.perf_counter() - begin
        print(f"{twin}: {chosen.seeds} seeds, {total['heard']} changes heard once each, "
              f"{total['told']} told to be missing by {total['notices']} notices, "
              f"{total['connections']} connections, 0 lost in silence, {took:.0f} s",
              flush=True)  # fmt: skip
        if chosen.slow:
            found = slow(twin, chosen.slow)
            print(f"{twin}: slow handler for {chosen.slow:.0f} s: {found}", flush=True)
            failed |= found.grown > LIMIT_MIB or found.connections != 1 or not found.is_exact
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
