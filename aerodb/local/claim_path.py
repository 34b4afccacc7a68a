"""Where in a token the role stands: `jwt-role-claim-key`.

Two spellings, as in PostgREST 16: a JSONPath (RFC 9535) such as `$.realm.roles[?(@ == 'author')]`,
and the older one that starts without `$`, with its own filters (`==`, `!=`, `^==`, `==^`, `*==`).
Of JSONPath there is what can pick a role: members, indexes, slices, wildcards, descendants, and
filters made of one comparison, one `search()` or one existence test.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Step = Callable[[Any], Iterator[Any]]
Test = Callable[[Any], bool]
MISSING = object()

_NAME = re.compile(r"[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*")
_OLD_NAME = re.compile(r"[\w$@]+")
_INTEGER = re.compile(r"-?\d+")
_SLICE = re.compile(r"\s*(-?\d+)?\s*:\s*(-?\d+)?\s*(?::\s*(-?\d+)?\s*)?\]")
_STRING = re.compile(r"\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'")
_OLD_STRING = re.compile(r'"([^"]*)"')
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_OLD_FILTERS: dict[str, Callable[[str, str], bool]] = {
    "==^": lambda text, wanted: text.endswith(wanted),
    "^==": lambda text, wanted: text.startswith(wanted),
    "*==": lambda text, wanted: wanted in text,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True, slots=True)
class ClaimPath:
    """A compiled path; `first` returns the first value that it finds, or `MISSING`."""

    text: str
    steps: tuple[Step, ...]

    def first(self, claims: Any) -> Any:
        """Return the first value below `claims` that the path leads to."""
        return next(_walk(claims, self.steps), MISSING)


def parse_claim_path(text: str) -> ClaimPath:
    """Compile `text`; raise ValueError if it is neither a JSONPath nor the older spelling."""
    reader = _PathReader(text)
    try:
        steps = reader.json_path() if text.startswith("$") else reader.old_path()
    except ValueError as problem:
        raise ValueError(f"failed to parse role-claim-key value ({text}): {problem}") from None
    return ClaimPath(text, tuple(steps))


def _walk(value: Any, steps: tuple[Step, ...]) -> Iterator[Any]:
    if not steps:
        yield value
        return
    for found in steps[0](value):
        yield from _walk(found, steps[1:])


# --- steps ------------------------------------------------------------------------------------


def _member(name: str) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, dict) and name in value:
            yield value[name]

    return step


def _index(index: int) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, list) and -len(value) <= index < len(value):
            yield value[index]

    return step


def _slice(bounds: slice) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, list):
            yield from value[bounds]

    return step


def _children(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _descendants(value: Any) -> Iterator[Any]:
    yield value
    for child in _children(value):
        yield from _descendants(child)


def _filter(test: Test) -> Step:
    def step(value: Any) -> Iterator[Any]:
        return (child for child in _children(value) if test(child))

    return step


def _old_filter(matches: Callable[[str, str], bool], wanted: str) -> Step:
    """The first text that matches, and no other."""

    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, list):
            texts = (child for child in value if isinstance(child, str))
            yield from (text for text in texts if matches(text, wanted))

    return step


# --- parser -----------------------------------------------------------------------------------


class _PathReader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def json_path(self) -> list[Step]:
        self._take("$")
        steps = self._segments()
        self._end()
        return steps

    def old_path(self) -> list[Step]:
        steps: list[Step] = []
        while self._at < len(self._text):
            if self._skip("."):
                quoted = self._match(_OLD_STRING)
                name = quoted[1] if quoted else self._need(_OLD_NAME, "a name")[0]
                steps.append(_member(name))
            elif self._skip("[?("):
                steps.append(self._old_condition())
                self._take(")]")
                self._end()
            else:
                self._take("[")
                steps.append(_index(int(self._need(re.compile(r"\d+"), "an index")[0])))
                self._take("]")
        if not steps:
            raise ValueError("the path is empty")
        return steps

    def _old_condition(self) -> Step:
        self._take("@")
        self._blank()
        matches = self._operator(_OLD_FILTERS)
        self._blank()
        return _old_filter(matches, self._need(_OLD_STRING, "a quoted text")[1])

    def _segments(self) -> list[Step]:
        steps: list[Step] = []
        while self._at < len(self._text):
            if self._skip(".."):
                steps.append(_descendants)
                steps.append(self._bracket() if self._skip("[") else self._dotted())
            elif self._skip("."):
                steps.append(self._dotted())
            elif self._skip("["):
                steps.append(self._bracket())
            else:
                break
        return steps

    def _dotted(self) -> Step:
        return _children if self._skip("*") else _member(self._need(_NAME, "a name")[0])

    def _bracket(self) -> Step:
        self._blank()
        bounds = self._match(_SLICE)
        if bounds:
            numbers = [None if group is None else int(group) for group in bounds.groups()]
            return _slice(slice(*numbers))
        if self._skip("*"):
            step: Step = _children
        elif self._skip("?"):
            step = _filter(self._condition())
        elif name := self._match(_STRING):
            step = _member(_unquote(name))
        else:
            step = _index(int(self._need(_INTEGER, "an index, a name or a filter")[0]))
        self._blank()
        self._take("]")
        return step

    def _condition(self) -> Test:
        self._blank()
        if self._skip("("):
            test = self._condition()
            self._blank()
            self._take(")")
            return test
        if self._skip("!"):
            inner = self._condition()
            return lambda child: not inner(child)
        if self._skip("search("):
            return self._search()
        left = self._operand()
        self._blank()
        compare = self._operator(_COMPARISONS, required=False)
        if compare is None:
            return lambda child: left(child) is not MISSING
        self._blank()
        right = self._operand()
        return lambda child: _compare(compare, left(child), right(child))

    def _search(self) -> Test:
        left = self._operand()
        self._blank()
        self._take(",")
        self._blank()
        pattern = re.compile(_unquote(self._need(_STRING, "a regular expression")))
        self._blank()
        self._take(")")

        def test(child: Any) -> bool:
            value = left(child)
            return isinstance(value, str) and pattern.search(value) is not None

        return test

    def _operand(self) -> Callable[[Any], Any]:
        self._blank()
        if self._skip("@"):
            path = ClaimPath("", tuple(self._segments()))
            return path.first
        if quoted := self._match(_STRING):
            return _constant(_unquote(quoted))
        for word, constant in (("true", True), ("false", False), ("null", None)):
            if self._skip(word):
                return _constant(constant)
        return _constant(json.loads(self._need(_NUMBER, "a value")[0]))

    def _operator(self, known: dict[str, Any], *, required: bool = True) -> Any:
        for sign, meaning in known.items():
            if self._skip(sign):
                return meaning
        if required:
            raise ValueError(f"a comparison is expected at position {self._at}")
        return None

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self._text, self._at)
        if found:
            self._at = found.end()
        return found

    def _need(self, pattern: re.Pattern[str], what: str) -> re.Match[str]:
        found = self._match(pattern)
        if found is None:
            raise ValueError(f"{what} is expected at position {self._at}")
        return found

    def _skip(self, text: str) -> bool:
        if self._text.startswith(text, self._at):
            self._at += len(text)
            return True
        return False

    def _take(self, text: str) -> None:
        if not self._skip(text):
            raise ValueError(f"{text!r} is expected at position {self._at}")

    def _blank(self) -> None:
        while self._skip(" "):
            pass

    def _end(self) -> None:
        if self._at != len(self._text):
            raise ValueError(f"nothing more is expected at position {self._at}")


def _constant(value: Any) -> Callable[[Any], Any]:
    return lambda child: value


def _unquote(found: re.Match[str]) -> str:
    if found[1] is not None:
        return str(json.loads(f'"{found[1]}"'))
    return str(json.loads('"' + found[2].replace("\\'", "'").replace('"', '\\"') + '"'))


def _compare(compare: Callable[[Any, Any], Any], left: Any, right: Any) -> bool:
    """Order is defined between two texts or two numbers, equality between any (RFC 9535 §2.3.5)."""
    if compare in (operator.eq, operator.ne):
        same = type(left) is type(right) or _both_numbers(left, right)
        equal = left is right or (same and left == right)
        return equal if compare is operator.eq else not equal
    if (isinstance(left, str) and isinstance(right, str)) or _both_numbers(left, right):
        return bool(compare(left, right))
    return False


def _both_numbers(left: Any, right: Any) -> bool:
    return all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in (left, right)
    )
