"""Views in both colours."""

from __future__ import annotations

import json
import os

from django.contrib.auth import authenticate, login, logout
from django.http import HttpRequest, JsonResponse
from django.urls import path

from aerodb import AeroDBResponse
from aerodb.contrib.django import AeroDBHttpRequest, client
from aerodb.contrib.django.shelf import KEY


def sign_in(request: HttpRequest) -> JsonResponse:
    person = authenticate(request, **json.loads(request.body))
    if person is None:
        return JsonResponse({"signed_in": False}, status=403)
    login(request, person)
    return JsonResponse({"signed_in": True, "name": person.get_username(), "email": person.email})


def sign_out(request: HttpRequest) -> JsonResponse:
    logout(request)
    return JsonResponse({})


def board(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"board": client.from_("board").select("*").execute().unwrap()})


def notes(request: AeroDBHttpRequest) -> JsonResponse:
    if request.method == "POST":
        text = request.body.decode()
        request.aerodb.from_("notes").insert({"body": text}).execute().unwrap()
    return told(request.aerodb.from_("notes").scalars("body"))


async def notes_async(request: AeroDBHttpRequest) -> JsonResponse:
    return told(await request.aerodb.aio.from_("notes").scalars("body"))


def told(response: AeroDBResponse[list[str]]) -> JsonResponse:
    """What a view has got, and which process it runs in."""
    if response.error is not None:
        return JsonResponse({"code": response.error.code}, status=response.error.status or 500)
    return JsonResponse({"notes": response.data}, headers={"X-Process": str(os.getpid())})


def broken(request: AeroDBHttpRequest) -> JsonResponse:
    caller = request.aerodb
    return JsonResponse({"never": caller.from_("nothing").select("*").execute().unwrap()})


async def broken_async(request: AeroDBHttpRequest) -> JsonResponse:
    caller = request.aerodb
    return JsonResponse({"never": (await caller.aio.from_("nothing").select("*")).unwrap()})


def age(request: HttpRequest) -> JsonResponse:
    """Let the tokens of this session be about to end; tell whether they are the same."""
    from importlib import import_module

    from django.conf import settings

    record = import_module(settings.SESSION_ENGINE).SessionStore(session_key=request.session[KEY])
    if request.method == "POST":
        record["until"] = 0
        record.save()
    return JsonResponse({"tokens": hash(record["session"])})


urlpatterns = [
    path("sign-in", sign_in),
    path("sign-out", sign_out),
    path("board", board),
    path("notes", notes),
    path("notes-async", notes_async),
    path("broken", broken),
    path("broken-async", broken_async),
    path("age", age),
]
