"""The one exception of the functions part: a platform error (wire contract §6, §1.3, §1.5)."""

from __future__ import annotations

from aerodb.local.replies import Header, platform_error_body
from aerodb.local.rest.errors import RestError

STATUS = {
    "validation_failed": 400,
    "token_expired": 401,
    "invalid_token": 401,
    "authentication_required": 401,
    "invalid_api_key": 401,
    "missing_api_key": 401,
    "insufficient_permissions": 403,
    "function_not_found": 404,
    "method_not_allowed": 405,
    "function_error": 500,
    "internal_error": 500,
    "not_implemented": 501,
    "functions_busy": 503,
    "function_timeout": 504,
}
_KEY_CODES = {"invalid_api_key": "invalid_api_key", "no_api_key": "missing_api_key"}


class Refusal(Exception):
    """An answer that the platform gives in a function's place.

    `bearer` says that a token was sent and found bad: the challenge of the 401 says so too.
    """

    def __init__(
        self, code: str, message: str, *, bearer: bool = False, headers: tuple[Header, ...] = ()
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = STATUS[code]
        self.message = message
        self._bearer = bearer
        self._headers = headers

    def body(self) -> dict[str, object]:
        """The second shape of wire contract §1.5."""
        return platform_error_body(self.status, self.code, self.message)

    def headers(self) -> list[Header]:
        """What goes with the body."""
        found: list[Header] = [(b"x-aerodb-error", self.code.encode()), *self._headers]
        if self.status == 401:
            challenge = 'Bearer error="invalid_token"' if self._bearer else "Bearer"
            found.append((b"www-authenticate", challenge.encode()))
        return found


def refused_credentials(problem: RestError) -> Refusal:
    """What the authenticator said, in this part's words (wire contract §1.4)."""
    if problem.code in _KEY_CODES:
        return Refusal(_KEY_CODES[problem.code], problem.message)
    if problem.code == "PGRST302":
        return Refusal("authentication_required", "Authentication required")
    if problem.status == 403:
        return Refusal("insufficient_permissions", problem.message)
    if problem.message == "JWT expired":
        return Refusal("token_expired", "Token expired", bearer=True)
    return Refusal("invalid_token", f"Invalid or expired token: {problem.message}", bearer=True)
