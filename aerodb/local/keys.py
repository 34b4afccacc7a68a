"""The secrets of an instance, made at its first start and known nowhere else.

Wire contract §1.9 S13 and reliability J12: no default secret, per-instance random values, one file
of mode 0600 that appears whole or not at all.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import tempfile
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from aerodb.local.errors import LocalError

PUBLISHABLE_PREFIX = "aero_pk_"
SECRET_PREFIX = "aero_sk_"  # noqa: S105 - a prefix, not a secret
MINIMUM_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Keys:
    """What has to be known to use an instance: nothing of it shows in a repr.

    `publishable` and `secret` are the API keys (wire contract §1.4), `jwt_secret` signs access
    tokens, `storage_secret` signs URLs, the other two are passwords of database roles.
    """

    publishable: str = field(repr=False)
    secret: str = field(repr=False)
    jwt_secret: str = field(repr=False)
    superuser_password: str = field(repr=False)
    authenticator_password: str = field(repr=False)
    storage_secret: str = field(repr=False)

    @property
    def auth_password(self) -> str:
        """The password of `aerodb_auth`. It follows from the superuser's, who can do all anyway."""
        key = self.superuser_password.encode()
        return hmac.digest(key, b"password of aerodb_auth", "sha256").hex()

    @property
    def storage_password(self) -> str:
        """The password of `aerodb_storage`, made in the same way."""
        key = self.superuser_password.encode()
        return hmac.digest(key, b"password of aerodb_storage", "sha256").hex()


def new_keys() -> Keys:
    """Return fresh random keys."""
    return Keys(
        publishable=PUBLISHABLE_PREFIX + secrets.token_urlsafe(24),
        secret=SECRET_PREFIX + secrets.token_urlsafe(32),
        jwt_secret=secrets.token_urlsafe(48),
        superuser_password=secrets.token_urlsafe(32),
        authenticator_password=secrets.token_urlsafe(32),
        storage_secret=secrets.token_urlsafe(48),
    )


def load_or_create_keys(path: Path, *, may_create: bool = True) -> Keys:
    """Return the keys in the file `path`; make the file first if it is not there.

    `may_create` False is for a data folder that has a database already: new passwords would not
    open it.
    """
    if path.is_symlink():
        raise LocalError(f"{path} is a link; the keys of an instance must be a file of its own.")
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except FileNotFoundError:
        if not may_create:
            raise LocalError(
                f"{path} is missing, and without it the database next to it cannot be opened. "
                "Bring the file back, or move the data folder away to start over."
            ) from None
        keys = new_keys()
        _write(path, keys)
        return keys
    with open(descriptor, encoding="utf-8") as file:
        if os.fstat(descriptor).st_mode & 0o077:
            # A copy or a restore may have widened it. It is ours: close it again.
            os.fchmod(descriptor, 0o600)
        text = file.read()
    keys = _parse(path, text)
    if "storage_secret" not in json.loads(text):
        _write(path, keys)  # of a version that did not sign URLs yet
    return keys


def _parse(path: Path, text: str) -> Keys:
    try:
        found = {"storage_secret": secrets.token_urlsafe(48), **json.loads(text)}
        values = {entry.name: str(found[entry.name]) for entry in fields(Keys)}
    except (ValueError, KeyError, TypeError):
        raise LocalError(f"{path} is damaged: it does not hold the keys of an instance.") from None
    keys = Keys(**values)
    if len(keys.jwt_secret.encode()) < MINIMUM_SECRET_BYTES:
        raise LocalError(f"{path}: jwt_secret is shorter than {MINIMUM_SECRET_BYTES} bytes.")
    return keys


def _write(path: Path, keys: Keys) -> None:
    """Write to a temporary file (0600 by mkstemp) and link it: no reader sees half a file."""
    descriptor, temporary = tempfile.mkstemp(prefix=".secrets-", dir=path.parent)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(keys), file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
