"""The auth part as an ASGI application: paths, methods, errors (wire contract §2.1)."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Awaitable, Callable, Mapping

from aerodb.local.auth.accounts import Accounts
from aerodb.local.auth.admin import Admin
from aerodb.local.auth.errors import AuthError
from aerodb.local.auth.http import Gone, Reply, Request, read_request
from aerodb.local.auth.parts import Parts
from aerodb.local.auth.profile import Profile
from aerodb.local.auth.recovery import Recovery
from aerodb.local.replies import Header, Receive, Scope, Send, send_json

log = logging.getLogger("aerodb.local.auth")

Endpoint = Callable[[Request], Awaitable[Reply]]
PREFIX = "/auth"
DEVELOPMENT_PREFIX = "/_aerodb"
NOT_IMPLEMENTED = frozenset(
    (
        *("authorize", "callback", "oauth", "providers", "sso", "saml", "identities"),
        *("magic-link", "magiclink", "otp", "verify", "mfa", "factors"),
    )
)
"""The X row: OAuth, single sign-on, magic links, one-time passwords, second factors."""
# Answers hold tokens and personal data.
_HEADERS: list[Header] = [(b"cache-control", b"no-store")]


class AuthRoutes:
    """Finds the endpoint of a request, and turns what it raises into an answer."""

    def __init__(self, parts: Parts) -> None:
        self._routes = _routes(parts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        head = scope["method"] == "HEAD"
        try:
            reply = await self._reply(await read_request(scope, receive))
        except AuthError as error:
            headers = [*_HEADERS, *error.headers()]
            await send_json(send, error.status, error.body(), headers, head=head)
            return
        except Gone:
            return
        if reply.status == 204:  # RFC 9110 §8.6: without a length
            await send({"type": "http.response.start", "status": 204, "headers": _HEADERS})
            await send({"type": "http.response.body", "body": b""})
            return
        await send_json(send, reply.status, reply.body, _HEADERS, head=head)

    async def _reply(self, request: Request) -> Reply:
        endpoint, argument = self._found(request)
        try:
            return await endpoint(dataclasses.replace(request, argument=argument))
        except (AuthError, Gone):
            raise
        except Exception:
            # Told as a fault of ours, with the traceback in the log alone.
            log.exception("a request could not be answered")
            raise AuthError("internal_error", "Internal error") from None

    def _found(self, request: Request) -> tuple[Endpoint, str]:
        path, argument = request.path, ""
        methods = self._routes.get(path)
        if methods is None:
            folder, _, argument = path.rpartition("/")
            methods = self._routes.get(f"{folder}/{{id}}") if argument else None
        if methods is None:
            if path.removeprefix(f"{PREFIX}/").partition("/")[0] in NOT_IMPLEMENTED:
                raise AuthError("not_implemented", "This server does not offer that")
            raise AuthError("not_found", "There is nothing here")
        method = "GET" if request.method == "HEAD" else request.method
        endpoint = methods.get(method)
        if endpoint is None:
            allowed = ", ".join(sorted(methods)).encode()
            message = f"{request.method} is not for this path"
            raise AuthError("method_not_allowed", message, headers=((b"allow", allowed),))
        return endpoint, argument


def _routes(parts: Parts) -> Mapping[str, Mapping[str, Endpoint]]:
    accounts, profile = Accounts(parts), Profile(parts)
    recovery, admin = Recovery(parts), Admin(parts)
    return {
        "/auth/login": {"POST": accounts.sign_in},
        "/auth/signup": {"POST": accounts.sign_up},
        "/auth/refresh": {"POST": accounts.refresh},
        "/auth/logout": {"POST": accounts.sign_out},
        "/auth/user": {
            "GET": profile.get_user,
            "PUT": profile.update_user,
            "PATCH": profile.update_user,
        },
        "/auth/change-password": {"POST": profile.change_password},
        "/auth/password": {"PUT": profile.change_password},
        "/auth/forgot-password": {"POST": recovery.forgot_password},
        "/auth/reset-password": {"POST": recovery.reset_password},
        "/auth/verify-email": {"POST": recovery.verify_email},
        "/auth/resend-verification": {"POST": recovery.resend_verification},
        "/auth/password-policy": {"GET": recovery.password_policy},
        "/auth/sessions": {"GET": profile.list_sessions},
        "/auth/sessions/{id}": {"DELETE": profile.revoke_session},
        "/auth/users": {"GET": admin.list_users, "POST": admin.create_user},
        "/auth/users/{id}": {
            "GET": admin.get_user,
            "PATCH": admin.update_user,
            "DELETE": admin.delete_user,
        },
        "/_aerodb/outbox": {"GET": admin.read_outbox, "DELETE": admin.empty_outbox},
    }
