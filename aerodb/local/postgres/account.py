"""The operating-system account that PostgreSQL runs as.

PostgreSQL refuses to run as root, and root is what containers and CI jobs are. Then an account
that is there already takes over: the owner of the cluster if there is one, else `postgres`, else
`nobody`. No account is made, and no folder but the cluster's own changes hands (reliability L3,
D5).
"""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from aerodb.local.errors import LocalError

_CANDIDATES = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """A user id and a group id; `switched` tells that it is not the caller's own."""

    uid: int
    gid: int
    switched: bool

    def own(self, path: Path) -> None:
        """Give one file or folder to the account."""
        if self.switched:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def can_enter(self, folder: Path) -> bool:
        """Tell whether the mode bits of `folder` and of all its parents let the account through."""
        if not self.switched:
            return os.access(folder, os.X_OK)
        return all(self._may_search(part) for part in (folder, *folder.parents))

    def _may_search(self, folder: Path) -> bool:
        facts = folder.stat()
        if facts.st_uid == self.uid:
            return bool(facts.st_mode & 0o100)
        if facts.st_gid == self.gid:
            return bool(facts.st_mode & 0o010)
        return bool(facts.st_mode & 0o001)


def choose_account(cluster: Path) -> Account:
    """Return the account that PostgreSQL has to run as for the folder `cluster`."""
    owner = cluster.stat().st_uid if cluster.exists() else None
    if os.geteuid() != 0:
        if owner is not None and owner != os.geteuid():
            raise LocalError(
                f"The database in {cluster} belongs to another account (user id {owner}). "
                "Start it as that account or as root, or choose another data folder."
            )
        return Account(os.geteuid(), os.getegid(), switched=False)
    if owner:
        return _by_id(owner)
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid, switched=True)
    raise LocalError(
        "PostgreSQL does not run as root, and this system has neither an account `postgres` nor "
        "`nobody` to run it as. Start the local instance as an ordinary user."
    )


def _by_id(uid: int) -> Account:
    try:
        return Account(uid, pwd.getpwuid(uid).pw_gid, switched=True)
    except KeyError:
        return Account(uid, uid, switched=True)
