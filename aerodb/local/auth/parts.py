"""What the endpoints work with."""

from __future__ import annotations

from dataclasses import dataclass

from aerodb.local.auth.callers import Callers
from aerodb.local.auth.limits import RateLimits
from aerodb.local.auth.passwords import PasswordWorkers
from aerodb.local.auth.sessions import Sessions
from aerodb.local.auth.store import Store


@dataclass(frozen=True, slots=True)
class Parts:
    """One of each; `confirm_email` asks for a confirmed address before anybody may sign in."""

    store: Store
    passwords: PasswordWorkers
    sessions: Sessions
    callers: Callers
    limits: RateLimits
    confirm_email: bool
