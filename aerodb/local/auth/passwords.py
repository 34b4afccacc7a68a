"""Hashing passwords: Argon2id in threads of its own (wire contract §1.9 S12).

Every check costs one run of Argon2id, whether there is such a user, whether the user has a
password, and whatever was typed: time tells nothing about who is registered (reliability J8).
"""

from __future__ import annotations

import asyncio
import functools
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import argon2

from aerodb.local.auth.validation import MAXIMUM_PASSWORD_BYTES

T = TypeVar("T")

# OWASP, Password Storage Cheat Sheet: Argon2id with 19 MiB, two passes, one lane.
_HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


@functools.cache
def _dummy() -> str:
    """The hash of no password: to verify against it is all the work, and never succeeds."""
    return _HASHER.hash(os.urandom(32))


def hash_password(password: bytes) -> str:
    """Return the Argon2id hash of a password, with a salt of its own."""
    return _HASHER.hash(password)


def verify_password(stored: str | None, password: str) -> bool:
    """Tell whether `password` is the one that `stored` was made of; None is never right."""
    encoded = password.encode()[: MAXIMUM_PASSWORD_BYTES + 1]
    try:
        _HASHER.verify(_dummy() if stored is None else stored, encoded)
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False
    return stored is not None and len(encoded) <= MAXIMUM_PASSWORD_BYTES


class PasswordWorkers:
    """Runs the two functions in a few threads, so that neither the event loop nor memory suffers:
    one run takes 19 MiB and tens of milliseconds."""

    def __init__(self) -> None:
        workers = max(2, min(4, os.cpu_count() or 2))
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="aerodb-local-password")
        self._threads.submit(_dummy)  # before anybody is asked for a password, and beside the start

    async def hash(self, password: bytes) -> str:
        """`hash_password` in a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, hash_password, password)

    async def verify(self, stored: str | None, password: str) -> bool:
        """`verify_password` in a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, verify_password, stored, password)

    def close(self) -> None:
        """End the threads; what has not begun is dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)
