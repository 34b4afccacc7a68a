"""The small file that lets another process go on with an upload."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from aerodb._core.error_body import load_json

_VERSION = 1


class Saved(NamedTuple):
    """What is kept: where the upload is, what for, and which file it was begun with."""

    url: str
    bucket: str
    path: str
    fingerprint: str


def dump_state(saved: Saved) -> bytes:
    """The file's content."""
    return json.dumps({"version": _VERSION, **saved._asdict()}).encode()


def load_state(data: bytes) -> Saved | None:
    """Read what `dump_state` wrote; None for anything else, which is then begun anew."""
    try:
        value: Any = load_json(data.decode())
    except UnicodeDecodeError:
        return None
    if not isinstance(value, dict) or value.get("version") != _VERSION:
        return None
    found = [value.get(name) for name in Saved._fields]
    return Saved(*map(str, found)) if all(isinstance(item, str) for item in found) else None
