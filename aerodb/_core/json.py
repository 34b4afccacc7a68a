"""Strict JSON, both ways, the same on every Python and with or without msgspec.

`dumps` writes what Python programs hold (dates, UUIDs, Decimals, models, bytes, ranges) and says
where the value is that it cannot write. `loads` reads UTF-8 only, no NaN, at most 128 levels
(wire-contract §1.9 S15), and integers of any length that PostgreSQL can hold. What is JSON but has
no good counterpart in Python is read as Python's own `json` reads it: a number beyond a float is
inf, an escaped half of a surrogate pair stays one. Columns of type `json` can hold both, and one
odd cell must not keep everybody from reading the rows beside it.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from json import JSONDecodeError, JSONDecoder, JSONEncoder
from json.encoder import encode_basestring
from typing import Any, NoReturn

from aerodb._core.values import (
    BadValue,
    decimal_text,
    describe,
    fields_of,
    float_text,
    integer_text,
    kind_of,
    member_of,
    text_of,
)

__all__ = ["MAX_DEPTH", "BadJSON", "dumps", "load_decoder", "loads", "loads_text"]

MAX_DEPTH = 128
_MAX_DIGITS = 131_072  # of PostgreSQL's numeric, before the decimal point


class BadJSON(ValueError):
    """The bytes are not the JSON we accept. Its text never holds the content."""


# --- writing ---------------------------------------------------------------------------------

_PLAIN = frozenset({str, int, float, bool, type(None)})
_encode = JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")
).encode


def dumps(value: Any) -> bytes:
    """Write `value` as compact UTF-8 JSON.

    Raises:
        BadValue: It holds something that JSON or PostgreSQL has no word for. The message names
            the place (`rows[3].price`), what was there and what was expected.
    """
    if _is_plain(value, MAX_DEPTH):
        try:
            return _encode(value).encode()
        except ValueError:
            pass  # NaN, a lone surrogate, a very long int: the careful way says where, or can
    parts: list[str] = []
    _Writer(parts).write(value, MAX_DEPTH)
    return "".join(parts).encode()


def _is_plain(value: Any, depth: int) -> bool:
    """Whether the C encoder may have it: exact built-in types, text keys, not too deep."""
    kind = type(value)
    if kind in _PLAIN:
        return True
    if depth <= 0:
        return False
    if kind is dict:
        try:
            "".join(value)  # the quickest way to see that every key is text
        except TypeError:
            return False
        members = value.values()
    elif kind is list or kind is tuple:
        members = value
    else:
        return False
    for member in members:
        if type(member) not in _PLAIN and not _is_plain(member, depth - 1):
            return False
    return True


class _Writer:
    """The careful encoder: any supported value, and the place of an unsupported one."""

    __slots__ = ("_parts", "_path")

    def __init__(self, parts: list[str]) -> None:
        self._parts = parts
        self._path: list[str | int] = []

    def write(self, value: Any, depth: int) -> None:
        kind = kind_of(value)
        try:
            if kind == "numpy":
                self.write(member_of(value), depth)
            elif kind == "enum":
                self.write(value.value, depth)
            elif kind == "model":
                self._object(fields_of(value), depth)
            elif kind == "mapping":
                self._object(value, depth)
            elif kind == "list":
                self._array(value, depth)
            else:
                self._parts.append(self._atom(value, kind))
        except _Placed:
            raise
        except BadValue as error:
            raise _Placed(f"{self._place()}: {error.message}") from None

    def _atom(self, value: Any, kind: Any) -> str:
        if kind == "none":
            return "null"
        if kind == "bool":
            return "true" if value else "false"
        if kind == "int":
            return integer_text(value)
        if kind == "float":
            return self._finite(float_text(value))
        if kind == "decimal":
            return self._finite(decimal_text(value))
        if kind == "unknown":
            raise BadValue(
                f"{describe(value)} was given, expected None, bool, int, float, Decimal, str, "
                "bytes, date, time, datetime, timedelta, UUID, Enum, Range, a list, a mapping "
                "or a model"
            )
        return self._text(text_of(value, kind))

    def _text(self, text: str) -> str:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise BadValue(
                f"text with a lone surrogate (U+{ord(text[error.start]):04X} at {error.start}) "
                "was given, expected text that UTF-8 can hold"
            ) from None
        return encode_basestring(text)

    def _finite(self, text: str) -> str:
        if "N" in text or "I" in text:  # NaN, Infinity
            raise BadValue(f"{text} was given, expected a finite number: JSON has no word for it")
        return text

    def _object(self, value: Any, depth: int) -> None:
        self._deeper(depth)
        separator = "{"
        for key, member in value.items():
            if not isinstance(key, str):
                raise BadValue(f"the key {describe(key)} was given, expected a str")
            self._parts.append(f"{separator}{self._text(str.__str__(key))}:")
            separator = ","
            self._path.append(key)
            self.write(member, depth - 1)
            self._path.pop()
        self._parts.append("}" if separator == "," else "{}")

    def _array(self, value: Any, depth: int) -> None:
        self._deeper(depth)
        separator = "["
        for index, member in enumerate(value):
            self._parts.append(separator)
            separator = ","
            self._path.append(index)
            self.write(member, depth - 1)
            self._path.pop()
        self._parts.append("]" if separator == "," else "[]")

    def _deeper(self, depth: int) -> None:
        if depth <= 0:
            raise BadValue(f"a value nested deeper than {MAX_DEPTH} levels was given")

    def _place(self) -> str:
        if not self._path:
            return "value"
        first = self._path[0]
        text = "".join(
            f"[{part}]" if isinstance(part, int) else f".{ascii(part)[1:-1]}"
            for part in self._path[:12]
        )
        more = "..." if len(self._path) > 12 else ""
        return ("value" if isinstance(first, int) else "") + text.removeprefix(".") + more


class _Placed(BadValue):
    """A `BadValue` that already says where."""


# --- reading ---------------------------------------------------------------------------------


def _refuse_constant(name: str) -> NoReturn:
    raise BadJSON(f"{name} is not JSON")


def _parse_int(digits: str) -> int:
    """`int()` without Python's limit on digits, with PostgreSQL's instead."""
    if len(digits) <= 4000:
        return int(digits)
    if len(digits) > _MAX_DIGITS + 1:
        raise BadJSON(f"a number of {len(digits)} digits: PostgreSQL has at most {_MAX_DIGITS}")
    sign, digits = (-1, digits[1:]) if digits[0] == "-" else (1, digits)
    value = 0
    for start in range(0, len(digits), 4000):
        part = digits[start : start + 4000]
        value = value * 10 ** len(part) + int(part)
    return sign * value


def _scanner(**hooks: Any) -> Callable[[str, int], tuple[Any, int]]:
    """The C scanner below `JSONDecoder.decode`, which spends more on spaces than on a small row."""
    decoder: Any = JSONDecoder(parse_constant=_refuse_constant, **hooks)
    scan: Callable[[str, int], tuple[Any, int]] = decoder.scan_once
    return scan


_scan = _scanner()
_scan_long = _scanner(parse_int=_parse_int)
_skip_space = re.compile(r"[ \t\n\r]*").match
_NOT_BRACKETS = bytes(set(range(256)) - set(b'[]{}"'))
_STRINGS = re.compile(rb'"[^"]*"?')

_fast: Callable[[bytes | str], Any] | None = None
_fast_known = False


def loads(body: bytes) -> Any:
    """Read one JSON value.

    Raises:
        BadJSON: The bytes are no UTF-8, no JSON, or nested deeper than 128 levels.
    """
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _too_deep(body):
        raise BadJSON(f"nested deeper than {MAX_DEPTH} levels")
    fast = _fast if _fast_known else _find_fast()
    if fast is not None:
        try:
            return fast(body)
        except (ValueError, RecursionError):
            pass  # the standard library has the last word, so that both ways agree
    try:
        return _loads_slow(body)
    except RecursionError:  # what is that deep and no valid JSON may get past the count above
        raise BadJSON(f"nested deeper than {MAX_DEPTH} levels") from None


def loads_text(text: str) -> Any:
    """As `loads`, from text that is decoded already: a frame of a WebSocket."""
    if text.count("[") + text.count("{") > MAX_DEPTH:
        return loads(text.encode("utf-8", "surrogatepass"))
    fast = _fast if _fast_known else _find_fast()
    try:
        if fast is not None:
            return fast(text)
        value, end = _scan(text, 0)
        if end == len(text):
            return value
    except (ValueError, RecursionError, StopIteration):
        pass  # spaces around it, a very long int, or an error: the careful way knows which
    return loads(text.encode("utf-8", "surrogatepass"))


def loads_exact(body: bytes) -> Any:
    """As `loads`, with fractions as Decimals: no digit is lost. Several times slower."""
    decimal = importlib.import_module("decimal").Decimal
    try:
        return _read(str(body, "utf-8"), _scanner(parse_float=decimal, parse_int=_parse_int))
    except (ValueError, RecursionError) as error:
        raise BadJSON(str(error)) from None
    except ArithmeticError:  # decimal.InvalidOperation
        raise BadJSON("a number with an exponent that no Decimal has") from None


def loads_members(body: bytes) -> tuple[list[Any], int]:
    """Read as many comma-separated values as are complete; also return where the last one ends.

    `body` ends just before a comma, so whatever parses is complete. It stops at what does not.
    """
    members: list[Any] = []
    used = 0
    try:
        text = str(body, "utf-8")
    except UnicodeDecodeError as error:
        text = str(body[: error.start], "utf-8")  # the bad byte will be met again, as a row
        text = text[: text.rfind(",") + 1]
    at = 0
    length = len(text)
    while at < length:
        try:
            value, end = _scan(text, _end(_skip_space(text, at)))
        except (StopIteration, ValueError, RecursionError):
            break
        if end < length and text[end] != ",":
            end = _end(_skip_space(text, end))
            if end < length and text[end] != ",":
                break
        members.append(value)
        used = end
        at = end + 1
    span = body[:used] if length == len(body) else text[:used].encode()
    if span.count(b"[") + span.count(b"{") >= MAX_DEPTH and _too_deep(b"[%b]" % span):
        raise BadJSON(f"nested deeper than {MAX_DEPTH} levels")
    return members, len(span)


def _loads_slow(body: bytes) -> Any:
    try:
        text = str(body, "utf-8")
    except UnicodeDecodeError as error:
        raise BadJSON(f"byte {error.start} is not UTF-8") from None
    try:
        return _read(text, _scan)
    except JSONDecodeError as error:
        raise BadJSON(f"{error.msg} at character {error.pos}") from None
    except BadJSON:
        raise
    except ValueError:  # an integer beyond Python's limit for int(str)
        return _read(text, _scan_long)


def _read(text: str, scan: Callable[[str, int], tuple[Any, int]]) -> Any:
    start = _end(_skip_space(text))
    try:
        value, end = scan(text, start)
    except StopIteration as stop:
        at = stop.value if isinstance(stop.value, int) else start
        raise JSONDecodeError("Expecting value", text, at) from None
    end = _end(_skip_space(text, end))
    if end != len(text):
        raise JSONDecodeError("Extra data", text, end)
    return value


def _end(match: re.Match[str] | None) -> int:
    return match.end() if match else 0


def _too_deep(body: bytes) -> bool:
    """Whether brackets nest deeper than `MAX_DEPTH`. Exact for any valid JSON.

    Everything but brackets and quotes goes, then the strings; then innermost pairs are struck out
    until nothing is left, which takes two or three passes over a few bytes a row.
    """
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    brackets = body.translate(None, _NOT_BRACKETS).replace(b'""', b"")
    if b'"' in brackets:
        brackets = _STRINGS.sub(b"", brackets)
    rest = brackets
    for _ in range(MAX_DEPTH // 2):  # a pass takes away one level or two
        shorter = rest.replace(b"{}", b"").replace(b"[]", b"")
        if not shorter:
            return False
        if len(shorter) == len(rest):
            break
        rest = shorter
    return _deepest(brackets) > MAX_DEPTH


def _deepest(brackets: bytes) -> int:
    depth = deepest = 0
    for bracket in brackets:
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def load_decoder() -> None:
    """Look for the faster decoder now, not at the first answer (see `_io.forks.loading`)."""
    if not _fast_known:
        _find_fast()


def _find_fast() -> Callable[[bytes | str], Any] | None:
    """msgspec's decoder if the extra `speedups` is installed. Looked for once, when needed."""
    global _fast, _fast_known
    from importlib.util import find_spec

    if find_spec("msgspec") is not None:
        _fast = importlib.import_module("msgspec.json").Decoder().decode
    _fast_known = True
    return _fast
