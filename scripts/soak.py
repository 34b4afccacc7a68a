"""The promises that take too long for every test run, in full: python scripts/soak.py [PART ...]

    kills    50 kills of a download, 20 of a resumable upload of 64 MiB, both twins
    memory   256 MiB up and down, in constant memory, both twins
    names    2,000 names of objects through the local instance, both twins

The tests are those of every run, with larger numbers; they print what they have measured.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAMES = "test_a_name_comes_back_as_it_was_or_is_refused"
PARTS = {
    "kills": ["tests/test_storage_crashes.py"],
    "memory": ["tests/test_storage_memory.py"],
    "names": [f"tests/{twin}/live/test_storage.py::{NAMES}" for twin in ("aio", "sync")],
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parts = parser.parse_args().parts or list(PARTS)
    unknown = set(parts) - set(PARTS)
    if unknown:
        parser.error(f"there is no part {unknown.pop()!r}, only {', '.join(PARTS)}")
    failed = 0
    for part in parts:
        print(f"== {part}", flush=True)
        command = [sys.executable, "-m", "pytest", "-q", "-s", "--durations=0", *PARTS[part]]
        done = subprocess.run(
            command, cwd=ROOT, env={**os.environ, "AERODB_SOAK": "1"}, check=False
        )
        failed |= done.returncode
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
