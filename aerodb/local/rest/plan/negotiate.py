"""Accept to the way the body is rendered (wire contract §3.2; PostgREST's documentation, "media
type handlers")."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from aerodb.local.rest import media_types
from aerodb.local.rest.ast import Action, Name, Request
from aerodb.local.rest.catalog import Catalog
from aerodb.local.rest.errors import RestError
from aerodb.local.settings import RestSettings

# --- media types ------------------------------------------------------------------------------

_OBJECT = "application/vnd.pgrst.object+json"
_OBJECT_STRIPPED = f"{_OBJECT};nulls=stripped"
_ARRAY_STRIPPED = "application/vnd.pgrst.array+json;nulls=stripped"
_WITH_CHARSET = frozenset(
    {
        media_types.JSON,
        media_types.GEOJSON,
        media_types.CSV,
        media_types.TEXT,
        media_types.XML,
        media_types.OPENAPI,
        media_types.URLENCODED,
        media_types.ANY,
    }
)
_PLAN = re.compile(
    r'application/vnd\.pgrst\.plan\+(?P<format>json|text); for="(?P<subject>[^"]*)"'
    r"(; options=(?P<options>[a-z|]+))?"
)


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type in its one spelling.

    `kind` is "plain" for everything that a handler of the database may make. For a plan, `subject`
    is the media type whose making is explained.
    """

    name: str
    kind: Literal["plain", "object", "array", "plan"] = "plain"
    nulls_stripped: bool = False
    subject: MediaType | None = None
    plan_format: str = "text"
    plan_options: tuple[str, ...] = ()

    @property
    def content_type(self) -> str:
        """The `Content-Type` header: text has a charset, what handlers make has none."""
        if self.kind != "plain" or self.name in _WITH_CHARSET:
            return f"{self.name}; charset=utf-8"
        return self.name


@lru_cache(maxsize=128)
def media_type(text: str) -> MediaType:
    """What a media type, as `media_types.canonical_type` spells it, asks for."""
    if text in (_OBJECT, _OBJECT_STRIPPED):
        return MediaType(text, "object", text == _OBJECT_STRIPPED)
    if text == _ARRAY_STRIPPED:
        return MediaType(text, "array", nulls_stripped=True)
    plan = _PLAN.fullmatch(text)
    if plan is None:
        return MediaType(text)
    options = tuple(plan["options"].split("|")) if plan["options"] else ()
    return MediaType(text, "plan", False, media_type(plan["subject"]), plan["format"], options)


# --- handlers ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Renderer:
    """How the rows become the body. `function` is set for "custom"; `target` is the relation whose
    row type it takes, None: any row."""

    kind: Literal["json", "object", "csv", "geojson", "custom", "none"]
    nulls_stripped: bool = False
    function: Name | None = None
    target: Name | None = None


@dataclass(frozen=True, slots=True)
class Negotiated:
    """A renderer and the media type of what it makes."""

    renderer: Renderer
    media: MediaType


_BUILT_IN: dict[str, tuple[Renderer, str]] = {
    media_types.ANY: (Renderer("json"), media_types.JSON),
    media_types.JSON: (Renderer("json"), media_types.JSON),
    media_types.CSV: (Renderer("csv"), media_types.CSV),
    media_types.GEOJSON: (Renderer("geojson"), media_types.GEOJSON),
}


def negotiate(
    request: Request, relation: Name, catalog: Catalog, settings: RestSettings, whole_rows: bool
) -> Negotiated:
    """The first accepted media type that can be made; PGRST107 when there is none.

    `whole_rows` says that nothing but `*` is selected: a handler made for a relation takes its
    rows, so it applies to nothing less.
    """
    accepted = [media_type(text) for text in request.accept]
    for media in accepted:
        found = _resolve(media, relation, catalog, settings, whole_rows)
        if found is not None:
            return _without_body(found) if _is_bodiless(request) else found
    names = ", ".join(media.name for media in accepted)
    raise RestError(406, "PGRST107", f"None of these media types are available: {names}")


def _is_bodiless(request: Request) -> bool:
    if request.action in (Action.READ, Action.CALL_READ):
        return request.headers_only
    writes = request.action in (Action.CREATE, Action.UPDATE, Action.UPSERT, Action.DELETE)
    return writes and request.preferences.representation != "representation"


def _without_body(found: Negotiated) -> Negotiated:
    return Negotiated(Renderer("none"), found.media)


def _resolve(
    media: MediaType, relation: Name, catalog: Catalog, settings: RestSettings, whole_rows: bool
) -> Negotiated | None:
    if media.kind == "object":
        return Negotiated(Renderer("object", media.nulls_stripped), media)
    if media.kind == "array":
        return Negotiated(Renderer("json", nulls_stripped=True), media)
    if media.kind == "plan":
        if not settings.db_plan_enabled or media.subject is None:
            return None
        if media.subject.kind == "plan":
            return None
        found = _resolve(media.subject, relation, catalog, settings, whole_rows)
        return Negotiated(found.renderer, media) if found else None
    if whole_rows:
        for name in (media_types.ANY, media.name):
            found = _custom(name, relation, catalog)
            if found is not None:
                return found
    return _custom(media.name, None, catalog) or _built_in(media.name)


def _custom(media: str, target: Name | None, catalog: Catalog) -> Negotiated | None:
    for handler in catalog.media_handlers:
        if handler.target == target and handler.media_type == media:
            resolved = media_type(media_types.canonical_type(handler.resolved_media_type))
            return Negotiated(
                Renderer("custom", function=handler.function, target=target), resolved
            )
    return None


def _built_in(media: str) -> Negotiated | None:
    found = _BUILT_IN.get(media)
    return Negotiated(found[0], media_type(found[1])) if found else None
