"""Where the tokens of signed-in people are kept: on the server, in a record of their own.

Django saves a session as a whole, at the end of a request: two requests at once would put back
each other's old tokens, and a refresh token that is spent twice ends the session (wire-contract
§2.4). So the tokens have a record of their own in the same session store, written only when they
change, and the session holds that record's key.
"""

from __future__ import annotations

import time
from importlib import import_module
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.http import HttpRequest

from aerodb import Session
from aerodb.contrib._logging import integration_logger
from aerodb.contrib.django.clients import get_client

KEY = "_aerodb"
_RENEW_SECONDS = 60.0
_KEPT_SECONDS = 30 * 24 * 3600
_logger = integration_logger("django")


def put(request: HttpRequest, session: Session) -> None:
    """Keep the tokens of who has just signed in."""
    record = _store(None)
    record.set_expiry(_KEPT_SECONDS)
    _fill(record, session)
    record.create()
    request.session[KEY] = record.session_key


def load(request: HttpRequest) -> Session | None:
    """The tokens of whose session this is, renewed if they are about to end; None if nobody's."""
    django_session = getattr(request, "session", None)
    key = None if django_session is None else django_session.get(KEY)
    if key is None:
        return None
    record = _store(key)
    session = Session.load(record["session"]) if "session" in record else None
    if session is None or record.get("until", 0) - time.time() > _RENEW_SECONDS:
        return session
    return _renewed(record, session)


async def aload(request: HttpRequest) -> Session | None:
    """The same from an event loop. Who sent no session cookie costs nothing."""
    if settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return None
    found: Session | None = await sync_to_async(load)(request)
    return found


def take_away(request: HttpRequest) -> Session | None:
    """Forget the tokens, and return what they were."""
    key = request.session.pop(KEY, None)
    if key is None:
        return None
    record = _store(key)
    session = Session.load(record["session"]) if "session" in record else None
    record.delete()
    return session


def _renewed(record: Any, session: Session) -> Session:
    """New tokens, written down at once. Two requests that renew at the same time get the same
    ones (wire-contract §2.4); a renewal that fails leaves what is there."""
    if session.refresh_token is None:
        return session
    view = get_client().as_user(session.access_token, session.refresh_token)
    try:
        response = view.auth.refresh_session()
    finally:
        view.close()
    if response.data is None:
        _logger.warning("a session could not be renewed: %s", response.error)
        return session
    _fill(record, response.data)
    record.save()
    return response.data


def _fill(record: Any, session: Session) -> None:
    life = 900.0 if session.expires_in is None else session.expires_in
    record["session"] = session.dump()
    record["until"] = time.time() + life


def _store(key: str | None) -> Any:
    return import_module(settings.SESSION_ENGINE).SessionStore(session_key=key)
