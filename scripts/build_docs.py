"""Build the documentation as a site, into `site/`.

    python3 scripts/build_docs.py

Sets itself up on any machine with Python 3.11. A link that leads nowhere fails the build.
"""

from __future__ import annotations

import shutil
import subprocess
import sys

from environment import ROOT, enter


def main() -> int:
    enter(extras=("local",), groups=("docs",))
    for command in (
        ["scripts/reference.py", "--check"],
        ["-m", "zensical", "build", "--clean", "--strict"],
    ):
        done = subprocess.run([sys.executable, *command], cwd=ROOT, check=False)
        if done.returncode != 0:
            return 1
    shutil.copy(ROOT / "docs" / "llms.txt", ROOT / "site" / "llms.txt")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
