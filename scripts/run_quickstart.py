"""Run the quickstart on an AeroDB of its own: python3 scripts/run_quickstart.py

Sets up everything it needs, on any machine with Python 3.11.
"""

from __future__ import annotations

import subprocess
import sys

from environment import ROOT, enter


def main() -> int:
    enter(extras=("local",), groups=("examples",))
    example = [sys.executable, "examples/quickstart.py", *sys.argv[1:]]
    return subprocess.run(example, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
