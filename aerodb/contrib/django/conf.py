"""The setting `AERODB`, read when it is first needed."""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from aerodb import ClientOptions

_ARGUMENTS = {
    "URL": "url",
    "KEY": "key",
    "SCHEMA": "schema",
    "HEADERS": "headers",
    "REALTIME_URL": "realtime_url",
}
NAMES = (*_ARGUMENTS, "OPTIONS", "ERRORS")


def arguments() -> dict[str, Any]:
    """The arguments of a client: from `AERODB`, and `URL` and `KEY` from the environment else.

    Raises:
        ImproperlyConfigured: a name that `AERODB` does not have, or no URL at all.
    """
    given = dict(getattr(settings, "AERODB", {}))
    unknown = sorted(set(given) - set(NAMES))
    if unknown:
        raise ImproperlyConfigured(
            f"AERODB has no {', '.join(map(repr, unknown))}; its names are {', '.join(NAMES)}"
        )
    made = {argument: given[name] for name, argument in _ARGUMENTS.items() if given.get(name)}
    for name in ("URL", "KEY"):
        if name not in given and os.environ.get(f"AERODB_{name}"):
            made[name.lower()] = os.environ[f"AERODB_{name}"]
    if "url" not in made:
        raise ImproperlyConfigured(
            'AERODB needs a URL: AERODB = {"URL": ..., "KEY": ...} in the settings, or AERODB_URL '
            "in the environment"
        )
    if "OPTIONS" in given:
        made["options"] = ClientOptions(**given["OPTIONS"])
    return made


def answers_errors() -> bool:
    """Whether the middleware answers what AeroDB refuses: `ERRORS`, which is True if not given."""
    return bool(getattr(settings, "AERODB", {}).get("ERRORS", True))
