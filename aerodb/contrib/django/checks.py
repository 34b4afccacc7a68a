"""System checks of the settings. None of them asks the server: `manage.py aerodb_check` does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from aerodb import AeroDBClient
from aerodb.contrib.django import conf

_SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"


def check_settings(app_configs: Any, **rest: Any) -> list[CheckMessage]:
    """Everything that can be said without asking the server."""
    return [*_connection(), *_order(), *_store(), *_files()]


def _connection() -> Iterator[CheckMessage]:
    try:
        arguments = conf.arguments()
    except (ImproperlyConfigured, TypeError, ValueError) as problem:
        yield Error(str(problem), id="aerodb.E001")
        return
    try:
        AeroDBClient(**arguments).close()
    except (TypeError, ValueError) as problem:
        yield Error(f"AERODB: {problem}", id="aerodb.E002")
        return
    if not arguments.get("key"):
        yield Warning("AERODB has no KEY.", hint="Use the publishable key.", id="aerodb.W001")
    elif str(arguments["key"]).startswith("aero_sk_"):
        yield Warning(
            "AERODB's KEY is a secret key: row-level security does not hold back requests of "
            "people who are not signed in.",
            hint="Use the publishable key here, and client.as_service(key) where it is needed.",
            id="aerodb.W002",
        )
    if urlsplit(arguments["url"]).scheme == "http" and not settings.DEBUG:
        yield Warning(
            "AERODB's URL is plain http.", hint="Use https in production.", id="aerodb.W003"
        )


def _order() -> Iterator[CheckMessage]:
    names = list(settings.MIDDLEWARE)
    ours = next((name for name in names if _is(name, "AeroDBMiddleware")), None)
    if ours is None:
        if _signs_in():
            yield Warning(
                "AeroDBBackend is used without AeroDBMiddleware: no request acts as who has signed "
                "in.",
                hint="Add AeroDBMiddleware to MIDDLEWARE, behind SessionMiddleware.",
                id="aerodb.W004",
            )
        return
    if _SESSIONS in names and names.index(_SESSIONS) > names.index(ours):
        yield Error(
            "AeroDBMiddleware stands before SessionMiddleware.",
            hint="Put it behind: it finds signed-in people by their session.",
            id="aerodb.E003",
        )


def _store() -> Iterator[CheckMessage]:
    signed = "django.contrib.sessions.backends.signed_cookies"
    if _signs_in() and signed == settings.SESSION_ENGINE:
        yield Error(
            "With sessions in signed cookies the tokens of AeroDBBackend would be readable by the "
            "browser, and could not be renewed safely.",
            hint="Use a session engine that keeps sessions on the server.",
            id="aerodb.E004",
        )


def _files() -> Iterator[CheckMessage]:
    """Django makes a storage at its first file, which is late for a word that was misspelt."""
    for alias, entry in settings.STORAGES.items():
        if not _is(str(entry.get("BACKEND")), "AeroDBStorage"):
            continue
        try:
            import_string(entry["BACKEND"])(**entry.get("OPTIONS", {}))
        except (TypeError, ValueError) as problem:
            yield Error(
                f"STORAGES[{alias!r}]: {str(problem).rpartition('__init__() ')[2]}.",
                hint="OPTIONS holds the arguments of AeroDBStorage.",
                id="aerodb.E005",
            )


def _signs_in() -> bool:
    return any(_is(name, "AeroDBBackend") for name in settings.AUTHENTICATION_BACKENDS)


def _is(path: str, ours: str) -> bool:
    """Whether a class of the settings is the one of ours, or made of it."""
    if path == f"aerodb.contrib.django.{ours}":
        return True
    try:
        found: Any = import_string(path)
    except (ImportError, ImproperlyConfigured, RuntimeError):  # it needs an app that is not there
        return False
    return any(
        one.__name__ == ours and one.__module__.startswith("aerodb.contrib.django.")
        for one in getattr(found, "__mro__", ())
    )
