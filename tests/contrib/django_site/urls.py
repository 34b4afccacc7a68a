"""Views in both colours."""

from __future__ import annotations

import json
import os

from django.contrib.auth import aauthenticate, authenticate, login, logout
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


def sign_in_by_hand(request: AeroDBHttpRequest) -> JsonResponse:
    session = request.aerodb.auth.sign_in(**json.loads(request.body)).unwrap().session
    assert session is not None
    return JsonResponse({"token": session.access_token})


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


def failing(request: AeroDBHttpRequest, kind: str) -> JsonResponse:
    db = request.aerodb
    if kind == "column":
        return JsonResponse({"rows": db.from_("board").select("titel").execute().unwrap()})
    if kind == "time":
        return JsonResponse({"text": db.rpc("stopped").execute().unwrap()})
    if kind == "conflict":
        row = {"id": 1, "text": "Welcome"}
        return JsonResponse({"row": db.from_("board").insert(row).execute().unwrap()})
    if kind == "policy":
        row = {"body": "x", "owner": "00000000-0000-0000-0000-000000000000"}
        return JsonResponse({"row": db.from_("notes").insert(row).execute().unwrap()})
    if kind == "value":
        rows = db.from_("board").select("*").eq("id", "x").execute().unwrap()
        return JsonResponse({"rows": rows})
    one = db.from_("board").select("*").eq("id", 77).single().execute()
    return JsonResponse({"row": one.unwrap()})


async def failing_async(request: AeroDBHttpRequest, kind: str) -> JsonResponse:
    db = request.aerodb.aio
    if kind == "column":
        return JsonResponse({"rows": (await db.from_("board").select("titel")).unwrap()})
    if kind == "time":
        return JsonResponse({"text": (await db.rpc("stopped")).unwrap()})
    if kind == "conflict":
        row = {"id": 1, "text": "Welcome"}
        return JsonResponse({"row": (await db.from_("board").insert(row)).unwrap()})
    if kind == "policy":
        row = {"body": "x", "owner": "00000000-0000-0000-0000-000000000000"}
        return JsonResponse({"row": (await db.from_("notes").insert(row)).unwrap()})
    if kind == "value":
        return JsonResponse({"rows": (await db.from_("board").select("*").eq("id", "x")).unwrap()})
    one = await db.from_("board").select("*").eq("id", 77).single()
    return JsonResponse({"row": one.unwrap()})


async def sign_in_async(request: HttpRequest) -> JsonResponse:
    person = await aauthenticate(request, **json.loads(request.body))
    return JsonResponse({"signed_in": person is not None}, status=403 if person is None else 200)


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
    path("sign-in-by-hand", sign_in_by_hand),
    path("sign-out", sign_out),
    path("board", board),
    path("notes", notes),
    path("notes-async", notes_async),
    path("broken", broken),
    path("broken-async", broken_async),
    path("failing/<kind>", failing),
    path("failing-async/<kind>", failing_async),
    path("sign-in-async", sign_in_async),
    path("age", age),
]
