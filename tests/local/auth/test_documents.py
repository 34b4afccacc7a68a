"""The table of codes in docs/errors.md is that of the auth part, and of what clients know of it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from aerodb._core.error_body import _CODE_BY_TEXT
from aerodb.local.auth.errors import STATUS

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
SECTION = TEXT.split("\n## Codes of users and sessions\n")[1].split("\n## ")[0]
ROWS = re.findall(r"^\| `(\w+)` \| (\d+) \|", SECTION, re.MULTILINE)


def test_every_code_is_explained_with_its_status() -> None:
    assert {code: int(status) for code, status in ROWS} == STATUS
    assert sorted(ROWS) == ROWS


def test_every_code_is_given_somewhere() -> None:
    given = set[str]()
    for path in (ROOT / "aerodb" / "local" / "auth").glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):  # AuthError("code", ...), and tables of codes below
                given |= {a.value for a in node.args if isinstance(a, ast.Constant)}
            elif isinstance(node, ast.Dict) and path.name != "errors.py":
                for value in node.values:
                    parts = value.elts if isinstance(value, ast.Tuple) else [value]
                    given |= {part.value for part in parts if isinstance(part, ast.Constant)}
    assert set(STATUS) <= given


def test_the_codes_that_a_client_makes_of_a_text_are_these() -> None:
    assert {code for _, code in _CODE_BY_TEXT} <= set(STATUS)
