"""Every promise of docs/reliability.md names tests, and they exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.support.pythons import SUPPORTED

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
PROMISES = re.findall(r"^- (.*?)(?=^- |^#|\Z)", TEXT, re.MULTILINE | re.DOTALL)
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)


@cache
def functions_of(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in tree.body if isinstance(node, functions))


def test_every_promise_names_a_test() -> None:
    assert len(PROMISES) > 40
    assert [promise for promise in PROMISES if "`tests/" not in promise] == []
    assert TEXT.count("`tests/") == len(NAMED) + 2  # the two folders of the introduction


@pytest.mark.parametrize(("file", "name"), sorted(set(NAMED)))
def test_it_exists(file: str, name: str) -> None:
    assert name.startswith("test_")
    assert name in functions_of(file)


@pytest.mark.parametrize("page", ["quickstart", "reliability", "development"])
def test_pages_name_the_pythons_of_the_classifiers(page: str) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    *most, last = SUPPORTED
    assert f"Python {', '.join(most)} and {last}" in text
