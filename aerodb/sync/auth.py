# GENERATED from aerodb_async_src/auth.py by scripts/generate.py [f84fbbaa504f]: do not edit
"""Signing up, in and out; the session; users, for who holds the service key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self
from weakref import ref

from aerodb._core import auth
from aerodb._core.auth import SignOutScope
from aerodb._core.errors import client_error
from aerodb._core.headers import token_problem
from aerodb._core.http import Prepared
from aerodb._core.identity import (
    AuthChange,
    AuthData,
    AuthEvent,
    Page,
    PasswordPolicy,
    Session,
    SessionInfo,
    User,
    key_role,
    life_left,
    token_life,
)
from aerodb._core.misuse import NOT_GIVEN, two_texts
from aerodb._core.options import seconds
from aerodb._core.redact import Secret
from aerodb._dataclass import replace
from aerodb._io.on_threads import Queue, monotonic, wall_clock
from aerodb.types import AeroDBResponse

from ._changes import AuthSubscription
from ._session import SessionKeeper
from ._transport import Transport

_MAX_EVENTS = 1000
_NOT_ADOPTED = (
    "the client {}, so it stays who it is: use "
    "client.as_user(data.session.access_token) to act as this user"
)


class AuthEvents:
    """The changes of a session, one after another: `for change in client.auth.auth_events()`.

    It begins with `INITIAL_SESSION`, and ends when it is closed. A reader that is 1,000 changes
    behind misses the newest. One that was dropped without `close()` is forgotten.
    """

    __slots__ = ("__weakref__", "_closed", "_queue", "_subscription")

    def __init__(self, keeper: SessionKeeper) -> None:
        self._queue: Queue[AuthChange | None] = Queue(_MAX_EVENTS)
        self._closed = False
        reader = ref(self)

        def pass_on(change: AuthChange) -> None:
            events = reader()
            if events is None:
                subscription.unsubscribe()
            else:
                events._queue.put_nowait(change)

        with keeper.mutex:
            self._queue.put_nowait(AuthChange("INITIAL_SESSION", keeper.session))
            subscription = self._subscription = keeper.changes.listen(pass_on, None)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> AuthChange:
        change = None if self._closed else self._queue.get(None)
        if change is None:
            self._closed = True
            raise StopIteration
        return change

    def close(self) -> None:
        """End the iteration, also one that waits."""
        self._subscription.unsubscribe()
        self._closed = True
        self._queue.put_nowait(None)


class AuthClient:
    """Who this client is. Answers are `AeroDBResponse`s; nothing here raises for a failure.

    The session is in memory, unless `ClientOptions(session_store=...)` says otherwise. It is
    refreshed when a request needs it: before it expires, or after a 401, once for everybody.
    """

    __slots__ = ("_key", "_transport")

    def __init__(self, transport: Transport, key: Secret | None) -> None:
        self._transport = transport
        self._key = key

    # --- signing up, in and out -----------------------------------------------------------

    def sign_up(
        self, email: str, password: str, metadata: Mapping[str, Any] | None = None
    ) -> AeroDBResponse[AuthData]:
        """Make a user. Without a session in the answer, the address has to be confirmed first."""
        call = auth.sign_up_call(email, password, metadata)
        del password  # what shows local variables of a traceback must not show it
        return self._signed_in(call)

    def sign_in(self, email: str, password: str) -> AeroDBResponse[AuthData]:
        """Be this user from now on: every later request is theirs."""
        call = auth.sign_in_call(email, password)
        del password
        return self._signed_in(call)

    def sign_in_with_password(
        self, email: str, password: str = NOT_GIVEN
    ) -> AeroDBResponse[AuthData]:
        """The same as `sign_in`."""
        two_texts("sign_in_with_password", email, password)
        call = auth.sign_in_call(email, password)
        del password
        return self._signed_in(call)

    def _signed_in(self, call: Prepared[AuthData]) -> AeroDBResponse[AuthData]:
        sent = monotonic()
        response = self._transport.execute(call)
        session = None if response.data is None else response.data.session
        if session is None:
            return response
        if (reason := self._stays()) is not None:
            return _warned(response, reason)
        problem = self._keeper.adopt(session, token_life(session), sent)
        return response if problem is None else _warned(response, problem.message)

    def sign_out(self, scope: SignOutScope = "local") -> AeroDBResponse[None]:
        """Be nobody again: `local` ends this session, `global` all of the user's, `others` all
        but this one. This client forgets its session first, whatever the server answers."""
        if scope == "others":
            problem, session = self._keeper.absence(), self._keeper.session
            if problem is not None or session is None:
                return AeroDBResponse(error=problem or _nobody())
            return self._transport.execute(auth.sign_out_call(session, scope))
        return self._keeper.sign_out(self._transport, scope)

    # --- the session ----------------------------------------------------------------------

    def get_session(self) -> Session | None:
        """The session in memory. A stored one is there after the first request, or after
        `ensure_session()`."""
        return self._keeper.session

    def set_session(
        self, access_token: str, refresh_token: str | None = None, *, verify: bool = False
    ) -> AeroDBResponse[Session]:
        """Be the user of these tokens. With `verify`, the server is asked first."""
        if (reason := self._stays()) is not None:
            return AeroDBResponse(error=client_error("INVALID_ARGUMENT", reason))
        problem = token_problem(access_token, "access_token")
        if problem is None and refresh_token is not None:
            problem = token_problem(refresh_token, "refresh_token")
        if problem is not None:
            return AeroDBResponse(error=client_error("INVALID_ARGUMENT", problem))
        session = Session(access_token, refresh_token)
        if verify:
            asked = self._transport.execute(auth.get_user_call(access_token))
            if asked.error is not None:
                return AeroDBResponse(error=asked.error, meta=asked.meta)
            session = session.replace(user=asked.data)
        unkept = self._keeper.adopt(session, life_left(session, wall_clock()), monotonic())
        response = AeroDBResponse(session)
        return response if unkept is None else _warned(response, unkept.message)

    def ensure_session(self, *, min_ttl: float = 30.0) -> AeroDBResponse[Session]:
        """The session, refreshed first if its token lives less than `min_ttl` seconds."""
        try:
            least = seconds("min_ttl", min_ttl, zero=True)
        except (TypeError, ValueError) as problem:
            return AeroDBResponse(error=client_error("INVALID_ARGUMENT", str(problem)))
        return self._keeper.ensure(self._transport, least)

    def refresh_session(self, refresh_token: str | None = None) -> AeroDBResponse[Session]:
        """Get new tokens now; with a refresh token given, those of that session."""
        if refresh_token is None:
            refreshed = self._keeper.refresh(self._transport)
            self._keeper.changes.told()
            return refreshed
        if (reason := self._stays()) is not None:
            return AeroDBResponse(error=client_error("INVALID_ARGUMENT", reason))
        sent = monotonic()
        response = self._transport.execute(auth.refresh_call(refresh_token))
        session = response.data
        if session is None:
            return response
        if session.refresh_token is None:
            session = session.replace(refresh_token=refresh_token)
        problem = self._keeper.adopt(session, token_life(session), sent)
        kept = AeroDBResponse(session, meta=response.meta)
        return kept if problem is None else _warned(kept, problem.message)

    def on_auth_state_change(
        self, callback: Callable[[AuthEvent, Session | None], Any], *, fire_initial: bool = True
    ) -> AuthSubscription:
        """Have `callback` told of every change, in order, and of the present state to begin with.

        It may call this client; what it raises is logged and hurts nobody else.
        """
        if not callable(callback):
            raise TypeError(f"callback must be callable, not {type(callback).__name__}")

        def listener(change: AuthChange) -> Any:
            return callback(change.event, change.session)

        keeper = self._keeper
        with keeper.mutex:
            initial = AuthChange("INITIAL_SESSION", keeper.session) if fire_initial else None
            subscription = keeper.changes.listen(listener, initial)
        subscription._begin()
        return subscription

    def auth_events(self) -> AuthEvents:
        """The same changes, to iterate over."""
        return AuthEvents(self._keeper)

    # --- the user -------------------------------------------------------------------------

    def get_user(self, access_token: str | None = None) -> AeroDBResponse[User]:
        """Who the server says the user is, of the session or of the token given."""
        if access_token is None and (problem := self._keeper.absence()) is not None:
            return AeroDBResponse(error=problem)
        return self._transport.execute(auth.get_user_call(access_token))

    def update_user(
        self, *, email: str | None = None, metadata: Mapping[str, Any] | None = None
    ) -> AeroDBResponse[User]:
        """Change the user's address or metadata; `metadata` replaces what was there."""
        if (problem := self._keeper.absence()) is not None:
            return AeroDBResponse(error=problem)
        generation = self._keeper.generation
        response = self._transport.execute(auth.update_user_call(email, metadata))
        if response.data is not None:
            self._keeper.user_updated(response.data, generation)
        return response

    def change_password(
        self, current_password: str, new_password: str
    ) -> AeroDBResponse[None]:
        """Change the user's password. The server ends the user's other sessions."""
        call = auth.change_password_call(current_password, new_password)
        del current_password, new_password
        if (problem := self._keeper.absence()) is not None:
            return AeroDBResponse(error=problem)
        return self._transport.execute(call)

    def reset_password_for_email(self, email: str) -> AeroDBResponse[None]:
        """Have a mail sent with which the password can be set anew."""
        return self._transport.execute(auth.forgot_password_call(email))

    def confirm_password_reset(self, token: str, new_password: str) -> AeroDBResponse[None]:
        """Set the password, with the token of the mail. All sessions of the user end."""
        call = auth.reset_password_call(token, new_password)
        del token, new_password
        return self._transport.execute(call)

    def verify_email(self, token: str) -> AeroDBResponse[User | None]:
        """Confirm the address, with the token of the mail."""
        return self._transport.execute(auth.verify_email_call(token))

    def resend_verification(self, email: str) -> AeroDBResponse[None]:
        """Have the mail sent again with which an address is confirmed."""
        return self._transport.execute(auth.resend_verification_call(email))

    def get_password_policy(self) -> AeroDBResponse[PasswordPolicy]:
        """What the server asks of a password."""
        return self._transport.execute(auth.password_policy_call())

    def list_sessions(self) -> AeroDBResponse[list[SessionInfo]]:
        """The user's sessions, on all devices."""
        if (problem := self._keeper.absence()) is not None:
            return AeroDBResponse(error=problem)
        return self._transport.execute(auth.list_sessions_call())

    def revoke_session(self, session_id: str) -> AeroDBResponse[None]:
        """End one of the user's sessions."""
        if (problem := self._keeper.absence()) is not None:
            return AeroDBResponse(error=problem)
        return self._transport.execute(auth.revoke_session_call(session_id))

    # --- the rest -------------------------------------------------------------------------

    @property
    def admin(self) -> AuthAdmin:
        """All users, for who holds the service key."""
        return AuthAdmin(self._transport, self._key)

    @property
    def _keeper(self) -> SessionKeeper:
        return self._transport.session

    def _stays(self) -> str | None:
        """Why this client does not become the user who signs in, if it does not."""
        if not self._transport.options.adopt_sessions:
            return _NOT_ADOPTED.format("is shared by many callers")
        if self._key is not None and key_role(self._key.reveal()) == "service_role":
            return _NOT_ADOPTED.format("holds a service key")
        return None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._keeper.session or 'signed out'}>"


class AuthAdmin:
    """Users, by the service key alone: whoever is signed in makes no difference."""

    __slots__ = ("_key", "_transport")

    def __init__(self, transport: Transport, key: Secret | None) -> None:
        self._transport = transport
        self._key = key

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._transport.base.url()}>"

    def list_users(self, *, page: int = 1, per_page: int = 50) -> AeroDBResponse[Page[User]]:
        """A page of the users; `total` says how many there are."""
        return self._execute(auth.list_users_call(page, per_page))

    def get_user(self, user_id: str) -> AeroDBResponse[User]:
        """One user."""
        return self._execute(auth.get_user_by_id_call(user_id))

    def create_user(
        self,
        email: str,
        password: str | None = None,
        *,
        metadata: Mapping[str, Any] | None = None,
        app_metadata: Mapping[str, Any] | None = None,
        role: str | None = None,
        email_verified: bool | None = None,
    ) -> AeroDBResponse[User]:
        """Make a user, without signing in."""
        call = auth.create_user_call(
            email,
            password,
            metadata=metadata,
            app_metadata=app_metadata,
            role=role,
            email_verified=email_verified,
        )
        del password
        return self._execute(call)

    def update_user(
        self,
        user_id: str,
        *,
        email: str | None = None,
        password: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        app_metadata: Mapping[str, Any] | None = None,
        role: str | None = None,
        email_verified: bool | None = None,
    ) -> AeroDBResponse[User]:
        """Change a user; what is not given stays."""
        call = auth.update_user_by_id_call(
            user_id,
            email=email,
            password=password,
            metadata=metadata,
            app_metadata=app_metadata,
            role=role,
            email_verified=email_verified,
        )
        del password
        return self._execute(call)

    def delete_user(self, user_id: str) -> AeroDBResponse[None]:
        """Remove a user, and end all their sessions."""
        return self._execute(auth.delete_user_call(user_id))

    def _execute(self, call: Prepared[Any]) -> AeroDBResponse[Any]:
        if self._key is None or key_role(self._key.reveal()) == "anon":
            error = client_error(
                "NOT_AUTHENTICATED",
                "managing users needs the service key",
                hint="make a client with the secret key, or use client.as_service(key)",
            )
            return AeroDBResponse(error=error)
        return self._transport.execute(call)


def _nobody() -> Any:
    return client_error("NOT_AUTHENTICATED", "nobody is signed in", hint="sign in first")


def _warned(response: AeroDBResponse[Any], warning: str) -> AeroDBResponse[Any]:
    meta = replace(response.meta, warnings=(*response.meta.warnings, warning))
    return replace(response, meta=meta)
