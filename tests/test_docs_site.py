"""The site and the index for language models list every document; the reference is fresh."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
DOCUMENTS = Counter(path.name for path in DOCS.glob("*.md"))


def pages(nav: list[Any]) -> Iterator[str]:
    for entry in nav:
        for below in entry.values():
            if isinstance(below, str):
                yield below
            else:
                yield from pages(below)


def test_the_site_has_every_document_once() -> None:
    config = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]
    assert config["docs_dir"] == DOCS.name
    assert Counter(pages(config["nav"])) == DOCUMENTS


def test_the_index_for_language_models_has_every_document_once() -> None:
    text = (DOCS / "llms.txt").read_text(encoding="utf-8")
    assert Counter(re.findall(r"^- \[[^]]+\]\(([^)]+)\): \S", text, re.MULTILINE)) == DOCUMENTS


def test_the_readme_has_every_document_but_the_index_once() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[docs/([\w-]+\.md)\]\(docs/\1\) \|", text, re.MULTILINE)
    assert Counter(rows) == DOCUMENTS - Counter(["index.md"])


def test_the_reference_is_what_the_docstrings_say() -> None:
    command = [sys.executable, "scripts/reference.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_guide_to_the_tests_has_every_folder_of_them() -> None:
    text = (DOCS / "development.md").read_text(encoding="utf-8").split("## Where tests go")[1]
    named = {name for row in re.findall(r"^\| (`tests.*?) \|", text, re.MULTILINE)
             for name in re.findall(r"`tests/([\w/]+)`", row)}  # fmt: skip
    assert [name for name in sorted(named) if not (ROOT / "tests" / name).is_dir()] == []
    folders = {path.relative_to(ROOT / "tests").parts[0]
               for path in (ROOT / "tests").rglob("*.py")
               if len(path.relative_to(ROOT / "tests").parts) > 1}  # fmt: skip
    assert folders <= {name.partition("/")[0] for name in named}


PLACES = ("", "aerodb", "aerodb/local", "aerodb/_core", "aerodb/_io", "aerodb_async_src")
FILE = re.compile(
    r"\w\.(py|sql|md|toml|ipynb)$|/$|^(aerodb|aerodb_async_src|tests|scripts|_core|_io)/"
)


@pytest.mark.parametrize("name", ["architecture.md", "from-the-seed.md", "development.md"])
def test_files_that_are_named_are_there(name: str) -> None:
    """From the root, or from where the text is: `rest/catalog_load.py` of the local instance."""
    text = (DOCS / name).read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    named = [one for one in re.findall(r"`([\w./*-]+)`", prose) if FILE.search(one)]
    assert len(named) > 5
    assert [one for one in named if not is_there(one.strip("/"))] == []


def is_there(name: str) -> bool:
    places = [f"{place}/{name}".strip("/") for place in PLACES]
    if "/" not in name:
        places += [f"aerodb/**/{name}", f"aerodb_async_src/**/{name}"]
    return any(next(ROOT.glob(place), None) is not None for place in places)


def test_every_module_of_the_seed_is_accounted_for() -> None:
    text = (DOCS / "from-the-seed.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\w+\.py) \|", text, re.MULTILINE)
    assert rows == ["client.py", "auth.py", "database.py", "realtime.py", "storage.py",
                    "functions.py", "types.py"]  # fmt: skip
