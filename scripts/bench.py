"""Our figures beside the raw libraries', in one run: python scripts/bench.py [--rounds 5]

    python scripts/bench.py client    importing, building, decoding, whole requests / raw httpx
    python scripts/bench.py http      the HTTP shim alone / raw httpx
    python scripts/bench.py storage   uploads and downloads, time and memory / raw httpx
    python scripts/bench.py local     the local instance / psycopg, Starlette
    python scripts/bench.py realtime  an event / raw websockets, raw websocket-client

Every figure is a ratio of CPU time, the median over the rounds: machines differ, ratios less so.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

PARTS = ("client", "http", "storage", "local", "realtime")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"there is no part {unknown.pop()!r}, only {', '.join(PARTS)}")
    for part in options.parts or PARTS:
        print(f"== {part}", flush=True)
        script = Path(__file__).with_name(f"bench_{part}.py")
        command = [sys.executable, str(script), "--rounds", str(options.rounds)]
        subprocess.run(command, check=False)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
