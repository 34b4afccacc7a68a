"""What happens to the tokens when somebody signs in or out by Django."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.http import HttpRequest

from aerodb.contrib._logging import integration_logger
from aerodb.contrib.django import shelf
from aerodb.contrib.django.backends import SESSION_ATTRIBUTE
from aerodb.contrib.django.clients import get_client

_logger = integration_logger("django")


def connect() -> None:
    """Listen; once, however often it is called."""
    user_logged_in.connect(_signed_in, dispatch_uid="aerodb.contrib.django.signed_in")
    user_logged_out.connect(_signed_out, dispatch_uid="aerodb.contrib.django.signed_out")


def _signed_in(*, request: HttpRequest | None, user: Any, **rest: Any) -> None:
    session = user.__dict__.pop(SESSION_ATTRIBUTE, None)
    if request is None or not hasattr(request, "session"):
        return
    shelf.take_away(request)  # whoever was signed in here before
    if session is not None:
        shelf.put(request, session)


def _signed_out(*, request: HttpRequest | None, **rest: Any) -> None:
    """End the session at AeroDB too. Django's ends whatever comes of that."""
    if request is None or not hasattr(request, "session"):
        return
    session = shelf.take_away(request)
    if session is None:
        return
    view = get_client().as_user(session.access_token, session.refresh_token)
    response = view.auth.sign_out()
    view.close()
    if response.error is not None:
        _logger.warning("a session could not be ended: %s", response.error)
