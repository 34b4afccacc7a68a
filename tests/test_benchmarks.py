"""What `docs/development.md` has measured can be measured."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux forgets a peak")
def test_the_benchmark_of_transfers_measures_all_of_them() -> None:
    """How many MiB a second is for a quiet machine to say."""
    script = ROOT / "scripts" / "bench_storage.py"
    command = [sys.executable, script, "--rounds", "1", "--size", "1", "--only", ", sync"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.stderr == ""
    lines = re.findall(r"^(.+), sync +([0-9.]+) ", done.stdout, re.MULTILINE)
    assert [name for name, _ in lines] == [
        "upload", "download to a sink", "download as bytes", "download to a file",
        "verified to a sink", "verified as bytes", "verified / unseen",
    ]  # fmt: skip
    assert all(float(ratio) > 0 for _, ratio in lines)
