"""Which token the server of an open connection knows, and which one it was told of (§4.4)."""

from __future__ import annotations

import math

from aerodb._core.realtime.frames import auth_frame

__all__ = ["ANSWER_SECONDS", "Tokens"]

ANSWER_SECONDS = 10.0


class Tokens:
    """The tokens of one connection after another.

    Attributes:
        due: When the answer to an `auth` frame has to be there.
        is_unknown: This server knows no `auth` frame: it learns of a token by the handshake only.
    """

    __slots__ = ("_ref", "_token", "due", "is_unknown")

    def __init__(self) -> None:
        self._token: str | None = None
        self._ref: str | None = None
        self.due = math.inf
        self.is_unknown = False

    def carried(self, token: str | None) -> None:
        """A handshake went well that carried this token."""
        self._token = token

    def is_news(self, token: str | None) -> bool:
        """Whether the server does not know it."""
        return token != self._token

    def push(self, token: str | None, ref: str, now: float) -> str:
        """The frame that tells the server of a token."""
        self._token, self._ref, self.due = token, ref, now + ANSWER_SECONDS
        return auth_frame(token, ref)

    def answered(self) -> None:
        """There was an answer, or there will be none."""
        self._ref, self.due = None, math.inf

    def is_another(self, ref: object) -> bool:
        """Whether an answer with this reference is to a token that was sent before the last one."""
        return self._ref is not None and isinstance(ref, str) and ref != self._ref

    def is_meant(self, ref: object) -> bool:
        """Whether an error with this reference may be about the token that was sent."""
        return self._ref is not None and (ref is None or ref == self._ref)
