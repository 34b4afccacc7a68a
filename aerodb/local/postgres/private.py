"""Private folders: short and unpredictable names, mode 0700 (reliability D4, D7)."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from aerodb.local.errors import LocalError
from aerodb.local.postgres.account import Account

# sun_path holds 108 bytes on Linux and 104 on macOS, with the final zero.
_SOCKET_PATH_BYTES = 103
_SOCKET_NAME = "/.s.PGSQL.5432"
_RANDOM_NAME = "/aerodb-12345678"
# These would be read as separators or quotes in `unix_socket_directories`.
_AWKWARD = frozenset(",'\"\\")


def private_folder(account: Account) -> Path:
    """Make a folder for one run that `account` owns and can reach, short enough for a socket."""
    for parent in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp")):  # noqa: S108
        if _suits(Path(parent), account):
            folder = Path(tempfile.mkdtemp(prefix="aerodb-", dir=parent))
            account.own(folder)
            return folder
    raise LocalError(
        "There is no temporary folder for PostgreSQL's socket: it must be writable, have a path "
        f"of less than {_SOCKET_PATH_BYTES - len(_SOCKET_NAME + _RANDOM_NAME)} bytes, and be "
        "open to the account that PostgreSQL runs as. Set TMPDIR to such a folder."
    )


def _suits(parent: Path, account: Account) -> bool:
    path = str(parent.absolute())
    return (
        len(os.fsencode(path + _RANDOM_NAME + _SOCKET_NAME)) <= _SOCKET_PATH_BYTES
        and not _AWKWARD.intersection(path)
        and os.access(parent, os.W_OK | os.X_OK)
        and account.can_enter(parent)
    )


def write_private(path: Path, text: str) -> None:
    """Create the file `path` with mode 0600; it must not exist, not even as a link."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    with open(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
