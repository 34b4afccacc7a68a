"""Everything CI runs, in order; the first failure ends it.

    python3 scripts/check.py            on any machine with Python 3.11: sets itself up
    python3 scripts/check.py --fast     without the packaging test

Generated files, lint, types, tests, then the built wheel in an environment of its own.
"""

from __future__ import annotations

import subprocess
import sys
import time

from environment import ROOT, enter

TYPED = ["aerodb", "aerodb_async_src", "scripts", "tests/typing", "examples"]


def steps(fast: bool) -> list[tuple[str, list[str]]]:
    """What is run: a name and the arguments to this Python."""
    packaging = [] if not fast else ["--deselect", "tests/test_packaging.py"]
    return [
        ("generated files", ["scripts/generate.py", "--check"]),
        ("lint", ["-m", "ruff", "check", "."]),
        ("format", ["-m", "ruff", "format", "--check", "."]),
        ("mypy", ["-m", "mypy"]),
        ("pyright", ["-m", "pyright", *TYPED]),
        ("tests", ["-m", "pytest", "-q", "-n", "2", "--dist", "worksteal", *packaging]),
    ]


def main() -> int:
    enter(extras=("local", "speedups"), groups=("dev", "examples"))
    for name, arguments in steps("--fast" in sys.argv[1:]):
        print(f"== {name}", flush=True)
        started = time.monotonic()
        done = subprocess.run([sys.executable, *arguments], cwd=ROOT, check=False)
        if done.returncode != 0:
            print(f"== {name} failed", flush=True)
            return 1
        print(f"== {name}: ok in {time.monotonic() - started:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
