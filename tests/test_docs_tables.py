"""The tables of docs/errors.md and docs/local.md say what the code says."""

from __future__ import annotations

import ast
import gc
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aerodb._core.errors import CODES
from aerodb.local.commands import serve
from aerodb.local.options import BY_FIELD, OPTIONS
from aerodb.local.rest.pg_errors import PgError, rest_error
from aerodb.local.settings import FOREIGN_REST, INSTANCE_REST, PoolSettings

ROOT = Path(__file__).resolve().parent.parent
ERRORS = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
LOCAL = (ROOT / "docs" / "local.md").read_text(encoding="utf-8")
CLIENT = ("aerodb/_core", "aerodb/_io", "aerodb_async_src")


# --- reading ----------------------------------------------------------------------------------


def section(text: str, title: str) -> str:
    """What stands below a heading of the second level."""
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def documented(title: str) -> dict[str, list[str]]:
    """The rows of a table of codes: code -> the other cells."""
    rows = [cells(line) for line in section(ERRORS, title).splitlines() if line.startswith("| `")]
    found = {row[0].strip("`"): row[1:] for row in rows}
    assert len(found) == len(rows), "a code has two rows"
    return found


def trees(*folders: str) -> Iterator[tuple[Path, ast.Module]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            gc.disable()  # what it collects in the middle of parsing can upset Python 3.11's parser
            try:
                tree = ast.parse(path.read_text(encoding="utf-8"))
            finally:
                gc.enable()
            yield path, tree


def is_codes(node: ast.AST) -> bool:
    """Whether this is the list of codes itself."""
    return isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "CODES"


def walk_without_codes(tree: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(tree):
        if not is_codes(child):
            yield child
            yield from walk_without_codes(child)


def texts_in_client() -> set[str]:
    return {
        node.value
        for _, tree in trees(*CLIENT)
        for node in walk_without_codes(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def codes_given_by_name() -> set[str]:
    """Every `code="..."` of a call in the client."""
    return {
        keyword.value.value
        for _, tree in trees(*CLIENT)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "code" and isinstance(keyword.value, ast.Constant)
    }


def refusals() -> set[tuple[int, str]]:
    """(status, code) of every `RestError(...)` of the local instance that says both outright."""
    return {
        (status.value, code.value)
        for _, tree in trees("aerodb/local")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and len(node.args) > 1
        for status, code in [node.args[:2]]
        if isinstance(status, ast.Constant) and isinstance(code, ast.Constant)
        if isinstance(status.value, int) and isinstance(code.value, str)
    }


# --- codes of the client ------------------------------------------------------------------------


def test_every_code_of_the_client_is_explained() -> None:
    explained = {code for code in documented("Codes of the client") if code.isupper()}
    prose = section(ERRORS, "Codes of the client").split("No response carries")[1]
    kept = set(re.findall(r"`([A-Z_]+)`", prose))
    assert not explained & kept
    assert explained | kept == set(CODES) | {code for code in codes_given_by_name() if "_" in code}


def test_the_client_makes_what_is_explained_and_nothing_that_is_kept() -> None:
    explained = {code for code in documented("Codes of the client") if code.isupper()}
    made = texts_in_client()
    assert explained <= made
    assert not (set(CODES) - explained) & made


# --- codes of the server ------------------------------------------------------------------------


def test_every_postgrest_code_is_explained_with_its_status() -> None:
    explained = {(int(row[0]), code) for code, row in documented("PostgREST's codes").items()}
    # These are made in a helper that gets the code as an argument; always 401 (tokens.py).
    by_helper = {(401, "PGRST301"), (401, "PGRST303")}
    raised = {pair for pair in refusals() if pair[1].startswith("PGRST")}
    assert explained == raised | by_helper


def test_sqlstates_have_the_status_that_the_table_says() -> None:
    table = documented("PostgreSQL's codes")
    assert len(table) > 15
    for code, row in table.items():
        sqlstate = code.split("`")[0]
        error = rest_error(PgError(sqlstate, "text"), authenticated=True)
        assert error.status == int(row[0]), sqlstate


def test_what_the_table_says_about_42501_and_21000() -> None:
    assert rest_error(PgError("42501", "text"), authenticated=False).status == 401
    refused = PgError("21000", "DELETE requires a WHERE clause")
    assert rest_error(refused, authenticated=True).status == 400


def test_every_code_of_the_instance_is_explained() -> None:
    text = section(ERRORS, "The local instance's own")
    explained = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", text))
    made = {
        constant.value
        for _, tree in trees("aerodb/local")
        for node in ast.walk(tree)
        for constant in where_codes_stand(node)
        if isinstance(constant, ast.Constant) and re.fullmatch(r"[a-z_]+", str(constant.value))
    }
    assert made == explained
    assert {code for _, code in refusals() if code.startswith("AERO")} <= set(
        re.findall(r"`(AERO\d+)`", text)
    )


def test_every_code_of_realtime_is_explained() -> None:
    explained = set(documented("Realtime"))
    made = {
        constant.value
        for _, tree in trees("aerodb/local/realtime")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        if node.func.id in ("FrameError", "RestError", "answer_error")
        for constant in node.args
        if isinstance(constant, ast.Constant) and re.fullmatch(r"[a-z_]+", str(constant.value))
    }
    # What is said of credentials has its name from the REST part, or is translated (http.py).
    refused = {"invalid_token", "missing_api_key", "authentication_required"}
    assert explained == made - {"not_found"} | refused | {"insufficient_permissions"}


def where_codes_stand(node: ast.AST) -> list[ast.expr]:
    """A refusing call's arguments; what follows a status in a tuple; what is called `code`."""
    match node:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in REFUSING:
            return node.args
        case ast.Tuple(elts=[ast.Constant(value=int()), code, *_]):
            return [code]
        case ast.Assign(targets=[ast.Name(id="code")], value=ast.IfExp(body=one, orelse=other)):
            return [one, other]
    return []


REFUSING = ("_refuse", "_refused")


# --- settings -----------------------------------------------------------------------------------


def shown(value: Any) -> str:
    if value is None or value == () or value == "":
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{', '.join(value)}`" if isinstance(value, tuple) else f"`{value}`"


def rest_table() -> list[str]:
    pool = PoolSettings()
    rows = ["| flag | environment | default | |", "|---|---|---|---|"]
    for option in OPTIONS:
        own = getattr(INSTANCE_REST, option.field, None)
        other = getattr(FOREIGN_REST, option.field, None)
        if hasattr(pool, option.field):
            own = other = getattr(pool, option.field)
        default = shown(own)
        if own != other:
            default += f"; over another PostgreSQL {shown(other) or 'not set'}"
        variables = ", ".join(f"`{name}`" for name in option.variables)
        rows.append(f"| `{option.flag}` | {variables} | {default} | {option.help} |")
    return rows


def instance_table() -> list[str]:
    rows = ["| flag | environment | default | |", "|---|---|---|---|"]
    for flag in serve.params:
        if flag.name in BY_FIELD:
            continue
        text, _, listed = str(getattr(flag, "help", "")).partition("[env: ")
        names = [str(flag.envvar)] if flag.envvar else listed.rstrip("]").split(", ")
        variables = ", ".join(f"`{name}`" for name in names if name)
        default = flag.default if isinstance(flag.default, str) else ""
        flags = ", ".join(f"`{name}`" for name in flag.opts)
        rows.append(f"| {flags} | {variables} | {shown(default)} | {text.strip()} |")
    return rows


@pytest.mark.parametrize(("name", "table"), [("instance", instance_table), ("rest", rest_table)])
def test_the_table_of_settings_is_that_of_the_code(name: str, table: Any) -> None:
    found = LOCAL.split(f"<!-- table: {name} -->\n\n")[1].split("\n\n")[0].strip().splitlines()
    assert found == table(), "put this into docs/local.md:\n" + "\n".join(table())
