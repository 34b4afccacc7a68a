# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""Holds a client's session, in memory and in its store, and tells who listens of every change.

The machine of `_core/session.py` says where the session stands. It is touched only under the
mutex, which is never held across a wait.
"""

from __future__ import annotations

from typing import Any

from aerodb._core.identity import AuthChange, AuthEvent, Session, User, life_left
from aerodb._core.session import Grant, SessionMachine
from aerodb._io.on_asyncio import Mutex, logger, monotonic, wall_clock
from aerodb.types import AeroDBError

from ._changes import AsyncChanges
from ._store import AsyncStoreKeeper, store_problem


class AsyncSessionHolder:
    """One session, shared by all tasks and threads of a client."""

    __slots__ = ("_machine", "_store", "changes", "mutex")

    def __init__(self, store: Any) -> None:
        self._machine = SessionMachine()
        self.mutex = Mutex()
        self._store = None if store is None else AsyncStoreKeeper(store)
        self.changes = AsyncChanges()

    @property
    def session(self) -> Session | None:
        """What is held in memory."""
        return self._machine.session

    @property
    def held(self) -> Grant:
        """What requests send along now, whether or not it is due to be renewed."""
        return self._machine.grant

    @property
    def error(self) -> AeroDBError | None:
        """Why the session ended, or was not renewed."""
        return self._machine.error

    def secrets(self) -> tuple[str, ...]:
        """The tokens held, which must show in no error."""
        session = self._machine.session
        texts = () if session is None else (session.access_token, session.refresh_token)
        return tuple(text for text in texts if text)

    # --- who the client is ----------------------------------------------------------------

    async def adopt(self, session: Session, life: float, now: float) -> str | None:
        """Be this user from now on; what went wrong with keeping the session, if anything."""
        with self.mutex:
            self._machine.adopt(session, life, now)
            self._note("SIGNED_IN")
            generation = self._machine.generation
        problem = await self._save(generation)
        await self.changes.tell()
        return problem

    def adopt_unsaved(self, session: Session, life: float) -> None:
        """Be this user, whose session comes out of the store, or belongs to nobody else."""
        with self.mutex:
            self._machine.adopt(session, life, monotonic())
            self._note("SIGNED_IN")

    async def user_updated(self, user: User, generation: int) -> None:
        """Take note of what is now known of the user."""
        with self.mutex:
            same = generation == self._machine.generation
            if same and self._machine.user_updated(user):
                self._note("USER_UPDATED")
        await self._save(generation)
        await self.changes.tell()

    @property
    def generation(self) -> int:
        """Changes with every sign-in and sign-out."""
        return self._machine.generation

    def close(self) -> None:
        """Forget the tokens; what the store has stays there."""
        with self.mutex:
            self._machine.close()

    # --- the store ------------------------------------------------------------------------

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
            except OSError as failure:
                return store_problem(failure)
            with self.mutex:
                if session is not None and self._machine.generation == 0:
                    self._machine.adopt(session, life_left(session, wall_clock()), monotonic())
                    self._note("INITIAL_SESSION")
            store.was_read = True
        await self.changes.tell()
        return None

    async def _save(self, generation: int) -> str | None:
        """Keep the session, unless it is another one by now."""
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
            except OSError as failure:
                logger().warning("the session could not be stored: %s", failure)
                return f"the session could not be stored: {failure}"
        return None

    async def _clear(self, timeout: float, *, locked: bool = False) -> None:
        """Empty the store, after who holds its lock: that one may be about to write."""
        store = self._store
        if store is None:
            return
        try:
            release = None if locked else await store.lock(timeout)
            try:
                async with store.turn:
                    if self._machine.session is None:
                        await store.clear()
            finally:
                if release is not None:
                    release()
        except OSError as failure:
            logger().warning("the stored session could not be removed: %s", failure)

    def _note(self, event: AuthEvent) -> None:
        """Queue a change to be told. Under the mutex."""
        self.changes.note(AuthChange(event, self._machine.session))
