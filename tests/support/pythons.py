"""The Pythons that the project names in its classifiers, as far as this machine has them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
_CLASSIFIER = "Programming Language :: Python :: 3."


def _supported() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    minors = [c.removeprefix(_CLASSIFIER) for c in project["classifiers"] if _CLASSIFIER in c]
    return [f"3.{minor}" for minor in minors]


SUPPORTED = _supported()


def python(version: str) -> str:
    """The command of that Python, such as `3.12`; skips the test where there is none."""
    return find(version) or pytest.skip(f"no Python {version} on PATH or in pyenv's versions")


@cache
def find(version: str) -> str | None:
    """The command of that Python, if this machine has it."""
    return next((c for c in _candidates(version) if _version_of(c) == version), None)


def _candidates(version: str) -> Iterator[str]:
    yield sys.executable
    name = f"python{version}"
    on_path = shutil.which(name)
    if on_path is not None:
        yield on_path
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from map(str, sorted(pyenv.glob(f"versions/{version}*/bin/{name}")))


@cache
def _version_of(command: str) -> str:
    """What it says it is: pyenv's shims stand on PATH for Pythons that are not switched on."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([command, "-I", "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def link_core(folder: Path) -> dict[str, str]:
    """Put the client and what it depends on, which is pure Python, into a folder.

    Returns the environment variables with which any Python finds it there, and nothing else of
    what is installed for the one that runs the tests.
    """
    (folder / "aerodb").symlink_to(ROOT / "aerodb")
    for name in _needed("aerodb", set()) - {"aerodb"}:
        distribution = metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or () if ".." not in file.parts}:
            target = Path(str(distribution.locate_file(top)))
            if target.name != "__pycache__":
                (folder / top).symlink_to(target)
    return {**os.environ, "PYTHONPATH": str(folder)}


def _needed(name: str, known: set[str]) -> set[str]:
    """The distribution and all that it needs, here or for another Python."""
    known.add(name)
    for line in metadata.requires(name) or ():
        wanted = Requirement(line)
        optional = wanted.marker is not None and "extra" in str(wanted.marker)
        if not optional and wanted.name not in known and _is_installed(wanted.name):
            _needed(wanted.name, known)
    return known


def _is_installed(name: str) -> bool:
    return any(True for _ in metadata.distributions(name=name))
