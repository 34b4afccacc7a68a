"""The table of codes in docs/errors.md is that of the storage part."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from aerodb.local.storage.errors import STATUS

ROOT = Path(__file__).resolve().parents[3]


def test_every_code_is_explained_with_its_status() -> None:
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    section = text.split("\n## Codes of storage\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", section, re.MULTILINE)
    assert {code: int(status) for code, status in rows} == STATUS
    assert rows == sorted(rows)


def test_every_code_is_given_somewhere() -> None:
    texts = {
        node.value
        for path in (ROOT / "aerodb" / "local" / "storage").glob("*.py")
        if path.name != "errors.py" or "def " in path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        for node in [*node.args, *(keyword.value for keyword in node.keywords)]
        if isinstance(node, ast.Constant)
    }
    by_table = {"invalid_api_key", "no_api_key"}
    assert set(STATUS) - texts == by_table
