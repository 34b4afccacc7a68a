"""The parts of PostgREST's query grammar, read character by character; for tests.

See `postgrest_grammar.py`, which reads whole queries with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SIMPLE = ("neq", "cs", "cd", "ov", "sl", "sr", "nxr", "nxl", "adj", "isdistinct")
QUANTIFIED = ("eq", "gte", "gt", "lte", "lt", "like", "ilike", "match", "imatch")
TEXT_SEARCH = ("fts", "plfts", "phfts", "wfts")
IS_WORDS = ("null", "not_null", "true", "false", "unknown")
RESERVED = ("select", "columns", "on_conflict")
RESERVED_LAST = ("order", "limit", "offset", "and", "or")


class GrammarError(Exception):
    """PostgREST would not understand this."""


@dataclass(frozen=True)
class Field:
    """A column, the embedded tables that lead to it, and the JSON steps behind it."""

    name: str
    path: tuple[str, ...] = ()
    json: tuple[tuple[str, str | int], ...] = ()


@dataclass(frozen=True)
class Filter:
    """One condition. `value` is text, a list of texts for `in`, a word for `is`."""

    field: Field
    negated: bool
    operator: str
    value: Any
    modifier: str | None = None


@dataclass(frozen=True)
class Tree:
    """Conditions under `and` or `or`."""

    operator: str
    negated: bool
    members: tuple[Any, ...]
    path: tuple[str, ...] = ()


@dataclass(frozen=True)
class Item:
    """One item of a select list."""

    field: Field
    alias: str | None = None
    cast: str | None = None
    aggregate: str | None = None


@dataclass(frozen=True)
class Related:
    """An embedded table of a select list."""

    name: str
    items: tuple[Any, ...]
    alias: str | None = None
    hint: str | None = None
    join: str | None = None
    spread: bool = False


@dataclass(frozen=True)
class Term:
    """One term of an order."""

    field: Field
    direction: str | None = None
    nulls: str | None = None
    relation: str | None = None


class Reader:
    """A text and how far it was read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def peek(self, count: int = 1) -> str:
        return self.text[self.at : self.at + count]

    def take(self, literal: str) -> bool:
        if self.text.startswith(literal, self.at):
            self.at += len(literal)
            return True
        return False

    def expect(self, literal: str) -> None:
        if not self.take(literal):
            raise GrammarError(f"expected {literal!r} at {self.at} of {self.text!r}")

    def spaces(self) -> None:
        while self.peek() in (" ", "\t"):
            self.at += 1

    def lexeme(self, literal: str) -> None:
        self.spaces()
        self.expect(literal)
        self.spaces()

    @property
    def done(self) -> bool:
        return self.at >= len(self.text)

    def end(self) -> None:
        if not self.done:
            raise GrammarError(f"unexpected {self.peek()!r} at {self.at} of {self.text!r}")

    def until(self, stops: str) -> str:
        start = self.at
        while not self.done and self.peek() not in stops:
            self.at += 1
        return self.text[start : self.at]

    def quoted(self) -> str:
        self.expect('"')
        found = ""
        while True:
            if self.done:
                raise GrammarError("a quote is not closed")
            char = self.peek()
            self.at += 1
            if char == '"':
                return found
            if char == "\\":
                char = self.peek()
                self.at += 1
                if not char:
                    raise GrammarError("a backslash at the end")
            found += char

    # --- names

    def name(self) -> str:
        if self.peek() == '"':
            return self.quoted()
        return self._dashed(lambda c: c.isalpha() or c in "_ $" or (c.isascii() and c.isdigit()))

    def json_key(self) -> str:
        if self.peek() == '"':
            return self.quoted()
        return self._dashed(lambda c: c not in "(-:.,>)")

    def _dashed(self, allowed: Any) -> str:
        parts = []
        while True:
            start = self.at
            while not self.done and allowed(self.peek()):
                self.at += 1
            if start == self.at:
                raise GrammarError(f"expected a name at {self.at} of {self.text!r}")
            parts.append(self.text[start : self.at].strip())
            if self.peek() != "-" or self.peek(2) == "->":
                return "-".join(parts)
            self.at += 1

    def json_path(self) -> tuple[tuple[str, str | int], ...]:
        steps: list[tuple[str, str | int]] = []
        while True:
            if self.take("->>"):
                arrow = "->>"
            elif self.take("->"):
                arrow = "->"
            else:
                return tuple(steps)
            steps.append((arrow, self._operand()))

    def _operand(self) -> str | int:
        start = self.at
        self.take("-")
        digits = self.at
        while self.peek().isascii() and self.peek().isdigit():
            self.at += 1
        follows = self.peek(2)
        if self.at > digits and (follows in ("->", "::", "") or follows[0] in ".,"):
            return int(self.text[start : self.at])
        self.at = start
        return self.json_key()

    def field(self) -> Field:
        self.spaces()
        found = Field(self.name(), (), self.json_path())
        self.spaces()
        return found

    # --- conditions

    def condition(self, field: Field, single: Any) -> Filter:
        negated = self.take("not.")
        if self.take("in."):
            return Filter(field, negated, "in", self.list_of_values())
        if self.take("is."):
            for word in IS_WORDS:
                if self.text[self.at :].lower().startswith(word):
                    self.at += len(word)
                    return Filter(field, negated, "is", word)
            raise GrammarError(f"no word of is: {self.text[self.at :]!r}")
        for name in TEXT_SEARCH:
            if self.take(name):
                config = None
                if self.take("("):
                    config = self.until(")")
                    self.expect(")")
                self.expect(".")
                return Filter(field, negated, name, single(), config)
        for name in SIMPLE:
            if self.take(name + "."):
                return Filter(field, negated, name, single())
        for name in QUANTIFIED:
            for quantifier in ("", "(any)", "(all)"):
                if self.take(f"{name}{quantifier}."):
                    return Filter(field, negated, name, single(), quantifier[1:-1] or None)
        raise GrammarError(f"no operator: {self.text[self.at :]!r}")

    def rest(self) -> str:
        found = self.text[self.at :]
        self.at = len(self.text)
        return found

    def list_of_values(self) -> list[str]:
        self.lexeme("(")
        values = [self.element()]
        while self.take(","):
            values.append(self.element())
        self.lexeme(")")
        return [] if values == [""] else values  # as the server reads in.() and in.("")

    def element(self) -> str:
        return self._maybe_quoted()

    def _maybe_quoted(self) -> str:
        start = self.at
        if self.peek() == '"':
            try:
                found = self.quoted()
            except GrammarError:
                self.at = start
            else:
                if self.done or self.peek() in ",)":
                    return found
                self.at = start
        return self.until(",)")

    def tree_value(self) -> str:
        start = self.at
        if self.peek() == "{":
            self.at += 1
            inner = self.until("{}")
            if self.take("}"):
                return "{" + inner + "}"
            self.at = start
        return self._maybe_quoted()

    def tree(self) -> Filter | Tree:
        start = self.at
        try:
            field = self.field()
            self.expect(".")
            return self.condition(field, self.tree_value)
        except GrammarError:
            self.at = start
        negated = self.take("not.")
        operator = "and" if self.take("and") else "or"
        if operator == "or":
            self.expect("or")
        self.lexeme("(")
        members = [self.tree()]
        while True:
            self.spaces()
            if not self.take(","):
                break
            self.spaces()
            members.append(self.tree())
        self.lexeme(")")
        return Tree(operator, negated, tuple(members))

    # --- select and order

    def forest(self) -> tuple[Any, ...]:
        items: list[Any] = []
        if self.done or self.peek() == ")":
            return ()
        while True:
            self.spaces()
            items.append(self.item())
            self.spaces()
            if not self.take(","):
                return tuple(items)

    def item(self) -> Item | Related:
        if self.take("*"):
            return Item(Field("*"))
        spread = self.take("...")
        alias = None if spread else self._alias()
        if (alias is None and self.take("count()")) or (alias is not None and self.take("count()")):
            return Item(Field("*"), alias, self._cast(), "count")
        name = self.name()
        embedded = self._embedded(name, alias, spread)
        if embedded is not None:
            return embedded
        field = Field(name, (), self.json_path())
        cast = self._cast()
        aggregate = None
        if self.take("."):
            aggregate = self.until("(")
            self.expect("()")
        return Item(field, alias, cast, aggregate)

    def _alias(self) -> str | None:
        start = self.at
        try:
            name = self.name()
        except GrammarError:
            name = ""
        if name and self.peek() == ":" and self.peek(2) != "::":
            self.at += 1
            return name
        self.at = start
        return None

    def _cast(self) -> str | None:
        if not self.take("::"):
            return None
        start = self.at
        while not self.done and (self.peek().isalnum() or self.peek() in "_ $"):
            self.at += 1
        return self.text[start : self.at].strip()

    def _embedded(self, name: str, alias: str | None, spread: bool) -> Related | None:
        start = self.at
        hint = join = None
        while self.take("!"):
            word = self.name()
            if word in ("left", "inner"):
                join = word
            else:
                hint = word
        if not self.take("("):
            self.at = start
            return None
        items = self.forest()
        self.expect(")")
        return Related(name, items, alias, hint, join, spread)

    def order(self) -> tuple[Term, ...]:
        terms = [self.term()]
        while self.take(","):
            terms.append(self.term())
        self.end()
        return tuple(terms)

    def term(self) -> Term:
        self.spaces()
        name = self.name()
        relation = None
        if self.take("("):
            relation, field = name, self.field()
            self.expect(")")
        else:
            field = Field(name, (), self.json_path())
        direction = "asc" if self.take(".asc") else "desc" if self.take(".desc") else None
        nulls = None
        for word in ("nullsfirst", "nullslast"):
            if self.take("." + word):
                nulls = word
        return Term(field, direction, nulls, relation)
