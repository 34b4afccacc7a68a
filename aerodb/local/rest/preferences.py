"""The `Prefer` request header and the `Preference-Applied` answer.

Wire contract §3.3, RFC 7240. Several headers count as one list; of one preference the first counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from aerodb.local.rest.ast import Action, Preferences

_FIELDS = {
    "resolution=merge-duplicates": ("resolution", "merge-duplicates"),
    "resolution=ignore-duplicates": ("resolution", "ignore-duplicates"),
    "return=representation": ("representation", "representation"),
    "return=headers-only": ("representation", "headers-only"),
    "return=minimal": ("representation", "minimal"),
    "count=exact": ("count", "exact"),
    "count=planned": ("count", "planned"),
    "count=estimated": ("count", "estimated"),
    "tx=commit": ("transaction", "commit"),
    "tx=rollback": ("transaction", "rollback"),
    "missing=default": ("missing", "default"),
    "missing=null": ("missing", "null"),
    "handling=strict": ("handling", "strict"),
    "handling=lenient": ("handling", "lenient"),
}

NONE = Preferences()
_CACHED_LENGTH = 1024


def parse_preferences(headers: Iterable[str], *, transaction_override: bool) -> Preferences:
    """The preferences of all `Prefer` headers; `tx` only counts when it may be overridden."""
    joined = ",".join(header for header in headers if header)
    if not joined:
        return NONE
    if len(joined) > _CACHED_LENGTH:
        return _parse.__wrapped__(joined, transaction_override)
    return _parse(joined, transaction_override)


@lru_cache(maxsize=512)
def _parse(joined: str, transaction_override: bool) -> Preferences:
    values: dict[str, Any] = {}
    invalid: list[str] = []
    affected_seen = False
    for preference in (part.strip() for part in joined.split(",")):
        if preference in _FIELDS:
            name, value = _FIELDS[preference]
            if name != "transaction" or transaction_override:
                values.setdefault(name, value)
        elif preference.startswith("timezone="):
            values.setdefault("timezone", preference.removeprefix("timezone="))
        elif preference.startswith("max-affected="):
            if not affected_seen:
                values["max_affected"] = _integer(preference.removeprefix("max-affected="))
            affected_seen = True
        else:
            invalid.append(preference)
    return Preferences(**values, invalid=tuple(invalid))


def _integer(text: str) -> int | None:
    digits = text.strip()
    number = digits.removeprefix("-")
    return int(digits) if number.isascii() and number.isdigit() and len(number) < 19 else None


_WRITES = frozenset({Action.CREATE, Action.UPDATE, Action.UPSERT, Action.DELETE})
_LIMITED = frozenset({Action.UPDATE, Action.DELETE, Action.CALL, Action.CALL_READ})


def preference_applied(
    preferences: Preferences, action: Action, *, resolution_applies: bool
) -> str | None:
    """The value of `Preference-Applied`: what was asked for and counts for this action."""
    if preferences is NONE:
        return None
    p = preferences
    shown = (
        ("resolution", p.resolution if action is Action.CREATE and resolution_applies else None),
        ("missing", p.missing if action in (Action.CREATE, Action.UPDATE) else None),
        ("return", p.representation if action in _WRITES else None),
        ("count", p.count),
        ("tx", p.transaction),
        ("handling", p.handling),
        ("timezone", p.timezone),
        (
            "max-affected",
            p.max_affected if p.handling == "strict" and action in _LIMITED else None,
        ),
    )
    return ", ".join(f"{name}={value}" for name, value in shown if value is not None) or None
