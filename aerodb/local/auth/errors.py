"""The one exception of the auth part; codes and statuses of wire contract §2.6."""

from __future__ import annotations

from aerodb.local.replies import Header, platform_error_body

STATUS = {
    "invalid_credentials": 401,
    "email_already_exists": 409,
    "weak_password": 400,
    "email_not_verified": 403,
    "validation_failed": 400,
    "token_expired": 401,
    "invalid_token": 401,
    "authentication_required": 401,
    "invalid_refresh_token": 401,
    "refresh_token_reused": 401,
    "session_revoked": 401,
    "session_expired": 401,
    "invalid_api_key": 401,
    "missing_api_key": 401,
    "access_denied": 403,
    "insufficient_permissions": 403,
    "user_not_found": 404,
    "not_found": 404,
    "method_not_allowed": 405,
    "rate_limit_exceeded": 429,
    "internal_error": 500,
    "not_implemented": 501,
    "service_unavailable": 503,
}


class AuthError(Exception):
    """An answer that is not a success.

    `bearer` says that a token was sent and found bad: the challenge of a 401 then says so too
    (wire contract §1.3).
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        bearer: bool = False,
        retry_after: int | None = None,
        headers: tuple[Header, ...] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = STATUS[code]
        self.message = message
        self._bearer = bearer
        self._retry_after = retry_after
        self._headers = headers

    def body(self) -> dict[str, object]:
        """The second shape of wire contract §1.5."""
        return platform_error_body(self.status, self.code, self.message)

    def headers(self) -> list[Header]:
        """Return what goes with the body."""
        found: list[Header] = [(b"x-aerodb-error", self.code.encode()), *self._headers]
        if self.status == 401:
            description = f'error="invalid_token", error_description="{self.message}"'
            challenge = f"Bearer {description}" if self._bearer else "Bearer"
            found.append((b"www-authenticate", challenge.encode("latin-1", "replace")))
        if self._retry_after is not None:
            found.append((b"retry-after", str(self._retry_after).encode()))
        return found


def invalid(message: str) -> AuthError:
    """Return the error of a request that is not well-formed."""
    return AuthError("validation_failed", f"Validation error: {message}")
