"""Runs a function of a module, of either colour: `python -m tests.support.in_process MODULE NAME`.

What follows the name are the function's arguments, as text. For tests that need other processes.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def start(function: Callable[..., Any], *arguments: str) -> subprocess.Popen[str]:
    """Run a function of a module in a process of its own, with pipes to and from it."""
    name = (function.__module__, function.__name__)
    command = [sys.executable, "-m", "tests.support.in_process", *name, *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)


def heard(process: subprocess.Popen[str]) -> str:
    """The next line that it prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(process: subprocess.Popen[str]) -> None:
    """Let it read a line."""
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def main(module: str, name: str, *arguments: str) -> None:
    """Call it, and wait for it if it can be waited for."""
    result = getattr(importlib.import_module(module), name)(*arguments)
    if inspect.iscoroutine(result):
        asyncio.run(result)


if __name__ == "__main__":
    main(*sys.argv[1:])
