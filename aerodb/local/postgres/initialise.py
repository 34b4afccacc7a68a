"""Making a new cluster with `initdb`, whole or not at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from aerodb.local.errors import LocalError
from aerodb.local.postgres.account import Account
from aerodb.local.postgres.binaries import Binaries
from aerodb.local.postgres.private import write_private

SUPERUSER = "postgres"
_BUILTIN_LOCALE_SINCE = 17
_CURRENT_FOLDER = "/proc/self/cwd"


def folder_argument(folder: Path, account: Account) -> str:
    """Return what PostgreSQL is told about where its cluster is.

    A process that root started inside the cluster's folder can name it as its current one, even
    if its new account may not pass through the folders above, so those keep their modes.
    """
    if account.switched and sys.platform.startswith("linux"):
        return _CURRENT_FOLDER
    return str(folder)


def postgres_environment() -> dict[str, str]:
    """Return the variables that PostgreSQL sees: of the caller's only where libraries are."""
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
    for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"):
        if name in os.environ:
            environment[name] = os.environ[name]
    return environment


def initialise(
    folder: Path, runtime: Path, binaries: Binaries, account: Account, *, password: str
) -> None:
    """Make the cluster `folder`. It appears under its name only when it is complete."""
    prefix = f"{folder.name}.new-"
    for leftover in folder.parent.glob(f"{prefix}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh = Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))
    secret = runtime / "password"
    try:
        account.own(fresh)
        write_private(secret, password)
        account.own(secret)
        _run_initdb(fresh, secret, binaries, account)
        fresh.rename(folder)
    finally:
        secret.unlink(missing_ok=True)
        if fresh.exists():
            shutil.rmtree(fresh, ignore_errors=True)


def _run_initdb(fresh: Path, secret: Path, binaries: Binaries, account: Account) -> None:
    answer = subprocess.run(  # noqa: S603 - a program found by `find_binaries`, no shell
        [
            str(binaries.bin / "initdb"),
            f"--pgdata={folder_argument(fresh, account)}",
            f"--username={SUPERUSER}",
            f"--pwfile={secret}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            *_locale_options(binaries.major),
            "--no-sync",
            "--no-instructions",
        ],
        cwd=fresh,
        env=postgres_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
        umask=0o077,
        start_new_session=True,
        user=account.uid if account.switched else None,
        group=account.gid if account.switched else None,
        extra_groups=[] if account.switched else None,
    )
    if answer.returncode != 0:
        tail = answer.stderr.strip()[-2000:]
        raise LocalError(f"initdb could not make the cluster in {fresh.parent}: {tail}")


def _locale_options(major: int) -> list[str]:
    """Text sorts by code point everywhere alike; case mapping knows Unicode from 17 on."""
    if major >= _BUILTIN_LOCALE_SINCE:
        return ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return ["--locale=C"]
