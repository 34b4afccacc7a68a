"""What a frame can be refused with (wire contract §4.9)."""

from __future__ import annotations

from aerodb.local.rest.errors import RestError

RETRYABLE = frozenset({"rate_limit_exceeded", "internal_error", "service_unavailable"})


class FrameError(Exception):
    """An `error` frame; `close` is the code that the connection is closed with after it."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        close: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.close = close
        self.retry_after = retry_after

    @property
    def retryable(self) -> bool:
        """Whether the same frame may succeed later."""
        return self.code in RETRYABLE


def invalid(message: str) -> FrameError:
    """Return the error of a frame that is not as wire contract §4.2 has it."""
    return FrameError("invalid_message", message)


UNAVAILABLE = FrameError("service_unavailable", "The database does not answer.", retry_after=1)
BROKEN = FrameError("internal_error", "The server has failed.")


def not_admitted(problem: RestError) -> FrameError:
    """Return the error of a token that is no good."""
    if problem.status == 503:
        return UNAVAILABLE
    if problem.message == "JWT expired":
        return FrameError("token_expired", problem.message)
    return FrameError("auth_failed", problem.message)
