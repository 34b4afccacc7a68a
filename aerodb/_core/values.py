"""What kind of value something is, and its text, without importing the modules it comes from.

Filters and JSON bodies accept the same Python values. A type is recognised by the qualified names
in its method resolution order, so `decimal`, `uuid` and friends are loaded only if the program
uses them, and models (dataclass, attrs, msgspec, pydantic, NamedTuple) by their marks.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence, Set
from typing import Any, Literal

from aerodb._dataclass import dataclass

__all__ = ["BadValue", "Kind", "Range", "fields_of", "kind_of", "member_of", "plain", "text_of"]

Kind = Literal[
    "none", "bool", "int", "float", "str", "bytes", "datetime", "date", "time", "timedelta",
    "uuid", "decimal", "enum", "range", "mapping", "list", "model", "numpy", "unknown",
]  # fmt: skip

_KINDS: dict[str, Kind] = {
    "builtins.NoneType": "none",
    "builtins.bool": "bool",
    "builtins.int": "int",
    "builtins.float": "float",
    "builtins.str": "str",
    "builtins.bytes": "bytes",
    "builtins.bytearray": "bytes",
    "builtins.memoryview": "bytes",
    "datetime.datetime": "datetime",
    "datetime.date": "date",
    "datetime.time": "time",
    "datetime.timedelta": "timedelta",
    "uuid.UUID": "uuid",
    "ipaddress._BaseAddress": "uuid",  # str() is its text, as with a UUID
    "ipaddress._BaseNetwork": "uuid",
    "decimal.Decimal": "decimal",
    "enum.Enum": "enum",
    "builtins.range": "range",
    "builtins.dict": "mapping",
    "builtins.list": "list",
    "builtins.tuple": "list",
    "builtins.set": "list",
    "builtins.frozenset": "list",
    "collections.deque": "list",
    "numpy.generic": "numpy",
    "numpy.ndarray": "numpy",
}

_MODEL_MARKS = ("__dataclass_fields__", "__attrs_attrs__", "__struct_fields__", "model_dump")
_ANSWERS = "aerodb.types"
_CACHE: dict[type, Kind] = {}
_CACHE_LIMIT = 1024


class BadValue(ValueError):
    """A value that cannot be sent. The text names it and what was expected.

    Raised and caught inside the core: users get it as `INVALID_ARGUMENT` in a response.
    """

    def __init__(self, message: str, *, code: str = "INVALID_ARGUMENT", hint: str | None = None):
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Range:
    """A range of numbers, dates or timestamps, as PostgreSQL's range types have them.

    `None` is an open end. `bounds` says whether the ends belong to it: one of `[)`, `[]`, `(]`
    and `()`, default `[)` as in PostgreSQL.
    """

    lower: Any = None
    upper: Any = None
    bounds: Literal["[)", "[]", "(]", "()"] = "[)"


def kind_of(value: Any) -> Kind:
    """The kind of `value`, found once per type."""
    cls: type = type(value)
    found = _CACHE.get(cls)
    if found is None:
        if len(_CACHE) >= _CACHE_LIMIT:
            _CACHE.clear()
        found = _CACHE[cls] = _classify(cls)
    return found


def _classify(cls: type) -> Kind:
    if cls.__module__ == _ANSWERS:
        return "unknown"  # a dataclass too, and never meant: its data is
    if {"lower", "upper", "bounds"} <= set(dir(cls)):
        return "range"  # ours, psycopg's, and whoever else has this shape
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return "model"
    if any(hasattr(cls, mark) for mark in _MODEL_MARKS):
        return "model"
    for base in cls.__mro__:
        kind = _KINDS.get(f"{base.__module__}.{base.__qualname__}")
        if kind is not None:
            return kind
    if issubclass(cls, Mapping):
        return "mapping"
    if issubclass(cls, (Sequence, Set)):
        return "list"
    return "unknown"


def text_of(value: Any, kind: Kind) -> str:
    """The text of a value that is text on the wire in every context (wire-contract §3.5)."""
    if kind == "str":
        return str.__str__(value)
    if kind in ("datetime", "date", "time"):
        text: str = value.isoformat()
        if text == "NaT":
            raise BadValue("NaT (not a time) was given, expected a point in time or None")
        return text
    if kind == "timedelta":
        return _duration(value)
    if kind == "bytes":
        return "\\x" + bytes(value).hex()
    if kind == "range":
        return _range_text(value)
    return str(value)


def integer_text(value: int) -> str:
    """Decimal digits of an int of any size; Python's own limit of 4300 digits does not apply."""
    try:
        return int.__repr__(value)
    except ValueError:
        size = value.bit_length()
        if size > 440_000:  # 131072 digits: what PostgreSQL's numeric holds before the point
            raise BadValue(
                f"an int of {size} bits was given, numeric ends at 131072 digits"
            ) from None
        return _digits(value)


def _digits(value: int) -> str:
    sign, value = ("-", -value) if value < 0 else ("", value)
    parts: list[str] = []
    base = 10**4000
    while value:
        value, rest = divmod(value, base)
        parts.append(f"{rest:04000d}" if value else str(rest))
    return sign + "".join(reversed(parts))


def float_text(value: float) -> str:
    """The shortest text that reads back as the same float; PostgreSQL's names for the odd ones."""
    if value != value:
        return "NaN"
    text = float.__repr__(value)
    return text.replace("inf", "Infinity") if "inf" in text else text


def _duration(value: Any) -> str:
    """ISO 8601, every field with the sign of the whole: PostgreSQL reads `P-1DT-2H`."""
    micros = (value.days * 86400 + value.seconds) * 1_000_000 + value.microseconds
    sign, micros = ("-", -micros) if micros < 0 else ("", micros)
    seconds, micros = divmod(micros, 1_000_000)
    days, seconds = divmod(seconds, 86400)
    hours, seconds = divmod(seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    date = f"{sign}{days}D" if days else ""
    time = f"{sign}{hours}H" if hours else ""
    time += f"{sign}{minutes}M" if minutes else ""
    fraction = f".{micros:06d}".rstrip("0") if micros else ""
    if seconds or fraction or not (date or time):
        time += f"{sign}{seconds}{fraction}S"
    return f"P{date}T{time}" if time else f"P{date}"


def _range_text(value: Any) -> str:
    if isinstance(value, range):
        if value.step != 1:
            raise BadValue(f"{value!r} was given, expected a range with step 1")
        return f"[{value.start},{value.stop})"
    if getattr(value, "isempty", False):
        return "empty"
    bounds: Any = value.bounds
    if bounds not in ("[)", "[]", "(]", "()"):
        raise BadValue(f"range bounds {bounds!r} were given, expected one of [) [] (] ()")
    return f"{bounds[0]}{_bound(value.lower)},{_bound(value.upper)}{bounds[1]}"


def _bound(value: Any) -> str:
    if value is None:
        return ""
    text = plain(value)
    if not text or any(c in ',()[]"\\' or c.isspace() for c in text):
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return text


def plain(value: Any) -> str:
    """A scalar as text; anything that has parts is refused."""
    kind = kind_of(value)
    if kind == "int":
        return integer_text(value)
    if kind == "bool":
        return "true" if value else "false"
    if kind == "float":
        return float_text(value)
    if kind == "decimal":
        return decimal_text(value)
    if kind == "enum":
        return plain(value.value)
    if kind == "numpy":
        return plain(member_of(value))
    if kind in ("none", "mapping", "list", "model", "unknown"):
        raise BadValue(f"{describe(value)} was given, expected a single value")
    return text_of(value, kind)


def decimal_text(value: Any) -> str:
    """A Decimal digit for digit. A signalling NaN has no text in PostgreSQL."""
    if value.is_snan():
        raise BadValue("Decimal('sNaN') was given, expected a number")
    return str(value)


def member_of(value: Any) -> Any:
    """The plain Python value in a numpy scalar or array."""
    cls = type(value)
    if cls.__name__ in ("datetime64", "timedelta64"):
        if str(value) == "NaT":
            raise BadValue("NaT (not a time) was given, expected a point in time or None")
        # item() of the finer units is a bare int; the ISO text keeps all digits
        return str(value) if cls.__name__ == "datetime64" else value.astype("m8[us]").item()
    return value.tolist()


def fields_of(value: Any) -> dict[str, Any]:
    """The members of a model: pydantic, msgspec, attrs, dataclass or NamedTuple."""
    if hasattr(value, "model_dump"):
        dumped: Any = value.model_dump(by_alias=True)
        if not isinstance(dumped, dict):
            raise BadValue(f"{describe(value)} was given, expected a model with named fields")
        return dumped
    if hasattr(value, "__struct_fields__"):
        names = zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True)
        members = ((name, getattr(value, attribute)) for name, attribute in names)
        return {k: v for k, v in members if type(v).__name__ != "UnsetType"}
    if hasattr(value, "__attrs_attrs__"):
        return {a.name: getattr(value, a.name) for a in value.__attrs_attrs__}
    if hasattr(value, "__dataclass_fields__"):
        names_of = sys.modules["dataclasses"].fields
        named = ((f.metadata.get("column", f.name), f.name) for f in names_of(value))
        return {column: getattr(value, name) for column, name in named}
    fields: dict[str, Any] = value._asdict()
    return fields


def describe(value: Any) -> str:
    """A value for a message: its type and, cut short, itself."""
    if type(value).__module__ == _ANSWERS:
        return f"a whole {type(value).__name__} (what it holds is in its .data)"
    try:
        text = ascii(value)
    except (ValueError, RecursionError):  # an int of too many digits, or something endless
        return f"a very large {type(value).__name__}"
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"
