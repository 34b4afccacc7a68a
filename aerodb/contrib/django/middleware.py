"""Puts `request.aerodb` in place: a client that acts as the caller.

Who that is comes from an `Authorization: Bearer` header, or else from the tokens that
`AeroDBBackend` put on the shelf at sign-in. A token that AeroDB does not take is answered by
AeroDB, with 401: nobody is made a lesser role silently. What `unwrap()` raises in a view becomes an
answer with a status that fits.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponseBase, JsonResponse

from aerodb import AeroDBAPIError, Session
from aerodb.contrib._callers import is_key
from aerodb.contrib._statuses import challenge
from aerodb.contrib.django import conf, shelf
from aerodb.contrib.django.errors import answer
from aerodb.contrib.django.requests import RequestClient

GetResponse = Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]


class AeroDBMiddleware:
    """`MIDDLEWARE += ["aerodb.contrib.django.AeroDBMiddleware"]`, after `SessionMiddleware`."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response: Any = get_response
        self._awaits = _is_async(get_response)
        if self._awaits:
            markcoroutinefunction(self)
        else:
            self.process_view = self._before_view  # a hook costs a thread in the other colour

    def __call__(self, request: HttpRequest) -> Any:
        if self._awaits:
            return self._acall(request)
        given, refusal = _given(request)
        if refusal is not None:
            return refusal

        def find() -> Session | None:
            return given or shelf.load(request)

        _put(request, find)
        return self._get_response(request)

    def _before_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> None:
        """Under WSGI an async view has an event loop of its own, in which the session must not be
        read: find out before who asks."""
        if _is_async(view):
            request.aerodb.find()  # type: ignore[attr-defined]

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponseBase | None:
        """Answer what AeroDB has refused. All else, and a 500, is Django's to answer."""
        if not isinstance(exception, AeroDBAPIError) or not conf.answers_errors():
            return None
        made = getattr(request, "aerodb", None)
        return answer(request, exception, has_token=made is not None and made.has_token)

    async def _acall(self, request: HttpRequest) -> Any:
        given, refusal = _given(request)
        if refusal is not None:
            return refusal
        found = given or await shelf.aload(request)  # what a view asks for must not block
        _put(request, lambda: found)
        return await self._get_response(request)


def _is_async(function: Callable[..., Any]) -> bool:
    # asgiref's marks are not known to the inspect module of Python 3.11
    return iscoroutinefunction(function)  # pyright: ignore[reportDeprecated]


def _put(request: HttpRequest, find: Callable[[], Session | None]) -> None:
    request.aerodb = RequestClient(find)  # type: ignore[attr-defined,arg-type]


def _given(request: HttpRequest) -> tuple[Session | None, JsonResponse | None]:
    """The token of the header, and the answer to one that cannot be a token (RFC 6750 §3)."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None, None
    try:
        given = Session(token.strip())
    except ValueError:
        return None, _refused("The access token cannot be one.")
    if is_key(given.access_token):
        return None, _refused("This needs an access token; an API key is nobody.")
    return given, None


def _refused(detail: str) -> JsonResponse:
    body = {"detail": detail, "code": "invalid_token"}
    return JsonResponse(body, status=401, headers={"WWW-Authenticate": challenge(invalid=True)})
