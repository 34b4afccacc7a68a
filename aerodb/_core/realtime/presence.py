"""Who is there: the state of a channel's presence, and what changed (wire-contract §4.10)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["Presences", "PresenceState", "read_presences"]

Presences = dict[str, list[dict[str, Any]]]


def read_presences(value: object) -> Presences:
    """{key: [meta, ...]} of what a server sent; a single meta is wrapped (§4.3)."""
    if not isinstance(value, dict):
        return {}
    found: Presences = {}
    for key, metas in value.items():
        listed = metas if isinstance(metas, list) else [metas]
        if isinstance(metas, dict) and isinstance(metas.get("metas"), list):
            listed = metas["metas"]
        found[str(key)] = [meta for meta in listed if isinstance(meta, dict)]
    return {key: metas for key, metas in found.items() if metas}


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two metas are of one `track`: by their reference, or by all they say."""
    refs = one.get("presence_ref"), other.get("presence_ref")
    return refs[0] == refs[1] if None not in refs else one == other


def _without(metas: list[dict[str, Any]], gone: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [meta for meta in metas if not any(_same(meta, one) for one in gone)]


class PresenceState:
    """{key: metas}, changed as the server says. What `snapshot` gave is never changed."""

    __slots__ = ("_state",)

    def __init__(self) -> None:
        self._state: Presences = {}

    def sync(self, full: Presences) -> tuple[Presences, Presences]:
        """Replace everything; who came and who went thereby."""
        before, self._state = self._state, {key: list(metas) for key, metas in full.items()}
        joined = {key: _without(metas, before.get(key, [])) for key, metas in full.items()}
        left = {key: _without(metas, full.get(key, [])) for key, metas in before.items()}
        return _filled(joined), _filled(left)

    def join(self, who: Presences) -> Presences:
        """Add; who was not there before."""
        came: Presences = {}
        state = dict(self._state)
        for key, metas in who.items():
            held = state.get(key, [])
            came[key] = _without(metas, held)
            state[key] = [*held, *came[key]]
        self._state = _filled(state)
        return _filled(came)

    def leave(self, who: Presences) -> Presences:
        """Take away; who was there before."""
        went: Presences = {}
        state = dict(self._state)
        for key, metas in who.items():
            held = state.get(key, [])
            state[key] = left = _without(held, metas)
            went[key] = _without(held, left)
        self._state = _filled(state)
        return _filled(went)

    def snapshot(self) -> Presences:
        """The state as it is now, to be read only."""
        return self._state

    def copy(self) -> Presences:
        """The state; the caller may change what it gets."""
        return {key: [dict(meta) for meta in metas] for key, metas in self._state.items()}

    def clear(self) -> None:
        """Nobody is there."""
        self._state = {}


def _filled(presences: Presences) -> Presences:
    return {key: metas for key, metas in presences.items() if metas}
