"""Media types of `Accept` and `Content-Type`, in one spelling each.

Wire contract §3.2. Known types are told by their main and sub type; what the dialect ignores
(charset and the like) is dropped, so that the planner compares plain strings. A type that is not
known keeps the spelling it came in.
"""

from __future__ import annotations

from functools import lru_cache

JSON = "application/json"
ANY = "*/*"
OPENAPI = "application/openapi+json"
CSV = "text/csv"
URLENCODED = "application/x-www-form-urlencoded"
TEXT = "text/plain"
XML = "text/xml"
BYTES = "application/octet-stream"
GEOJSON = "application/geo+json"

_PLAIN = frozenset({JSON, ANY, OPENAPI, CSV, URLENCODED, TEXT, XML, BYTES, GEOJSON})
_OBJECT = frozenset({"application/vnd.pgrst.object+json", "application/vnd.pgrst.object"})
_ARRAY = frozenset({"application/vnd.pgrst.array+json", "application/vnd.pgrst.array"})
_PLANS = {
    "application/vnd.pgrst.plan": "text",
    "application/vnd.pgrst.plan+text": "text",
    "application/vnd.pgrst.plan+json": "json",
}
_PLAN_OPTIONS = ("analyze", "verbose", "settings", "buffers", "wal")


_CACHED_LENGTH = 1024


def accepted_types(header: str | None) -> tuple[str, ...]:
    """The media types of an `Accept` header, the most wanted first."""
    if header is None:
        return (ANY,)
    if len(header) > _CACHED_LENGTH:
        return _accepted_types.__wrapped__(header)
    return _accepted_types(header)


@lru_cache(maxsize=512)
def _accepted_types(header: str) -> tuple[str, ...]:
    if header == "":
        return ()
    weighed = [_weigh(part.replace(" ", "")) for part in header.split(",")]
    weighed.sort(key=lambda item: item[:2], reverse=True)
    return tuple(canonical_type(text) for _, _, text in weighed)


def _weigh(text: str) -> tuple[float, int, str]:
    """Quality, then how specific it is: more parameters and fewer stars."""
    kept, found, rest = text.partition(";q=")
    quality = _number(rest.partition(";")[0]) if found else 1.0
    return quality, kept.count(";") - kept.count("*"), kept


def _number(text: str) -> float:
    digits = text.replace(".", "", 1)
    if not (digits.isascii() and digits.isdigit()) or text[0] == "." or text[-1] == ".":
        return 1.0
    return float(text[:32])


def canonical_type(text: str) -> str:
    """The one spelling of a media type; JSON arrays without null stripping are plain JSON."""
    return _canonical(text) if len(text) <= _CACHED_LENGTH else _canonical.__wrapped__(text)


@lru_cache(maxsize=512)
def _canonical(text: str) -> str:
    scanned = _scan(text)
    if scanned is None:
        return text
    name, parameters = scanned
    if name in _PLAIN:
        return name
    stripped = ";nulls=stripped" if parameters.get("nulls") == "stripped" else ""
    if name in _OBJECT:
        return f"application/vnd.pgrst.object+json{stripped}"
    if name in _ARRAY:
        return f"application/vnd.pgrst.array+json{stripped}" if stripped else JSON
    if name in _PLANS:
        return _plan_type(_PLANS[name], parameters)
    return text


def _plan_type(plan_format: str, parameters: dict[str, str]) -> str:
    target = canonical_type(parameters.get("for", JSON))
    wanted = parameters.get("options", "").split("|")
    options = "|".join(option for option in _PLAN_OPTIONS if option in wanted)
    suffix = f"; options={options}" if options else ""
    return f'application/vnd.pgrst.plan+{plan_format}; for="{target}"{suffix}'


# --- scanning ------------------------------------------------------------------------------------


def _scan(text: str) -> tuple[str, dict[str, str]] | None:
    """(type/subtype in lower case, parameters), or None if it does not begin like a media type.

    What follows the last well-formed parameter is passed over.
    """
    main, position = _span(text, 0, ".*")
    if not main or text[position : position + 1] != "/":
        return None
    sub, position = _span(text, position + 1, ".*+-")
    if not sub:
        return None
    parameters: dict[str, str] = {}
    while (found := _parameter(text, position)) is not None:
        name, value, position = found
        parameters[name.lower()] = value
    return f"{main}/{sub}".lower(), parameters


def _parameter(text: str, position: int) -> tuple[str, str, int] | None:
    position = _blanks(text, position)
    if text[position : position + 1] != ";":
        return None
    name, position = _span(text, _blanks(text, position + 1), "-")
    position = _blanks(text, position)
    if not name or text[position : position + 1] != "=":
        return None
    position = _blanks(text, position + 1)
    if text[position : position + 1] == '"':
        end = text.find('"', position + 1)
        return None if end < 0 else (name, text[position + 1 : end], end + 1)
    value, position = _span(text, position, "|-")
    return (name, value, position) if value else None


def _span(text: str, start: int, extra: str) -> tuple[str, int]:
    stop = start
    while stop < len(text) and (text[stop].isalnum() or text[stop] in extra):
        stop += 1
    return text[start:stop], stop


def _blanks(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position
