# GENERATED from aerodb_async_src/_authorising.py by scripts/generate.py [8e2f5115bbd6]: do not edit
"""As whom a call goes out: what the session grants before each attempt, and the one replay after a
401 (wire-contract §2.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aerodb._core.http import RawResponse
from aerodb._core.session import session_gone, worth_renewing
from aerodb._io.on_threads import monotonic
from aerodb.types import AeroDBError

from ._flight import Flight

if TYPE_CHECKING:
    from ._transport import Transport


def authorise(transport: Transport, flight: Flight) -> AeroDBError | None:
    """Get what the next attempt sends along; why it must not be made, if so."""
    if flight.call.identity != "session":
        return None
    session = transport.session
    if flight.replayed and flight.grant is not None:
        same = session.generation == flight.grant.generation
        return None if same else session_gone()
    end = min(flight.deadline, monotonic() + flight.patience)
    granted = session.grant(transport, end)
    if isinstance(granted, AeroDBError):
        return granted
    if flight.grant is not None and flight.grant.generation != granted.generation:
        return session_gone()  # a repetition must not go out as somebody else
    flight.grant = granted
    return None


def asks_renewal(flight: Flight, answer: RawResponse, error: AeroDBError) -> bool:
    """Whether this 401 is to be answered by a newer token."""
    if flight.replayed or flight.token is None:
        return False
    return worth_renewing(flight.call.path, answer.status, answer.raw_headers, error.code)


def renew(transport: Transport, flight: Flight) -> bool:
    """Get a newer token for the one replay; False if there is none to be had."""
    assert flight.grant is not None
    end = min(flight.deadline, monotonic() + flight.patience)
    granted = transport.session.granted_again(transport, end, flight.grant)
    flight.replayed = True
    if isinstance(granted, AeroDBError):
        flight.ended = granted
    elif granted is not None:
        flight.grant = granted
        return True
    return False
