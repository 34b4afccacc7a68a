"""Write the two twins, and the blocking tests, from their one source.

    python scripts/generate.py            write what is missing or stale
    python scripts/generate.py --check    write nothing; exit 1 if anything would change

`aerodb_async_src` becomes `aerodb/aio` (the same text) and `aerodb/sync` (through unasync);
`tests/aio` becomes `tests/sync`. What holds for every file:

- Line N of the source is line N of both outputs, so a traceback in either is an address in the
  source. Only the first line differs: the source's mark becomes a note that names the source and
  a checksum of the rest, so that a file edited by hand is recognised and never overwritten.
- String literals are data and stay as they are. Triple-quoted text is prose: the words `async`
  and `await` and the prefix `Async` are taken out of it.
- Nothing asynchronous is left in a blocking file, and a rule that no file used is an error.

A check that found everything in order leaves a digest of all that it read, in `.cache`; the next
one only compares that. It covers every byte of sources, outputs and generator, so nothing can
change unseen.

Not named unasync.py: that would shadow the library it imports.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tokenize_rt
import unasync

ROOT = Path(__file__).resolve().parent.parent
MARK = "# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py"
SEEN = Path(".cache") / "generated"
NOTE = re.compile(r"# GENERATED from (\S+) by scripts/generate\.py \[([0-9a-f]{12})\]: do not edit")

LIBRARY_NAMES = {
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
    "StopAsyncIteration": "StopIteration",
    "on_asyncio": "on_threads",
}
TEST_NAMES = {"aio": "sync", "on_asyncio": "on_threads"}
PREFIX = "Async*"

_PREFIXED = re.compile(r"Async[A-Z]\w*")
_TRIPLE = re.compile(r"""[A-Za-z]{0,2}("{3}|'{3})""")
_PROSE = re.compile(r"\b(?:async|await)[ ]|\bAsync(?=[A-Z])")
_LEFT = re.compile(r"\basync\b|\bawait\b|\basyncio\b|\bAsync[A-Z]")


class GenerateError(Exception):
    """The source, a rule or an output does not meet the contract above."""


class Rule(unasync.Rule):  # type: ignore[misc]  # unasync is not typed
    """unasync with our table only, strings shielded, and a record of the rules used.

    The two methods are private in 0.6, hence the pin in pyproject.toml; this class is the only
    place that knows them.
    """

    def __init__(self, names: dict[str, str]) -> None:
        super().__init__("", "")
        self.token_replacements = dict(names)
        self.used: set[str] = set()

    def convert(self, source: str) -> str:
        tokens = [
            token._replace(name="SHIELDED") if token.name == "STRING" else token
            for token in tokenize_rt.src_to_tokens(source)
        ]
        converted: Iterable[Any] = self._unasync_tokens(tokens)
        text: str = tokenize_rt.tokens_to_src(_neutral_prose(token) for token in converted)
        return text

    def _unasync_name(self, name: str) -> str:
        if name in self.token_replacements:
            self.used.add(name)
            return self.token_replacements[name]
        if _PREFIXED.fullmatch(name):
            self.used.add(PREFIX)
            return name.removeprefix("Async")
        return name

    def unused(self) -> list[str]:
        return sorted({*self.token_replacements, PREFIX} - self.used)


def _neutral_prose(token: Any) -> Any:
    if token.name == "SHIELDED" and _TRIPLE.match(token.src):
        return token._replace(src=_PROSE.sub("", token.src))
    return token


@dataclass(frozen=True)
class Target:
    """One output tree. `rule` is None where the text is copied."""

    source: str
    output: str
    rule: Rule | None


@dataclass
class Plan:
    """All files as they should be, and what else lies where only they may lie."""

    files: dict[Path, str] = field(default_factory=dict[Path, str])
    orphans: list[Path] = field(default_factory=list[Path])


def targets() -> list[Target]:
    library, tests = Rule(LIBRARY_NAMES), Rule(TEST_NAMES)
    return [
        Target("aerodb_async_src", "aerodb/aio", None),
        Target("aerodb_async_src", "aerodb/sync", library),
        Target("tests/aio", "tests/sync", tests),
    ]


def render(text: str, origin: str, rule: Rule | None) -> str:
    """One output's text. `origin` is the path of its source, for the note and for messages."""
    first, newline, rest = text.partition("\n")
    if first != MARK or not newline:
        raise GenerateError(f"{origin}: the first line must be exactly: {MARK}")
    _check_f_strings(text, origin, rule)
    body = rest if rule is None else rule.convert(rest)
    if body.count("\n") != rest.count("\n"):
        raise GenerateError(f"{origin}: the generated file has another number of lines")
    if rule is not None:
        _check_left(body, origin)
    try:
        compile(body, origin, "exec", dont_inherit=True)
    except SyntaxError as error:
        raise GenerateError(f"{origin}: the generated file does not compile: {error}") from error
    return f"{_note(origin, body)}\n{body}"


def _note(origin: str, body: str) -> str:
    digest = hashlib.sha256(body.encode()).hexdigest()[:12]
    return f"# GENERATED from {origin} by scripts/generate.py [{digest}]: do not edit"


def _check_left(body: str, origin: str) -> None:
    """Nothing asynchronous may be left outside one-line string literals, which are data."""
    line = 1
    for token in tokenize_rt.src_to_tokens(body):
        is_data = token.name == "STRING" and not _TRIPLE.match(token.src)
        found = None if is_data else _LEFT.search(token.src)
        if found:
            number = line + token.src[: found.start()].count("\n") + 1
            raise GenerateError(f"{origin}:{number}: {found.group()!r} is left after generation")
        line += token.src.count("\n")


def _check_f_strings(text: str, origin: str, rule: Rule | None) -> None:
    """unasync leaves f-strings alone on Python 3.11 and converts them on 3.12: so no rule may
    apply inside one."""
    names: set[str] = set() if rule is None else set(rule.token_replacements)
    for outer in ast.walk(ast.parse(text)):
        if not isinstance(outer, ast.JoinedStr):
            continue
        for node in ast.walk(outer):
            name = getattr(node, "id", None) or getattr(node, "attr", None) or ""
            if isinstance(node, ast.Await) or name in names or _PREFIXED.fullmatch(name):
                raise GenerateError(
                    f"{origin}:{outer.lineno}: take await and async names out of the f-string"
                )


def make_plan(root: Path, trees: Sequence[Target]) -> Plan:
    plan = Plan()
    for target in trees:
        source, output = root / target.source, root / target.output
        for path in sorted(source.rglob("*.py")):
            origin = path.relative_to(root).as_posix()
            text = path.read_text(encoding="utf-8")
            plan.files[output / path.relative_to(source)] = render(text, origin, target.rule)
        plan.orphans.extend(p for p in _files_below(output) if p not in plan.files)
    _check_rules(trees)
    return plan


def _check_rules(trees: Sequence[Target]) -> None:
    for target in trees:
        unused = target.rule.unused() if target.rule else []
        if unused:
            raise GenerateError(f"{target.source}: rules that no file used: {', '.join(unused)}")


def _files_below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def digest(root: Path, trees: Sequence[Target]) -> str:
    """Of all that decides whether the outputs are what they should be, and of the outputs."""
    found = hashlib.sha256(sys.version.encode())
    libraries = [Path(module.__file__ or "") for module in (unasync, tokenize_rt)]
    folders = dict.fromkeys(name for one in trees for name in (one.source, one.output))
    files = [path for name in folders for path in _files_below(root / name)]
    for path in (Path(__file__), *libraries, *files):
        content = path.read_bytes()
        found.update(f"{path}\0{len(content)}\0".encode(errors="surrogateescape"))
        found.update(content)
    return found.hexdigest()


def seen_in_order(root: Path, now: str) -> bool:
    """Whether a check has found exactly this in order before."""
    try:
        return (root / SEEN).read_text(encoding="ascii") == now
    except (OSError, UnicodeDecodeError):
        return False


def remember(root: Path, now: str) -> None:
    """Let the next check be quick; a folder that cannot be written to costs no more than that."""
    with suppress(OSError):
        (root / SEEN).parent.mkdir(exist_ok=True)
        (root / SEEN).write_text(now, encoding="ascii")


def problems(plan: Plan, root: Path) -> list[str]:
    """What differs between the plan and the disk, one line each."""
    found = [f"orphan: {path.relative_to(root)}" for path in plan.orphans]
    for path, text in plan.files.items():
        if not path.exists():
            found.append(f"missing: {path.relative_to(root)}")
        elif path.read_bytes() != text.encode():
            found.append(f"stale or edited: {path.relative_to(root)}")
    return found


def edited_by_hand(path: Path) -> bool:
    """Whether the file carries our note, and the rest is not what the note vouches for."""
    first, _, body = path.read_text(encoding="utf-8").partition("\n")
    note = NOTE.fullmatch(first)
    return note is None or note[2] != hashlib.sha256(body.encode()).hexdigest()[:12]


def write(plan: Plan, root: Path, *, force: bool) -> list[Path]:
    """Write what differs; refuse to lose what somebody typed into an output."""
    changed = [p for p, text in plan.files.items() if not _same(p, text)]
    edited = [p for p in (*changed, *plan.orphans) if p.exists() and edited_by_hand(p)]
    if edited and not force:
        names = ", ".join(str(path.relative_to(root)) for path in edited)
        raise GenerateError(f"edited by hand: {names}. Move the change to the source, or --force")
    for path in changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(plan.files[path].encode())
    for path in plan.orphans:
        path.unlink()
    return [*changed, *plan.orphans]


def _same(path: Path, text: str) -> bool:
    return path.exists() and path.read_bytes() == text.encode()


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if stale")
    parser.add_argument("--force", action="store_true", help="overwrite files edited by hand")
    options = parser.parse_args(arguments)
    now = digest(root, targets())
    if options.check and seen_in_order(root, now):
        print("generated files are up to date")
        return 0
    try:
        plan = make_plan(root, targets())
        if options.check:
            found = problems(plan, root)
            print("\n".join(found) or "generated files are up to date")
            if not found and digest(root, targets()) == now:  # nobody wrote meanwhile
                remember(root, now)
            return 1 if found else 0
        for path in write(plan, root, force=options.force):
            print(f"wrote {path.relative_to(root)}" if path.exists() else f"removed {path}")
    except GenerateError as error:
        print(f"generate: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
