"""Who calls (wire contract §1.4), in this part's own errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aerodb.local.credentials import Identity
from aerodb.local.rest.errors import RestError
from aerodb.local.storage.errors import StorageError
from aerodb.local.storage.http import Request
from aerodb.local.storage.store import Caller

Authenticate = Callable[[Mapping[str, str]], Identity]
_OWN_CODES = {"invalid_api_key": "invalid_api_key", "no_api_key": "no_api_key"}
_ANONYMOUS_REFUSED = "PGRST302"


class Callers:
    """Reads credentials. `authenticate` holds the rules for keys and tokens."""

    def __init__(self, authenticate: Authenticate) -> None:
        self._authenticate = authenticate

    def of(self, request: Request) -> Caller:
        """Return who makes `request`, or raise the 401 that fits."""
        try:
            identity = self._authenticate(request.headers)
        except RestError as problem:
            raise _refused_credentials(problem) from None
        return Caller(
            identity.role,
            identity.claims,
            identity.authenticated,
            request.method,
            request.path,
            request.headers,
        )


def _refused_credentials(problem: RestError) -> StorageError:
    if problem.code in _OWN_CODES:
        return StorageError(_OWN_CODES[problem.code], problem.message)
    if problem.code == _ANONYMOUS_REFUSED:
        return StorageError("authentication_required", "Authentication required")
    if problem.status == 403:
        return StorageError("insufficient_permissions", problem.message)
    if problem.status == 500:
        return StorageError("internal_error", problem.message)
    return StorageError(
        "invalid_token", f"Invalid or expired token: {problem.message}", bearer=True
    )
