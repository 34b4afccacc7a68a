"""Making a new cluster with `initdb`, whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from pathlib import Path

from aerodb.local.errors import LocalError
from aerodb.local.postgres.account import Account
from aerodb.local.postgres.binaries import Binaries
from aerodb.local.postgres.private import write_private

SUPERUSER = "postgres"
INITDB_SECONDS = 120.0
_BUILTIN_LOCALE_SINCE = 17
_DESCRIPTORS = "/proc/self/fd"


@contextlib.contextmanager
def reachable(folder: Path, account: Account) -> Generator[tuple[str, tuple[int, ...]]]:
    """Yield what PostgreSQL is told about where `folder` is, and the descriptors it must inherit.

    Another account may not be allowed to pass through the folders above. It need not: root opens
    the folder, the programs inherit the descriptor and go in through /proc, where the way to the
    folder is not asked about. So the modes of the folders above stay as they are.
    """
    if not account.switched or not os.path.isdir(_DESCRIPTORS):
        yield str(folder), ()
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"{_DESCRIPTORS}/{descriptor}", (descriptor,)
    finally:
        os.close(descriptor)


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
    with reachable(fresh, account) as (path, descriptors):
        answer = subprocess.run(  # noqa: S603 - a program found by `find_binaries`, no shell
            [str(binaries.bin / "initdb"), *_options(path, secret, binaries.major)],
            cwd="/",
            env=postgres_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=INITDB_SECONDS,
            check=False,
            umask=0o077,
            start_new_session=True,
            pass_fds=descriptors,
            user=account.uid if account.switched else None,
            group=account.gid if account.switched else None,
            extra_groups=[] if account.switched else None,
        )
    if answer.returncode != 0:
        tail = answer.stderr.strip()[-2000:]
        raise LocalError(f"initdb could not make the cluster in {fresh.parent}: {tail}")


def _options(path: str, secret: Path, major: int) -> list[str]:
    return [
        f"--pgdata={path}",
        f"--username={SUPERUSER}",
        f"--pwfile={secret}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        *_locale_options(major),
        "--no-sync",
        "--no-instructions",
    ]


def _locale_options(major: int) -> list[str]:
    """Text sorts by code point everywhere alike; case mapping knows Unicode from 17 on."""
    if major >= _BUILTIN_LOCALE_SINCE:
        return ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return ["--locale=C"]
