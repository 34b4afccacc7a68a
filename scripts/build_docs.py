"""Build the documentation as a site, into `site/`.

    python3 scripts/build_docs.py

Sets itself up on any machine with Python 3.11. A link that leads nowhere fails the build.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from environment import ROOT, enter


def build(root: Path) -> int:
    """Make `root/site` of `root/docs` and `root/zensical.toml`; 0, or the status of the failure.

    Beside each page lies the text that it was made of: that is what `llms.txt` refers to.
    """
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    done = subprocess.run(command, cwd=root, check=False)
    if done.returncode != 0:
        return done.returncode
    for path in (*(root / "docs").glob("*.md"), root / "docs" / "llms.txt"):
        shutil.copy(path, root / "site" / path.name)
    return 0


def main() -> int:
    enter(extras=("local",), groups=("docs",))
    command = [sys.executable, "scripts/reference.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, check=False)
    return build(ROOT) if done.returncode == 0 else 1


if __name__ == "__main__":
    raise SystemExit(main())
