"""Which functions there are: the files `NAME.py` of one folder (wire contract §6, reliability D6).

A name that does not match the pattern never gets as far as the file system, and a file that lies
outside the folder, by whatever link, is not one of its functions. No file is run here: what a
function says of its methods is read from its source.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aerodb.local.errors import LocalError
from aerodb.local.functions.worker import signature

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
RESERVED = frozenset({"invoke", "deploy", "webhook"})
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_MAXIMUM_SOURCE = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Function:
    """One function. `methods` is None if it takes them all; `version` changes with its source."""

    name: str
    path: Path
    version: str
    methods: tuple[str, ...] | None = None

    @property
    def allowed(self) -> tuple[str, ...]:
        """The methods that it is called with; HEAD goes wherever GET does."""
        if self.methods is None:
            return METHODS
        given = {*self.methods, *(("HEAD",) if "GET" in self.methods else ())}
        return tuple(method for method in METHODS if method in given)


class Registry:
    """The functions of one folder, looked up anew each time."""

    def __init__(self, folder: Path) -> None:
        try:
            self.folder = folder.resolve(strict=True)
        except OSError:
            raise LocalError(f"There is no folder {folder} with functions.") from None
        if not self.folder.is_dir():
            raise LocalError(f"{folder} is not a folder.")
        self._known: dict[Path, tuple[tuple[int, int, int], Function]] = {}

    def find(self, name: str) -> Function | None:
        """The function of this name; None if there is none."""
        if NAME.fullmatch(name) is None or name in RESERVED:
            return None
        # Asked of the folder, as some file systems take any case for the same name.
        if f"{name}.py" not in self._entries():
            return None
        return self._function(name)

    def all(self) -> list[Function]:
        """All of them, by name."""
        names = [entry.removesuffix(".py") for entry in self._entries() if entry.endswith(".py")]
        found = [self.find(name) for name in sorted(names)]
        return [function for function in found if function is not None]

    def _entries(self) -> list[str]:
        try:
            return os.listdir(self.folder)
        except OSError:
            return []

    def _function(self, name: str) -> Function | None:
        try:
            path = (self.folder / f"{name}.py").resolve(strict=True)
            if not path.is_relative_to(self.folder) or not stat.S_ISREG(path.stat().st_mode):
                return None
            version = signature(str(path))
            known = self._known.get(path)
            if known is not None and known[0] == version and known[1].name == name:
                return known[1]
            with path.open("rb") as file:
                source = file.read(_MAXIMUM_SOURCE)
        except (OSError, RuntimeError):  # a loop of links is the latter before Python 3.13
            return None
        function = Function(name, path, hashlib.sha256(source).hexdigest()[:12], methods_in(source))
        self._known[path] = (version, function)
        return function


def methods_in(source: bytes) -> tuple[str, ...] | None:
    """What a line `METHODS = [...]` of a file says; None without one that can be understood."""
    with suppress(SyntaxError, ValueError, RecursionError, MemoryError):
        for node in ast.parse(source).body:
            if isinstance(node, ast.Assign) and _names(node) == ["METHODS"]:
                return _words(ast.literal_eval(node.value))
    return None


def _names(node: ast.Assign) -> list[str]:
    return [target.id for target in node.targets if isinstance(target, ast.Name)]


def _words(value: object) -> tuple[str, ...] | None:
    if isinstance(value, str):
        value = (value,)
    if not isinstance(value, (list, tuple, set)):
        return None
    words = {word.upper() for word in value if isinstance(word, str)}
    return tuple(method for method in METHODS if method in words)
