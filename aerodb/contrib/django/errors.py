"""The answer to an `AeroDBAPIError` that a view has let through."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import BadRequest, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import get_resolver, get_urlconf
from django.utils.cache import patch_vary_headers
from django.utils.log import log_response

from aerodb import AeroDBAPIError
from aerodb.contrib._statuses import answer_of

_PAGES: dict[int, type[Exception]] = {400: BadRequest, 403: PermissionDenied, 404: Http404}
"""What Django, or the project, has pages for."""


def answer(
    request: HttpRequest, problem: AeroDBAPIError, *, has_token: bool
) -> HttpResponse | None:
    """JSON, or a page for who prefers one; None for a fault of the program, which is Django's 500.

    The error itself is logged by `django.request`, as Django does: what the caller did not cause
    at level ERROR, with its traceback.
    """
    status, body, headers = answer_of(problem.error, has_token=has_token)
    if status == 500:
        return None
    made: HttpResponse = JsonResponse(body, status=status)
    log_response(
        "%s: %s: %s",
        made.reason_phrase,
        request.path,
        str(problem),
        response=made,
        request=request,
        exception=problem if status > 500 else None,
    )
    if request.get_preferred_type(["application/json", "text/html"]) == "text/html":
        made = _page(request, status, str(body["detail"]))
    for name, value in headers.items():
        made[name] = value
    patch_vary_headers(made, ["Accept"])
    made._has_been_logged = True  # type: ignore[attr-defined]
    return made


def _page(request: HttpRequest, status: int, detail: str) -> HttpResponse:
    kind = _PAGES.get(status)
    if kind is None:
        return HttpResponse(detail, status=status, content_type="text/plain; charset=utf-8")
    page: Any = get_resolver(get_urlconf()).resolve_error_handler(status)
    made: HttpResponse = page(request, exception=kind(detail))
    return made
