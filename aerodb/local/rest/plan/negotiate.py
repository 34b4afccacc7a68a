"""Accept to the way the body is rendered (wire contract §3.2; PostgREST's documentation, "media
type handlers")."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from aerodb.local.rest.ast import Action, Name, Request
from aerodb.local.rest.catalog import Catalog
from aerodb.local.rest.errors import RestError
from aerodb.local.settings import RestSettings

# --- media types ------------------------------------------------------------------------------

PlanOption = Literal["analyze", "verbose", "settings", "buffers", "wal"]
_PLAN_OPTIONS: tuple[PlanOption, ...] = ("analyze", "verbose", "settings", "buffers", "wal")
_JSON = "application/json"
_OBJECT = "application/vnd.pgrst.object+json"
_ARRAY_STRIPPED = "application/vnd.pgrst.array+json;nulls=stripped"
_BARE = {
    _JSON,
    "application/geo+json",
    "text/csv",
    "text/plain",
    "text/xml",
    "application/openapi+json",
    "application/x-www-form-urlencoded",
    "application/octet-stream",
    "*/*",
}
_WITHOUT_CHARSET = {"application/octet-stream"}


@dataclass(frozen=True, slots=True)
class MediaType:
    """`kind` is "plain" for everything that may be overridden by a handler of the database.

    For a plan, `subject` is the media type that the plan is for.
    """

    name: str
    kind: Literal["plain", "object", "array_stripped", "plan"] = "plain"
    nulls_stripped: bool = False
    subject: MediaType | None = None
    plan_format: Literal["json", "text"] = "text"
    plan_options: tuple[PlanOption, ...] = ()

    @property
    def content_type(self) -> str:
        known = self.kind != "plain" or self.name in _BARE
        charset = known and self.name not in _WITHOUT_CHARSET
        return f"{self.name}; charset=utf-8" if charset else self.name


_TYPE = re.compile(r"([\w.*]+)/([\w.*+-]+)")
_PARAMETER = re.compile(r'\s*;\s*([\w-]+)\s*=\s*(?:"([^"]*)"|([\w|-]+))')


def parse_media_type(text: str) -> MediaType:
    """One media range of an Accept header, without its quality."""
    match = _TYPE.match(text)
    if match is None:
        return MediaType(text)
    essence = match.group(0).lower()
    parameters: dict[str, str] = {}
    position = match.end()
    while found := _PARAMETER.match(text, position):
        quoted, token = found.group(2), found.group(3)
        parameters[found.group(1).lower()] = quoted if quoted is not None else token
        position = found.end()
    return _known(essence, parameters, text)


def _known(essence: str, parameters: dict[str, str], text: str) -> MediaType:
    stripped = parameters.get("nulls") == "stripped"
    match essence:
        case "application/vnd.pgrst.object" | "application/vnd.pgrst.object+json":
            name = f"{_OBJECT};nulls=stripped" if stripped else _OBJECT
            return MediaType(name, "object", stripped)
        case "application/vnd.pgrst.array" | "application/vnd.pgrst.array+json":
            return (
                MediaType(_ARRAY_STRIPPED, "array_stripped", True) if stripped else MediaType(_JSON)
            )
        case "application/vnd.pgrst.plan" | "application/vnd.pgrst.plan+text":
            return _plan("text", parameters)
        case "application/vnd.pgrst.plan+json":
            return _plan("json", parameters)
        case _:
            return MediaType(essence if essence in _BARE else text)


def _plan(plan_format: Literal["json", "text"], parameters: dict[str, str]) -> MediaType:
    subject = parse_media_type(parameters.get("for", _JSON))
    asked = parameters.get("options", "").split("|")
    options = tuple(option for option in _PLAN_OPTIONS if option in asked)
    name = f'application/vnd.pgrst.plan+{plan_format}; for="{subject.name}"'
    if options:
        name += f"; options={'|'.join(options)}"
    return MediaType(name, "plan", False, subject, plan_format, options)


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
    renderer: Renderer
    media: MediaType


_BUILT_IN: dict[str, tuple[Renderer, str]] = {
    "*/*": (Renderer("json"), _JSON),
    _JSON: (Renderer("json"), _JSON),
    "text/csv": (Renderer("csv"), "text/csv"),
    "application/geo+json": (Renderer("geojson"), "application/geo+json"),
}


def negotiate(
    request: Request, relation: Name, catalog: Catalog, settings: RestSettings, whole_rows: bool
) -> Negotiated:
    """The first accepted media type that can be made; PGRST107 when there is none.

    `whole_rows` says that nothing but `*` is selected: a handler made for a relation takes its
    rows, so it applies to nothing less.
    """
    accepted = [parse_media_type(text) for text in request.accept or ("*/*",)]
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
    if media.kind == "array_stripped":
        return Negotiated(Renderer("json", nulls_stripped=True), media)
    if media.kind == "plan":
        if not settings.db_plan_enabled or media.subject is None:
            return None
        if media.subject.kind == "plan":
            return None
        found = _resolve(media.subject, relation, catalog, settings, whole_rows)
        return Negotiated(found.renderer, media) if found else None
    if whole_rows:
        for name in ("*/*", media.name):
            found = _custom(name, relation, catalog)
            if found is not None:
                return found
    return _custom(media.name, None, catalog) or _built_in(media.name)


def _custom(media: str, target: Name | None, catalog: Catalog) -> Negotiated | None:
    for handler in catalog.media_handlers:
        if handler.target == target and handler.media_type.lower() == media.lower():
            resolved = parse_media_type(handler.resolved_media_type)
            return Negotiated(
                Renderer("custom", function=handler.function, target=target), resolved
            )
    return None


def _built_in(media: str) -> Negotiated | None:
    found = _BUILT_IN.get(media)
    return Negotiated(found[0], MediaType(found[1])) if found else None
