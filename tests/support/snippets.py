"""The fenced code of the documentation: found, and run for real.

The Python snippets of one document share their names, in the order of the text, as a reader would
type them. A comment before the fence says what is special about a snippet; the markers are:

    <!-- snippet: in a notebook -->       run while an event loop runs
    <!-- snippet: pytest -->              a test file of its own
    <!-- snippet: errors are shown -->    responses with an error belong to it
    <!-- snippet: not run, because ... -->
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from aerodb import AeroDBClient, AsyncAeroDBClient
from aerodb.sync import QueryBuilder
from aerodb.types import AeroDBResponse

PLACEHOLDERS = ("http://127.0.0.1:54321", "aero_pk_...", "aero_sk_...")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARKER = re.compile(r"<!-- snippet: (.+?) -->\n\Z")
_MARKERS = re.compile(r"in a notebook|pytest|errors are shown|not run, because \S+ .+")


@dataclass(frozen=True, slots=True)
class Snippet:
    """One fenced block. `line` is that of its first line of code."""

    document: Path
    line: int
    language: str
    code: str
    marker: str = ""

    def __str__(self) -> str:
        return f"{self.document.name}:{self.line}"


def snippets_of(document: Path) -> list[Snippet]:
    """Every fenced block of a document, in order; an unknown marker is an error."""
    text = document.read_text(encoding="utf-8")
    found = []
    for fence in _FENCE.finditer(text):
        marker = _MARKER.search(text, 0, fence.start())
        said = marker[1] if marker else ""
        line = text.count("\n", 0, fence.start()) + 2
        assert not said or _MARKERS.fullmatch(said), f"{document.name}:{line}: {said}"
        found.append(Snippet(document, line, fence[1], fence[2], said))
    assert text.count("\n```") == 2 * len(found), f"{document.name}: a fence that is not closed"
    assert text.count("<!-- snippet:") == sum(1 for one in found if one.marker)
    return found


class Runner:
    """Runs the Python snippets of one document, and watches what they make.

    Every value that a snippet makes goes through `_seen`: a response must have no error, and a
    query that only reads is executed, so that the server has its say about it.
    """

    def __init__(self, name: str, url: str, anon_key: str, service_key: str) -> None:
        self._replace = dict(zip(PLACEHOLDERS, (url, anon_key, service_key), strict=True))
        self._module = ModuleType(name)
        self._module.__dict__["_seen"] = self._seen
        self._loop = asyncio.Runner()
        self._errors: list[str] = []
        self.values: dict[str, Any] = self._module.__dict__

    def __enter__(self) -> Runner:
        sys.modules[self._module.__name__] = self._module  # dataclasses look their module up
        return self

    def __exit__(self, *exc_info: object) -> None:
        del sys.modules[self._module.__name__]
        for value in self.values.values():
            if not isinstance(value, AeroDBClient | AsyncAeroDBClient):
                continue
            closing = value.close()
            if inspect.isawaitable(closing):
                self._loop.run(_awaited(closing))
        self._loop.close()

    def run(self, snippet: Snippet) -> None:
        """Run one snippet; raise what it raises, with the document's own line numbers."""
        self._errors.clear()
        code = self._compiled(snippet)
        if snippet.marker == "in a notebook" or code.co_flags & inspect.CO_COROUTINE:
            self._loop.run(_in_loop(code, self.values))
        else:
            exec(code, self.values)
        if snippet.marker == "errors are shown":
            assert self._errors, f"{snippet}: there is no error to be shown"
        else:
            assert not self._errors, f"{snippet}: " + "\n".join(self._errors)

    def _compiled(self, snippet: Snippet) -> CodeType:
        text = snippet.code
        for placeholder, real in self._replace.items():
            text = text.replace(placeholder, real)
        tree = ast.fix_missing_locations(_Watching().visit(ast.parse(text)))
        ast.increment_lineno(tree, snippet.line - 1)
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        compiled = compile(tree, str(snippet.document), "exec", flags, dont_inherit=True)
        assert isinstance(compiled, CodeType)
        return compiled

    def _seen(self, value: Any, line: int) -> Any:
        answer = value
        if isinstance(value, QueryBuilder) and value.to_request().method in ("GET", "HEAD"):
            answer = value.execute()
        if isinstance(answer, AeroDBResponse) and answer.error is not None:
            self._errors.append(f"line {line}: {answer.error}")
        return value


class _Watching(ast.NodeTransformer):
    """Hands the value of every statement to `_seen`, wherever the statement is."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr:
        if not isinstance(node.value, ast.Constant):
            node.value = _handed_over(node.value)
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.Assign:
        node.value = _handed_over(node.value)
        return node


def _handed_over(value: ast.expr) -> ast.Call:
    name = ast.Name("_seen", ast.Load())
    return ast.Call(name, [value, ast.Constant(value.lineno)], [])


async def _in_loop(code: CodeType, values: dict[str, Any]) -> None:
    result = eval(code, values)
    if inspect.isawaitable(result):
        await result


async def _awaited(what: Any) -> Any:
    return await what


def commands_of(snippet: Snippet) -> Iterator[str]:
    """The lines of a console snippet that are typed: after `$ `, without comments."""
    for line in snippet.code.splitlines():
        if line.startswith("$ "):
            yield re.split(r"\s{2,}#", line[2:])[0].strip()
