# GENERATED from aerodb_async_src/_kept.py by scripts/generate.py [ab41db5aa840]: do not edit
"""A session in memory and in the store beyond it: read once, written when it changes, removed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aerodb._core.identity import AuthChange, AuthEvent, User, life_left, same_user
from aerodb._core.session import REPEAT_WITHIN_SECONDS, SessionMachine
from aerodb._io.on_asyncio import Mutex, logger, monotonic, wall_clock, whole
from aerodb.types import AeroDBError

from ._changes import AsyncChanges
from ._store import AsyncStoreKeeper, StoreFailed


class AsyncKeptSession:
    """The machine, the mutex without which nobody touches it, and the store.

    Attributes:
        changes: Tells listeners of what changes.
        mutex: Never held across a wait.
    """

    __slots__ = ("_machine", "_store", "changes", "mutex")

    def __init__(self, store: Any) -> None:
        self._machine = SessionMachine()
        self._store = None if store is None else AsyncStoreKeeper(store)
        self.mutex = Mutex()
        self.changes = AsyncChanges()

    async def _read_store(self) -> AeroDBError | None:
        """Take over what the store has, once."""
        store = self._store
        if store is None or not store.is_unread():
            return None
        async with store.turn:
            if not store.is_unread():
                return None
            try:
                session = await store.load()
            except StoreFailed as failure:
                return failure.error
            with self.mutex:
                if session is not None and self._machine.generation == 0:
                    self._machine.adopt(session, life_left(session, wall_clock()), monotonic())
                    self._note("INITIAL_SESSION")
            store.was_read = True
        await self.changes.tell()
        return None

    async def _save(self, generation: int) -> AeroDBError | None:
        """Keep the session, unless it is another one by now. With the lock, or in its place."""
        store = self._store
        if store is None:
            return None
        async with store.turn:
            with self.mutex:
                session, left = self._machine.session, self._machine.deadline - monotonic()
                if session is None or generation != self._machine.generation:
                    return None
            try:
                await store.save(session, wall_clock() + left)
            except StoreFailed as failure:
                logger().warning("%s", failure)
                return failure.error
        return None

    async def _save_new(self, generation: int) -> AeroDBError | None:
        """Keep the session of who has just signed in, after who is about to write another one. It
        goes on if the caller is cancelled: a lock that nobody waits for any more would be held for
        ever, and what is written behind everybody's back could follow a sign-out."""
        if self._store is None:
            return None

        async def save() -> AeroDBError | None:
            release = await self._locked(REPEAT_WITHIN_SECONDS)
            try:
                return await self._save(generation)
            finally:
                release()

        return await whole(save)

    async def _save_user(self, user: User, generation: int) -> None:
        """Keep what is now known of the user, beside the tokens that the store has: another
        process may have renewed them. It goes on as `_save_new` does."""
        store = self._store
        if store is not None:
            await whole(lambda: self._save_beside(store, user, generation))

    async def _save_beside(self, store: AsyncStoreKeeper, user: User, generation: int) -> None:
        release = await self._locked(REPEAT_WITHIN_SECONDS)
        try:
            stored = await store.load()
            held = self._machine.session
            if stored is None or held is None or stored == held:
                await self._save(generation)
            elif same_user(stored, held) and generation == self._machine.generation:
                async with store.turn:
                    left = life_left(stored, wall_clock())
                    await store.save(stored.replace(user=user), wall_clock() + left)
        except StoreFailed as failure:
            logger().warning("%s", failure)
        finally:
            release()

    async def _clear(self) -> AeroDBError | None:
        """Empty the store, after who holds its lock: that one may be about to write. It goes on if
        the caller is cancelled: in memory the session is gone already."""
        store = self._store
        if store is None:
            return None

        async def clear() -> AeroDBError | None:
            release = await self._locked(REPEAT_WITHIN_SECONDS)
            try:
                return await self._clear_now(store)
            finally:
                release()

        return await whole(clear)

    async def _clear_now(self, store: AsyncStoreKeeper) -> AeroDBError | None:
        """Empty the store, unless somebody has signed in meanwhile."""
        try:
            async with store.turn:
                if self._machine.session is None:
                    await store.clear()
        except StoreFailed as failure:
            logger().warning("%s", failure)
            return failure.error
        return None

    async def _locked(self, timeout: float) -> Callable[[], None]:
        """Lock the store if that can be had in time, and go on without if not: what the user
        says comes before what another process is about to write. What this very client does under
        the lock heeds the mutex."""
        store = self._store
        if store is None or store.is_locked:
            return _nothing
        try:
            return await store.lock(timeout) or _nothing
        except StoreFailed:
            return _nothing  # what follows fails as well, and says why

    def _note(self, event: AuthEvent) -> None:
        """Queue a change to be told. Under the mutex."""
        self.changes.note(AuthChange(event, self._machine.session))


def _nothing() -> None:
    """Release no lock."""
