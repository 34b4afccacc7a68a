"""The long way through realtime, in both twins, over real sockets: what its promises amount to.

    python scripts/soak_realtime.py [--kills 200] [--seeds 50] [--events 1000] [--slow 60]

`kills`: so many ends of the connection, of every kind: as many connections, and no change is
lost. `seeds`: numbered changes, with 20 ends at random points among them: each is heard once, or
told to be missing by a notice that covers it. `slow`: a handler that sleeps 0.5 s, at 50 changes a
second, for so many seconds: the connection stays, the memory is bounded, and what overflows is
counted.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.support.realtime_ordeal import Twin, kills, numbered
from tests.support.slow_handler import LIMIT_MIB, slow

TWINS: tuple[Twin, ...] = ("aio", "sync")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--slow", type=float, default=60)
    chosen = parser.parse_args()
    failed = False
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
