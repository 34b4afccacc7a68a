"""The site is built as a whole, and every link in it leads to something that is there."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parent.parent


class Page(HTMLParser):
    """What a page refers to, and what in it can be referred to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.names: set[str] = set()
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.append(value)
            elif name == "id" and value:
                self.names.add(value)


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return import_module("build_docs").build


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the site is made of."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    return tmp_path


def broken(site: Path) -> Iterator[str]:
    """Links within the site to what is not there."""
    pages = {path: Page(path) for path in site.rglob("*.html")}
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            folder = site if parts.path.startswith("/") else path.parent
            target = (folder / unquote(parts.path).lstrip("/")).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            fragment = unquote(parts.fragment)
            names = pages[target].names if target in pages else {fragment}
            if not target.is_file() or (fragment and fragment not in names):
                yield f"{path.relative_to(site)}: {link}"


def loaded_from_elsewhere(site: Path) -> Iterator[str]:
    """What a page would fetch from another host before somebody clicks. Diagrams in the text are
    drawn by a script that the theme has of a CDN."""
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        for tag in re.findall(r"<(?:script|img|iframe|source|link)\b[^>]*>", text):
            is_text = re.search(r"""rel=["']?(?:canonical|next|prev)""", tag)
            if re.search(r"""(?:src|href)=["']?(?:https?:)?//""", tag) and not is_text:
                yield f"{path.relative_to(site)}: {tag}"
        if re.search(r"""class=["']?[^"'>]*\bmermaid\b""", text):
            yield f"{path.relative_to(site)}: mermaid"


def test_the_site_is_built_and_its_links_lead_somewhere(build: Any, project: Path) -> None:
    assert build(project) == 0
    site = project / "site"
    documents = {path.stem for path in (project / "docs").glob("*.md")}
    folders = {path.parent.name for path in site.glob("*/index.html")}
    assert folders == documents - {"index"}
    assert list(broken(site)) == []
    index = (site / "llms.txt").read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)\s]+)\)", index)
    assert len(targets) == len(documents)
    for target in targets:
        assert (site / target).read_bytes() == (project / "docs" / target).read_bytes()
    assert [*loaded_from_elsewhere(site)] == []
    (site / "quickstart" / "index.html").unlink()
    assert any("quickstart" in link for link in broken(site))


@pytest.mark.parametrize(("link", "missing"), [("gone.md", "page"), ("errors.md#gone", "anchor")])
def test_a_link_that_leads_nowhere_fails_the_build(
    build: Any, project: Path, link: str, missing: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with (project / "docs" / "cli.md").open("a", encoding="utf-8") as file:
        file.write(f"\n[nowhere]({link})\n")
    assert build(project) != 0
    assert f"{missing} does not exist" in capfd.readouterr().err
