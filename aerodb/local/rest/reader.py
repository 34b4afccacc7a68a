"""A backtracking reader of one text that remembers what it would have liked to see.

PostgREST reports a bad query string with a column and with what was expected there (PGRST100), and
clients show that text. The rules by which expectations are gathered are those of the Parsec family
of parsers: a failure merges with the failures of the alternatives that stopped at the same place,
and an alternative that has taken input wins over those that have not.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from functools import lru_cache
from typing import TypeVar

T = TypeVar("T")
Rule = Callable[["Reader"], T]

MAX_DEPTH = 40
"""Nested parentheses allowed in one parameter; PostgREST has no bound, a Python stack does."""


class Kind(IntEnum):
    """The order in which the parts of a complaint are told."""

    FOUND = 0  # the character that was there; "" is the end of input
    UNEXPECTED = 1
    EXPECTED = 2


Message = tuple[Kind, str]
Complaint = tuple[int, tuple[Message, ...]]
"""Where, and what is said about it."""


class Mismatch(Exception):
    """A rule did not match. Whether it took input is told by the reader's position."""

    def __init__(self, complaint: Complaint) -> None:
        super().__init__()
        self.complaint = complaint


def merge(first: Complaint, second: Complaint) -> Complaint:
    """The complaint that got further; both, if they stopped at the same place."""
    if not second[1]:
        return first if first[1] or first[0] >= second[0] else second
    if not first[1]:
        return second
    if first[0] == second[0]:
        return first[0], first[1] + second[1]
    return first if first[0] > second[0] else second


class Reader:
    """`text` from `position` on; `complaint` is what was said since input was last taken."""

    __slots__ = ("complaint", "depth", "position", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.depth = 0
        self.complaint: Complaint = (0, ())

    # --- single characters and words ---------------------------------------------------------

    def fail(self, *messages: Message) -> Mismatch:
        """The exception to raise when nothing of the input was taken."""
        return Mismatch(merge(self.complaint, (self.position, messages)))

    def found(self) -> Message:
        """What stands at the position, as a message."""
        here = self.text[self.position : self.position + 1]
        return Kind.FOUND, _quoted(here) if here else ""

    def character(self, wanted: str) -> str:
        """Exactly this character."""
        if self.text.startswith(wanted, self.position):
            self.take(1)
            return wanted
        raise self.fail(self.found(), (Kind.EXPECTED, _quoted(wanted)))

    def word(self, wanted: str) -> str:
        """Exactly this word; a part of it counts as input taken."""
        text, start = self.text, self.position
        if text.startswith(wanted, start):
            self.take(len(wanted))
            return wanted
        matched = 0
        while text[start + matched : start + matched + 1] == wanted[matched]:
            matched += 1
        there = text[start + matched : start + matched + 1]
        messages = ((Kind.FOUND, _quoted(there) if there else ""), (Kind.EXPECTED, _quoted(wanted)))
        if not matched:
            raise self.fail(*messages)
        self.position = start + matched
        raise Mismatch((start, messages))

    def any_of(self, accept: Callable[[str], bool], *expected: str) -> str:
        """One character that `accept` accepts."""
        here = self.text[self.position : self.position + 1]
        if here and accept(here):
            self.take(1)
            return here
        raise self.fail(self.found(), *((Kind.EXPECTED, name) for name in expected))

    def run_of(self, accept: Callable[[str], bool], *expected: str) -> str:
        """As many characters as `accept` accepts, perhaps none."""
        text, start = self.text, self.position
        stop = start
        while stop < len(text) and accept(text[stop]):
            stop += 1
        before = self.complaint
        self.position = stop
        own: Complaint = (stop, (self.found(), *((Kind.EXPECTED, name) for name in expected)))
        self.complaint = own if stop > start else merge(before, own)
        return text[start:stop]

    def run_of_some(self, accept: Callable[[str], bool], *expected: str) -> str:
        """As `run_of`, at least one."""
        taken = self.run_of(accept, *expected)
        if not taken:
            raise Mismatch(self.complaint)
        return taken

    def take(self, count: int) -> None:
        """Move on, forgetting complaints about what lies behind."""
        self.position += count
        self.complaint = (self.position, ())

    def end(self) -> None:
        """The end of the text."""
        here = self.text[self.position : self.position + 1]
        ending = (Kind.EXPECTED, "end of input")
        if here:
            raise self.fail((Kind.UNEXPECTED, quote_character(here)), ending)
        self.complaint = merge(self.complaint, (self.position, ((Kind.FOUND, ""), ending)))

    # --- combinations ------------------------------------------------------------------------

    def attempt(self, rule: Rule[T]) -> T:
        """`rule`, giving back the input it took when it does not match."""
        start, before = self._enter()
        try:
            value = rule(self)
        except Mismatch as mismatch:
            self.position = start
            raise Mismatch(merge(before, mismatch.complaint)) from None
        self._leave(start, before)
        return value

    def either(self, *rules: Rule[T]) -> T:
        """The first rule that matches, unless one before it failed after taking input."""
        start, before = self._enter()
        gathered: Complaint = (start, ())
        for rule in rules:
            self.complaint = (start, ())
            try:
                value = rule(self)
            except Mismatch as mismatch:
                if self.position != start:
                    raise
                gathered = merge(gathered, mismatch.complaint)
                continue
            self._leave(start, merge(before, gathered))
            return value
        raise Mismatch(merge(before, gathered))

    def option(self, rule: Rule[T]) -> T | None:
        """`rule` or nothing."""
        return self.either(rule, _nothing)

    def label(self, name: str, rule: Rule[T]) -> T:
        """`rule`, called `name` in complaints when it takes no input."""
        start, before = self._enter()
        try:
            value = rule(self)
        except Mismatch as mismatch:
            if self.position != start:
                raise
            raise Mismatch(merge(before, _relabel(mismatch.complaint, name))) from None
        if self.position == start and self.complaint[1]:
            self.complaint = _relabel(self.complaint, name)
        self._leave(start, before)
        return value

    def many(self, rule: Rule[T]) -> list[T]:
        """`rule` as often as it matches."""
        begin, before = self._enter()
        values: list[T] = []
        while True:
            start = self.position
            self.complaint = (start, ())
            try:
                value = rule(self)
            except Mismatch as mismatch:
                if self.position != start:
                    raise
                self.complaint = mismatch.complaint
                break
            if self.position == start:
                break
            values.append(value)
        self._leave(begin, before)
        return values

    def separated(self, rule: Rule[T], separator: Rule[object]) -> list[T]:
        """One or more of `rule` with `separator` between them."""

        def another(reader: Reader) -> T:
            separator(reader)
            return rule(reader)

        first = rule(self)
        return [first, *self.many(another)]

    def ahead(self, rule: Rule[T]) -> T:
        """`rule` without taking its input."""
        start, before = self._enter()
        try:
            value = rule(self)
        except Mismatch as mismatch:
            if self.position != start:
                raise
            raise Mismatch(merge(before, mismatch.complaint)) from None
        self.position, self.complaint = start, before
        return value

    def not_ahead(self, rule: Rule[str]) -> None:
        """That the one character of `rule` does not come next."""
        start, before = self._enter()
        try:
            value = rule(self)
        except Mismatch as mismatch:
            self.position = start
            self.complaint = merge(before, mismatch.complaint)
            return
        said: Complaint = (self.position, ((Kind.UNEXPECTED, quote_character(value)),))
        self.position = start
        raise Mismatch(merge(before, said))

    def nested(self, rule: Rule[T]) -> T:
        """`rule` one level deeper, within `MAX_DEPTH`."""
        if self.depth >= MAX_DEPTH:
            raise self.fail((Kind.UNEXPECTED, f"more than {MAX_DEPTH} levels of nesting"))
        self.depth += 1
        try:
            return rule(self)
        finally:
            self.depth -= 1

    def _enter(self) -> tuple[int, Complaint]:
        state = self.position, self.complaint
        self.complaint = (self.position, ())
        return state

    def _leave(self, start: int, before: Complaint) -> None:
        """A complaint from before only counts while no input was taken."""
        if self.position == start:
            self.complaint = merge(before, self.complaint)


def _nothing(_: Reader) -> None:
    return None


def _relabel(complaint: Complaint, name: str) -> Complaint:
    kept = tuple(message for message in complaint[1] if message[0] is not Kind.EXPECTED)
    return complaint[0], (*kept, (Kind.EXPECTED, name))


# --- telling -------------------------------------------------------------------------------------

_CONTROL = (
    *("NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "a", "b", "t", "n", "v", "f", "r"),
    *("SO", "SI", "DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM"),
    *("SUB", "ESC", "FS", "GS", "RS", "US"),
)


def _escape(character: str, quote_mark: str) -> str:
    code = ord(character)
    if character in ("\\", quote_mark):
        return "\\" + character
    if code < 0x20:
        return "\\" + _CONTROL[code]
    if code == 0x7F:
        return "\\DEL"
    return character if code < 0x7F else f"\\{code}"


def quote(text: str) -> str:
    """In double quotes, control and non-ASCII characters escaped as PostgREST prints them."""
    return '"' + "".join(_escape(character, '"') for character in text) + '"'


_quoted = lru_cache(maxsize=512)(quote)
"""For single characters and the words of the grammar: a parse fails at them again and again."""


def quote_character(character: str) -> str:
    """In single quotes, likewise."""
    return "'" + _escape(character, "'") + "'"


def place(text: str, position: int) -> str:
    """`(line 1, column 4)`; a tab stops at every eighth column."""
    line, column = 1, 1
    for character in text[:position]:
        if character == "\n":
            line, column = line + 1, 1
        elif character == "\t":
            column += 8 - (column - 1) % 8
        else:
            column += 1
    return f"(line {line}, column {column})"


def describe(complaint: Complaint) -> str:
    """`unexpected "x" expecting "a", "b" or end of input`, on one line."""
    by_kind = {kind: [text for k, text in complaint[1] if k is kind] for kind in Kind}
    parts: list[str] = []
    if by_kind[Kind.UNEXPECTED]:
        parts.append("unexpected " + _listed(by_kind[Kind.UNEXPECTED]))
    elif by_kind[Kind.FOUND]:
        parts.append("unexpected " + (by_kind[Kind.FOUND][0] or "end of input"))
    expected = _listed(by_kind[Kind.EXPECTED])
    if expected:
        parts.append("expecting " + expected)
    return " ".join(parts) if complaint[1] else "unknown parse error"


def _listed(texts: list[str]) -> str:
    distinct = list(dict.fromkeys(text for text in texts if text))
    if len(distinct) < 2:
        return "".join(distinct)
    return ", ".join(distinct[:-1]) + " or " + distinct[-1]
