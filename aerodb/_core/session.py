"""The life of a session, decided (wire-contract §2.3, §2.5). Time comes in as `now`.

`TABLE` is the state machine; `SessionMachine` holds where it stands, and answers what a request
may do. It knows no lock and no clock: the twin's session keeper has those.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple

from aerodb._core.errors import client_error
from aerodb._core.http import find_header
from aerodb._core.identity import Session, User
from aerodb._dataclass import replace
from aerodb.types import AeroDBError

__all__ = [
    "EARLY_SECONDS",
    "TABLE",
    "Grant",
    "Happening",
    "Outcome",
    "Phase",
    "Refresh",
    "SessionMachine",
    "Use",
    "Wait",
    "not_refreshed",
    "nothing_to_refresh",
    "outcome_of",
    "session_ended",
    "session_gone",
    "table_text",
    "worth_renewing",
]

EARLY_SECONDS = 60.0
EARLY_SHARE = 0.1
BACKOFF_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 60.0
REPEAT_WITHIN_SECONDS = 5.0
"""A refresh whose answer was lost is sent once more, with the same token, within this time: the
server's grace for a token just spent is 10 s (wire-contract §1.8, §2.4)."""


class Phase(Enum):
    """The states of §2.3."""

    SIGNED_OUT = "SIGNED_OUT"
    SIGNED_IN = "SIGNED_IN"
    REFRESHING = "REFRESHING"
    EXPIRED = "EXPIRED"


class Happening(Enum):
    """The events of §2.3."""

    TOKENS = "sign_in, sign_up or set_session gave tokens"
    PENDING = "sign_up gave no tokens"
    DUE = "a request needs a newer token, or a refresh was asked for"
    REFUSED = "401 on a request with the current token"
    OUTDATED = "401 on a request with an older token"
    RENEWED = "the refresh gave tokens"
    REJECTED = "the refresh was rejected for good"
    UNREACHABLE = "the refresh failed, the access token still lives"
    UNREACHABLE_LATE = "the refresh failed, the access token is past its deadline"
    SIGN_OUT = "sign_out"
    USER = "the user was changed"
    CLOSE = "the client was closed"


def _table() -> dict[tuple[Phase, Happening], Phase]:
    out, signed, renewing, expired = Phase
    rows = {
        (out, Happening.PENDING): out,
        (signed, Happening.DUE): renewing,
        (signed, Happening.REFUSED): renewing,
        (signed, Happening.OUTDATED): signed,
        (expired, Happening.DUE): renewing,
        (expired, Happening.REFUSED): renewing,
        (expired, Happening.OUTDATED): expired,
        (renewing, Happening.DUE): renewing,
        (renewing, Happening.REFUSED): renewing,
        (renewing, Happening.OUTDATED): renewing,
        (renewing, Happening.RENEWED): signed,
        (renewing, Happening.REJECTED): out,
        (renewing, Happening.UNREACHABLE): signed,
        (renewing, Happening.UNREACHABLE_LATE): expired,
    }
    for phase in Phase:
        rows[phase, Happening.TOKENS] = signed
        rows[phase, Happening.SIGN_OUT] = out
        rows[phase, Happening.CLOSE] = out
        rows[phase, Happening.USER] = phase
    return rows


TABLE: Mapping[tuple[Phase, Happening], Phase] = MappingProxyType(_table())
"""The state machine: {(state, event): next}. What is not in it cannot happen, and is a no-op."""


def table_text() -> str:
    """The table, a line for each transition: for documents and for the curious."""
    return "\n".join(
        f"{phase.value:<10}  {event.value:<58}  {after.value}"
        for (phase, event), after in sorted(
            TABLE.items(), key=lambda row: (row[0][0].value, row[0][1].name)
        )
    )


# --- what a request may do --------------------------------------------------------------------


class Grant(NamedTuple):
    """What requests send along until `renew_at`. A token of None: the key alone."""

    token: str | None = None
    generation: int = 0
    renew_at: float = math.inf

    def __repr__(self) -> str:
        return f"<Grant of generation {self.generation}, token hidden>"


class Use(NamedTuple):
    """Send it, with what the session grants."""

    grant: Grant


class Refresh(NamedTuple):
    """Refresh first. `patience` bounds the wait if the old token may serve meanwhile."""

    patience: float = math.inf
    event: Happening = Happening.DUE

    @property
    def is_early(self) -> bool:
        """Whether the old token is still good."""
        return self.patience < math.inf


class Wait(NamedTuple):
    """The last refresh failed: the next one may be tried after so many seconds."""

    seconds: float


Decision = Use | Refresh | Wait

PATIENCE_SECONDS = 2.0
"""How long a request waits for an early refresh: its token is still good."""


class Outcome(Enum):
    """How a refresh ended. Only `REJECTED` ends the session (features §3.8)."""

    OK = "ok"
    REJECTED = "rejected"
    UNREACHABLE = "unreachable"


_TERMINAL = frozenset(
    {
        "invalid_refresh_token",
        "refresh_token_reused",
        "session_expired",
        "session_revoked",
        "user_not_found",
        "invalid_grant",
        "refresh_token_not_found",
        "refresh_token_already_used",
        "session_not_found",
    }
)
_NOT_THE_TOKEN = frozenset({"invalid_api_key", "missing_api_key"})


def outcome_of(error: AeroDBError | None) -> Outcome:
    """What the answer to a refresh means for the session (§2.3, the rows of REFRESHING)."""
    if error is None:
        return Outcome.OK
    if error.code in _NOT_THE_TOKEN:
        return Outcome.UNREACHABLE  # the key is at fault: the session may be as good as ever
    if error.status == 401 or (error.status in {400, 403, 404} and error.code in _TERMINAL):
        return Outcome.REJECTED
    return Outcome.UNREACHABLE


def session_ended(why: str, error: AeroDBError | None = None) -> AeroDBError:
    """What calls answer whose session was ended by the server."""
    made = client_error("SESSION_EXPIRED", f"the session has ended: {why}", hint="sign in again")
    return made if error is None else replace(made, status=error.status, details=error.code)


def session_gone() -> AeroDBError:
    """What a call answers that may go out as its user only, who is gone."""
    return client_error(
        "NOT_AUTHENTICATED",
        "the user of this call is signed out, or another one by now",
        hint="sign in again; with as_user(), make a new client from a new token",
    )


def nothing_to_refresh(session: Session | None) -> AeroDBError:
    """What an asked-for refresh answers if there is nothing to do it with."""
    if session is None:
        return client_error("NOT_AUTHENTICATED", "nobody is signed in", hint="sign in first")
    return client_error(
        "NO_REFRESH_TOKEN",
        "the session holds no refresh token",
        hint="give set_session() or as_user() the refresh token too, or sign in",
    )


def not_refreshed(error: AeroDBError | None) -> AeroDBError:
    """What calls answer whose token has expired while no newer one can be had. It passes."""
    if error is None:
        made = client_error("TIMEOUT", "the session was not refreshed in time")
        return replace(made, retryable=True)
    message = f"the session could not be refreshed: {error.message}"
    return replace(error, message=message, maybe_applied=False, attempts=0)


_NO_RENEWAL = frozenset({"invalid_credentials", "session_revoked", "invalid_api_key"})


def worth_renewing(
    path: str, status: int, headers: Sequence[tuple[bytes, bytes]], code: str | None
) -> bool:
    """Whether a response asks for a newer token (§2.5, 2, 4 and 5)."""
    if status != 401 or code in _NO_RENEWAL:
        return False
    if not path.startswith("/functions/"):
        return True
    if find_header(headers, b"x-aerodb-error") is not None:
        return True
    challenge = (find_header(headers, b"www-authenticate") or "").lower()
    return challenge.startswith("bearer") and 'error="invalid_token"' in challenge


# --- the machine ------------------------------------------------------------------------------


class SessionMachine:
    """Where a session stands. Every method is quick; callers see to it that one runs at a time.

    Attributes:
        phase: The state.
        session: The tokens, if there are any.
        grant: What a request sends along. Replaced as a whole, so it may be read at any time.
            Its generation counts sign-ins and sign-outs; a refresh does not change it. Who began
            under another generation is another person.
        deadline: When the access token ends, on the clock of `now`.
        error: Why the last refresh failed, or the session ended.
    """

    __slots__ = ("_blocked_until", "_failures", "deadline", "error", "grant", "phase", "session")

    def __init__(self) -> None:
        self.phase = Phase.SIGNED_OUT
        self.session: Session | None = None
        self.grant = Grant()
        self.deadline = math.inf
        self.error: AeroDBError | None = None
        self._failures = 0
        self._blocked_until = -math.inf

    @property
    def generation(self) -> int:
        """Who the client is, as a number: see `grant`."""
        return self.grant.generation

    def _go(self, event: Happening) -> bool:
        after = TABLE.get((self.phase, event))
        if after is None:
            return False
        self.phase = after
        return True

    def adopt(self, session: Session, life: float, now: float) -> None:
        """Be this user from now on. `life` is what is left of the access token."""
        self._go(Happening.TOKENS)
        self._hold(session, life, now, self.generation + 1)

    def _hold(self, session: Session, life: float, now: float, generation: int) -> None:
        self.session, self.error = session, None
        self._failures, self._blocked_until = 0, -math.inf
        self.deadline = renew_at = math.inf
        if session.refresh_token is not None:
            self.deadline = now + life
            renew_at = self.deadline - min(EARLY_SECONDS, EARLY_SHARE * max(life, 0.0))
        self.grant = Grant(session.access_token, generation, renew_at)

    def decide(self, now: float) -> Decision:
        """What a request that is about to go out does."""
        if now < self.grant.renew_at:
            return Use(self.grant)
        alive = now < self.deadline
        if self.phase is not Phase.REFRESHING and now < self._blocked_until:
            return Use(self.grant) if alive else Wait(self._blocked_until - now)
        return Refresh(PATIENCE_SECONDS if alive else math.inf)

    def refused(self, used: Grant, now: float) -> Decision | None:
        """What a request does whose token got a 401; None: hand the answer to the caller."""
        if self.session is None or used.generation != self.generation:
            return None
        if used.token != self.grant.token:
            self._go(Happening.OUTDATED)
            return Use(self.grant)
        if self.session.refresh_token is None:
            return None
        if self.phase is not Phase.REFRESHING and now < self._blocked_until:
            return Wait(self._blocked_until - now)
        return Refresh(event=Happening.REFUSED)

    def begin(self, event: Happening = Happening.DUE) -> Session | None:
        """Begin a refresh; the session to do it with, or None if there is nothing to refresh."""
        if self.session is None or self.session.refresh_token is None:
            return None
        self._go(event)
        return self.session

    def renewed(self, session: Session, generation: int, life: float, now: float) -> bool:
        """A refresh went well; False if it comes too late to matter."""
        if generation != self.generation or not self._go(Happening.RENEWED):
            return False
        user = session.user or (self.session.user if self.session else None)
        session = session if session.user is user else session.replace(user=user)
        self._hold(session, life, now, generation)
        return True

    def rejected(self, generation: int, error: AeroDBError) -> bool:
        """A refresh was rejected: the session has ended. False if it comes too late to matter."""
        if generation != self.generation or not self._go(Happening.REJECTED):
            return False
        self._forget(error)
        return True

    def unreachable(self, generation: int, error: AeroDBError, now: float) -> bool:
        """A refresh failed for a reason that passes: everything is kept, the next one waits."""
        if not self.abandoned(generation, now):
            return False
        self.error = error
        exponent = min(self._failures, 10)  # 2**10 is past the cap; larger powers only cost
        self._failures += 1
        self._blocked_until = now + min(MAX_BACKOFF_SECONDS, BACKOFF_SECONDS * 2**exponent)
        return True

    def abandoned(self, generation: int, now: float) -> bool:
        """A refresh was broken off and nobody knows how it ended: the next may begin at once."""
        late = now >= self.deadline
        event = Happening.UNREACHABLE_LATE if late else Happening.UNREACHABLE
        return generation == self.generation and self._go(event)

    def sign_out(self) -> Session | None:
        """Be nobody, whatever is under way; what was held until now."""
        held = self.session
        self._go(Happening.SIGN_OUT)
        self._forget(None)
        return held

    def close(self) -> None:
        """Forget the tokens."""
        self._go(Happening.CLOSE)
        self._forget(None)

    def _forget(self, error: AeroDBError | None) -> None:
        self.session, self.error = None, error
        self.deadline = math.inf
        self.grant = Grant(generation=self.generation + 1)
        self._failures, self._blocked_until = 0, -math.inf

    def user_updated(self, user: User) -> bool:
        """The same tokens, with what is now known of the user."""
        if self.session is None:
            return False
        self._go(Happening.USER)
        self.session = self.session.replace(user=user)
        return True

    def __repr__(self) -> str:
        return f"<SessionMachine {self.phase.value}, generation {self.generation}>"
