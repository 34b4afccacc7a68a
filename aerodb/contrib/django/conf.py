"""The setting `AERODB`, read when it is first needed."""

from __future__ import annotations

import os
from collections.abc import Mapping
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
        ImproperlyConfigured: it is no mapping, has a name that it should not, or no URL.
    """
    given = _mapping("AERODB", getattr(settings, "AERODB", {}), '{"URL": ..., "KEY": ...}')
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
    made["options"] = _options(given.get("OPTIONS", {}))
    return made


def _options(given: Any) -> ClientOptions:
    """Those of the setting, for a client that all callers share unless they say otherwise."""
    names = ClientOptions.__slots__
    unknown = sorted(set(_mapping('AERODB["OPTIONS"]', given, '{"timeout": 10.0}')) - set(names))
    if unknown:
        raise ImproperlyConfigured(
            f'AERODB["OPTIONS"] has no {", ".join(map(repr, unknown))}; its names are '
            + ", ".join(names)
        )
    chosen: dict[str, Any] = {"adopt_sessions": False, **given}
    return ClientOptions(**chosen)


def _mapping(name: str, given: Any, example: str) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise ImproperlyConfigured(
            f"{name} must be a dict like {example}, not {type(given).__name__}"
        )
    return given


def answers_errors() -> bool:
    """Whether the middleware answers what AeroDB refuses: `ERRORS`, which is True if not given."""
    return bool(getattr(settings, "AERODB", {}).get("ERRORS", True))
