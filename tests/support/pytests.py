"""pytest in a process of its own, as a user of the library has it."""

from __future__ import annotations

import sys

_NOT_OURS = ("hypothesispytest", "respx", "randomly", "timeout")
"""Plugins that this project's own tests need: loading them takes longer than all else."""


def pytest_command(*words: str) -> list[str]:
    """A command that runs pytest with the plugins it finds, warnings being errors."""
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]
    for name in _NOT_OURS:
        command += ["-p", f"no:{name}"]
    return [*command, *words]
