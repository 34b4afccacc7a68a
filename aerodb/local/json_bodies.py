"""The JSON object that a request holds, read strictly (wire contract §1.9 S15).

What is returned can be stored in PostgreSQL and sent back as JSON, so a bad body is a 400 and never
a 500. Each service says it in its own words: here it is a `BadBody`.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

MAXIMUM_DEPTH = 128
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class BadBody(ValueError):
    """A body that is refused; its text says why, and shows nothing of it."""


def json_object(content_type: str | None, body: bytes) -> dict[str, Any]:
    """Return the JSON object that a request holds; an empty body is an empty object.

    Raises:
        BadBody: It is of another type, no JSON, no object, nested too deep, or not to be stored.
    """
    if not body.strip():
        return {}
    kind = (content_type or "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        # A web page could send other types without asking first (reliability D2).
        raise BadBody("the body must be sent as application/json")
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise BadBody("the body is not valid JSON") from None
    if not isinstance(value, dict):
        raise BadBody("the body must be a JSON object")
    _check_storable(value)
    return value


def is_too_deep(value: Any) -> bool:
    """Whether arrays and objects are nested deeper than `MAXIMUM_DEPTH`.

    Python's parser has a limit of its own, of some 1,000 levels up to 3.12 and 10,000 from 3.13 on.
    """
    level: list[Any] = [value]
    for _ in range(MAXIMUM_DEPTH):
        inside = [item.values() if isinstance(item, dict) else item for item in level]
        level = [part for parts in inside for part in parts if isinstance(part, dict | list)]
        if not level:
            return False
    return True


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _check_storable(value: Any) -> None:
    """Refuse what is nested too deep, and what PostgreSQL or UTF-8 cannot hold."""
    waiting = [(value, 1)]
    while waiting:
        item, depth = waiting.pop()
        if depth > MAXIMUM_DEPTH:
            raise BadBody(f"the body is nested deeper than {MAXIMUM_DEPTH} levels")
        if isinstance(item, str) and _UNSTORABLE.search(item):
            raise BadBody("a text holds NUL or half of a surrogate pair")
        if isinstance(item, float) and not math.isfinite(item):
            raise BadBody("a number is too large")
        if isinstance(item, dict):
            waiting += [(part, depth + 1) for pair in item.items() for part in pair]
        elif isinstance(item, list):
            waiting += [(part, depth + 1) for part in item]
