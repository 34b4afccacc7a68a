"""Cutting an SQL file into its statements, as `psql` would.

Files that people bring are often dumps: they hold `COPY ... FROM stdin` with the rows right below,
and lines for `psql` that start with a backslash. Sending statements one by one also lets a message
say in which line the trouble is, and lets a file hold what cannot run among others
(`CREATE INDEX CONCURRENTLY`). Quoting rules: PostgreSQL documentation, "Lexical Structure".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from aerodb.local.errors import LocalError

_TOKEN = re.compile(
    r"""
      (?P<comment>--[^\n]*)
    | (?P<block>/\*)
    | (?P<escaped>[eE]'(?:[^'\\]|\\.|'')*')
    | (?P<string>'(?:[^']|'')*')
    | (?P<quoted>"(?:[^"]|"")*")
    | (?P<dollar>\$(?:[^\W\d]\w*)?\$)
    | (?P<word>[^\W\d][\w$]*)
    | (?P<number>\d[\w.]*)
    | (?P<open>[(\[])
    | (?P<close>[)\]])
    | (?P<end>;)
    | (?P<meta>\\[^\n]*)
    | (?P<space>\s+)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_BLOCK_EDGE = re.compile(r"/\*|\*/")
_COPY_FROM_STDIN = re.compile(r"\bfrom\s+stdin\b", re.IGNORECASE)
_COPY_END = re.compile(r"^\\\.[ \t]*\r?$", re.MULTILINE)
# What only changes how psql itself talks, or guards it, has no meaning here.
_IGNORED_META = frozenset(
    (
        *("\\restrict", "\\unrestrict", "\\set", "\\unset", "\\echo", "\\qecho", "\\warn"),
        *("\\pset", "\\timing", "\\encoding", "\\x", "\\t", "\\a", "\\o", "\\errverbose"),
    )
)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement; `rows` is what follows a `COPY ... FROM stdin`."""

    text: str
    line: int
    rows: str | None = None


@dataclass(frozen=True, slots=True)
class Include:
    """`\\i path` or `\\ir path`: statements of another file stand here."""

    path: str
    line: int


def split_statements(source: str, name: str = "SQL") -> Iterator[Statement | Include]:
    """Yield the statements of `source` in order. `name` is what error messages call it."""
    reader = _Reader(source, name)
    while (found := reader.next()) is not None:
        yield found


class _Reader:
    def __init__(self, source: str, name: str) -> None:
        self._source = source
        self._name = name
        self._at = 0

    def next(self) -> Statement | Include | None:
        self._skip_blank()
        if self._at >= len(self._source):
            return None
        start, words, depth, atomic = self._at, list[str](), 0, 0
        while self._at < len(self._source):
            token = _TOKEN.match(self._source, self._at)
            assert token is not None  # `other` takes any character
            kind, begin, self._at = token.lastgroup, self._at, token.end()
            if kind == "block":
                self._skip_block_comment()
            elif kind == "dollar":
                self._skip_to(token[0], begin)
            elif kind == "word":
                words = [*words, token[0].lower()] if len(words) < 4 else words
                atomic += _atomic_step(token[0].lower(), words, atomic)
            elif kind == "open":
                depth += 1
            elif kind == "close":
                depth = max(0, depth - 1)
            elif kind == "end" and depth == 0 and atomic == 0:
                return self._statement(start, begin, words)
            elif kind == "meta" and begin == start:
                return self._meta(token[0], begin)
            elif kind == "other" and token[0] in "'\"":
                raise self._problem(begin, "a quote is opened and never closed")
        return self._statement(start, self._at, words)

    def _statement(self, start: int, end: int, words: list[str]) -> Statement:
        text, line = self._source[start:end].rstrip(), self._line(start)
        if words[:1] == ["copy"] and _COPY_FROM_STDIN.search(text):
            newline = self._source.find("\n", self._at)
            stop = _COPY_END.search(self._source, newline + 1) if newline >= 0 else None
            if stop is None:
                raise self._problem(start, r"COPY FROM stdin is not followed by rows and `\.`")
            self._at = stop.end()
            return Statement(text, line, self._source[newline + 1 : stop.start()])
        return Statement(text, line)

    def _meta(self, text: str, begin: int) -> Statement | Include | None:
        command, _, rest = text.strip().partition(" ")
        if command in ("\\i", "\\ir", "\\include", "\\include_relative"):
            return Include(rest.strip().strip("'"), self._line(begin))
        if command in _IGNORED_META:
            return self.next()
        raise self._problem(begin, f"{command} is a command of psql, not SQL")

    def _skip_blank(self) -> None:
        while True:
            token = _TOKEN.match(self._source, self._at)
            if token is None or token.lastgroup not in ("space", "comment", "block", "end"):
                return
            self._at = token.end()
            if token.lastgroup == "block":
                self._skip_block_comment()

    def _skip_block_comment(self) -> None:
        begin, depth = self._at, 1
        while depth:
            edge = _BLOCK_EDGE.search(self._source, self._at)
            if edge is None:
                raise self._problem(begin, "a comment is opened and never closed")
            depth += 1 if edge[0] == "/*" else -1
            self._at = edge.end()

    def _skip_to(self, delimiter: str, begin: int) -> None:
        end = self._source.find(delimiter, self._at)
        if end < 0:
            raise self._problem(begin, f"{delimiter} is opened and never closed")
        self._at = end + len(delimiter)

    def _line(self, position: int) -> int:
        return self._source.count("\n", 0, position) + 1

    def _problem(self, position: int, what: str) -> LocalError:
        return LocalError(f"{self._name}, line {self._line(position)}: {what}.")


def _atomic_step(word: str, words: list[str], depth: int) -> int:
    """Count the blocks of `CREATE FUNCTION ... BEGIN ATOMIC ...; END`, which hold semicolons."""
    if words[0] != "create" or not {"function", "procedure"}.intersection(words):
        return 0
    if word == "begin" or (word == "case" and depth):
        return 1
    return -1 if word == "end" and depth else 0
