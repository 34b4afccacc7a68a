"""Write docs/reference.md, the reference of all public names, from their docstrings.

    python scripts/reference.py            write it if it is stale
    python scripts/reference.py --check    write nothing; exit 1 if it would change

The text of a docstring goes in as it stands, in a fence: it is laid out for a terminal. Of the two
twins the blocking one is shown; in the other one the same methods are awaited.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "reference.md"
sys.path.insert(0, str(ROOT))

SERVICES = (
    ("aerodb.sync.database.query", "QueryBuilder"),
    ("aerodb.sync.auth", "AuthClient"),
    ("aerodb.sync.functions", "FunctionsClient"),
    ("aerodb.sync.functions", "FunctionStream"),
    ("aerodb.sync.storage", "StorageClient"),
    ("aerodb.sync.storage", "StorageBucket"),
    ("aerodb.sync.realtime", "RealtimeClient"),
    ("aerodb.sync.realtime", "RealtimeChannel"),
    ("aerodb.local", "LocalServer"),
)
WIDTH = 60
HEAD = """\
# Reference

<!-- written by scripts/reference.py: do not edit -->

Every public name with its docstring. The blocking client is shown; the methods of
`AsyncAeroDBClient` and its services have the same names and arguments, and are awaited.
The guides say how things go together: [the index](index.md) lists them.
"""


def render() -> str:
    """The whole document."""
    import aerodb

    parts = [HEAD, "## The package `aerodb`\n"]
    for name in aerodb.__all__:
        if name not in ("AsyncAeroDBClient", "__version__"):
            parts += _entry(name, getattr(aerodb, name))
    parts.append("## Services\n")
    for module, name in SERVICES:
        parts += _entry(name, getattr(importlib.import_module(module), name))
    return "\n".join(parts).rstrip("\n") + "\n"


def _entry(name: str, thing: Any) -> Iterator[str]:
    yield f"### {name}\n"
    yield _fenced(f"{_kind(thing)}{name}{_signature(thing)}", inspect.getdoc(thing))
    if inspect.isclass(thing):
        for own, member in sorted(_members(thing).items()):
            yield f"#### {name}.{own}\n"
            function = member.fget if isinstance(member, property) else member
            sign = "" if isinstance(member, property) else _signature(function)
            yield _fenced(f"{own}{sign}", inspect.getdoc(function))


def _members(kind: type) -> dict[str, Any]:
    """The public methods and properties that have a docstring, its bases' too."""
    found: dict[str, Any] = {}
    for base in kind.__mro__:
        if not base.__module__.startswith("aerodb"):
            continue
        for name, member in vars(base).items():
            plain = member.__func__ if isinstance(member, classmethod | staticmethod) else member
            shown = inspect.isfunction(plain) or isinstance(plain, property)
            if shown and not name.startswith("_") and plain.__doc__:
                found.setdefault(name, plain)
    return found


def _kind(thing: Any) -> str:
    return "class " if inspect.isclass(thing) else ""


def _signature(thing: Any) -> str:
    """As it stands in the source; nothing where there is none worth showing."""
    if inspect.isclass(thing) and (
        issubclass(thing, BaseException) or "__init__" not in vars(thing)
    ):
        return ""
    try:
        found = inspect.signature(thing)
    except (TypeError, ValueError):
        return ""
    kept = [
        one.replace(annotation=_bare(one.annotation))
        for one in found.parameters.values()
        if one.name not in ("self", "cls")
    ]
    gives = inspect.Signature.empty if inspect.isclass(thing) else _bare(found.return_annotation)
    shown = str(found.replace(parameters=kept, return_annotation=gives))
    return _over_lines(found.replace(parameters=kept, return_annotation=gives), shown)


class _Bare:
    """An annotation that shows as it stands in the source, without quotes."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _bare(annotation: Any) -> Any:
    return _Bare(annotation) if isinstance(annotation, str) else annotation


def _over_lines(signature: inspect.Signature, shown: str) -> str:
    """A long signature has a line for each parameter, as in the source."""
    if len(shown) <= WIDTH:
        return shown
    lines: list[str] = []
    keyword_only = False
    for one in signature.parameters.values():
        if one.kind is one.KEYWORD_ONLY and not keyword_only:
            keyword_only = True
            lines.append("    *,")
        lines.append(f"    {one},")
    end = shown[shown.rindex(") -> ") :] if ") -> " in shown else ")"
    return "(\n" + "\n".join(lines) + f"\n{end}"


def _fenced(sign: str, text: str | None) -> str:
    body = f"{sign}\n\n{text}" if text else sign
    return f"```text\n{body}\n```\n"


def main() -> int:
    """Write or check; the exit code."""
    parser = argparse.ArgumentParser(description="Write docs/reference.md.")
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    text = render()
    if TARGET.exists() and TARGET.read_text(encoding="utf-8") == text:
        return 0
    if check:
        print("docs/reference.md is stale: run python scripts/reference.py")
        return 1
    TARGET.write_text(text, encoding="utf-8")
    print("wrote docs/reference.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
