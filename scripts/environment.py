"""A virtual environment of the project's own, made from nothing but a Python 3.11.

Used by the commands of the README: each calls `enter(...)` first, which returns only inside the
environment. Standard library only, since it runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venv"
PYTHON = FOLDER / "bin" / "python"
NEWEST_PIP = "pip>=25.1"  # the first that reads dependency groups


def enter(extras: tuple[str, ...], groups: tuple[str, ...]) -> None:
    """Make the environment hold the project with these extras and groups, and go on inside it."""
    if sys.version_info < (3, 11):  # noqa: UP036  # who runs this may have an older one
        raise SystemExit(f"aerodb needs Python 3.11 or newer; this is {sys.version.split()[0]}")
    if not PYTHON.exists():
        _create()
    _install(extras, groups)
    if Path(sys.prefix).resolve() != FOLDER.resolve():
        os.execv(PYTHON, [str(PYTHON), *sys.argv])  # noqa: S606


def _create() -> None:
    print(f"making {FOLDER.relative_to(ROOT)} ...", flush=True)
    command = [sys.executable, "-m", "venv", str(FOLDER)]
    if subprocess.run(command, capture_output=True, check=False).returncode == 0:
        return
    shutil.rmtree(FOLDER, ignore_errors=True)
    _install_venv_module()
    subprocess.run(command, check=True)


def _install_venv_module() -> None:
    """Debian keeps `ensurepip` in a package of its own."""
    apt = shutil.which("apt-get")
    sudo = [] if os.geteuid() == 0 else [shutil.which("sudo") or ""]
    if apt is None or sudo == [""]:
        raise SystemExit("Python's venv module is missing: install python3-venv, then try again")
    print("installing python3-venv ...", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in (["update", "-q"], ["install", "-q", "-y", "python3-venv"]):
        subprocess.run([*sudo, apt, *step], check=True, env=environment)


def _install(extras: tuple[str, ...], groups: tuple[str, ...]) -> None:
    stamp = FOLDER / ".installed"
    wanted = _fingerprint(extras, groups)
    done = stamp.read_text().split("\n") if stamp.exists() else []
    if wanted in done:
        return
    print(f"installing aerodb[{','.join(extras)}] and {', '.join(groups)} ...", flush=True)
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--upgrade", NEWEST_PIP], check=True, cwd=ROOT)
    chosen = [argument for group in groups for argument in ("--group", group)]
    project = f".[{','.join(extras)}]" if extras else "."
    subprocess.run([*pip, "--editable", project, *chosen], check=True, cwd=ROOT)
    stamp.write_text("\n".join([*done, wanted]))


def _fingerprint(extras: tuple[str, ...], groups: tuple[str, ...]) -> str:
    digest = hashlib.sha256((ROOT / "pyproject.toml").read_bytes())
    digest.update(repr((extras, groups)).encode())
    return digest.hexdigest()
