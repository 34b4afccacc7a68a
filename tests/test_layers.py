"""The direction of imports, read from the sources: types <- _core <- _io <- twin <- aerodb."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STDLIB = sys.stdlib_module_names
WAITING = {
    "asyncio", "threading", "time", "random", "secrets", "socket", "ssl", "selectors", "logging",
    "concurrent", "multiprocessing", "subprocess", "queue", "signal", "select",
}  # fmt: skip
CORE_FEATURES = {"auth", "database", "storage", "functions", "realtime", "session"}


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[str]:
    """Every imported module by its absolute name; `from a import b` gives `a` and `a.b`."""
    package = dotted(path) if path.name == "__init__.py" else dotted(path).rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def top(name: str) -> str:
    return name.partition(".")[0]


def ours(path: Path) -> set[str]:
    return {name for name in imports(path) if top(name) in ("aerodb", "aerodb_async_src")}


def foreign(path: Path) -> set[str]:
    return {top(n) for n in imports(path)} - {"aerodb", "aerodb_async_src", "__future__", ""}


def test_types_needs_the_standard_library_only() -> None:
    path = ROOT / "aerodb" / "types.py"
    assert foreign(path) <= STDLIB
    assert {n for n in ours(path) if n.count(".") == 1} == {
        "aerodb._dataclass",
        "aerodb._display",
        "aerodb._frames",
    }
    for path in (ROOT / "aerodb" / "_dataclass.py", ROOT / "aerodb" / "_display.py"):
        assert foreign(path) <= STDLIB
        assert not ours(path)


@pytest.mark.parametrize("path", modules("aerodb/_core"), ids=dotted)
def test_the_core_decides_and_never_waits(path: Path) -> None:
    # msgspec is the optional JSON speed-up; it waits for nothing
    assert foreign(path) <= (STDLIB - WAITING) | {"msgspec"}
    allowed = (
        "aerodb._core", "aerodb._dataclass", "aerodb._display", "aerodb.types", "aerodb._version",
    )  # fmt: skip
    assert all(n.startswith(allowed) or n == "aerodb" for n in ours(path))


@pytest.mark.parametrize("path", modules("aerodb/_core"), ids=dotted)
def test_core_features_do_not_know_one_another(path: Path) -> None:
    mine = path.relative_to(ROOT / "aerodb" / "_core").parts[0].removesuffix(".py")
    used = {n.split(".")[2] for n in ours(path) if n.startswith("aerodb._core.")}
    if mine in CORE_FEATURES:
        assert not (used & CORE_FEATURES) - {mine}


@pytest.mark.parametrize("path", modules("aerodb/_io"), ids=dotted)
def test_the_shim_knows_the_core_only_as_values(path: Path) -> None:
    used = {n for n in ours(path) if not n.startswith(("aerodb._io", "aerodb.types"))} - {"aerodb"}
    assert all(not n.startswith("aerodb._core.") or n.split(".")[2] not in CORE_FEATURES
               for n in used)  # fmt: skip
    assert all(n.startswith("aerodb._core") for n in used)


@pytest.mark.parametrize("path", modules("aerodb_async_src"), ids=dotted)
def test_twin_source_imports_no_library_and_no_loop(path: Path) -> None:
    assert foreign(path) <= STDLIB - WAITING
    allowed = ("aerodb.types", "aerodb._core", "aerodb._io.on_asyncio", "aerodb_async_src",
               "aerodb._dataclass", "aerodb._frames", "aerodb._version")  # fmt: skip
    assert all(n.startswith(allowed) or n in ("aerodb", "aerodb._io") for n in ours(path))


@pytest.mark.parametrize("path", modules("aerodb_async_src"), ids=dotted)
def test_twin_source_names_its_siblings_relatively(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            assert top(node.module or "") != "aerodb_async_src"


@pytest.mark.parametrize(
    "path", [p for p in modules("aerodb") if p.parts[-2] != "local"], ids=dotted
)
def test_only_the_shim_imports_the_network_libraries(path: Path) -> None:
    if "_io" in path.parts or "local" in path.parts:
        return
    assert not foreign(path) & {"httpx", "httpcore", "h11", "websockets", "websocket", "sniffio"}


@pytest.mark.parametrize("path", modules("aerodb/local"), ids=dotted)
def test_the_local_instance_is_an_island(path: Path) -> None:
    inside = ("aerodb.local", "aerodb._version")
    assert all(n.startswith(inside) or n == "aerodb" for n in ours(path))


@pytest.mark.parametrize(
    "path",
    [p for p in modules("aerodb") if "local" not in p.relative_to(ROOT).parts[:2]],
    ids=dotted,
)
def test_nobody_imports_the_source_or_the_local_instance(path: Path) -> None:
    used = {n for n in ours(path) if n.startswith(("aerodb_async_src", "aerodb.local"))}
    home = path.relative_to(ROOT / "aerodb").parts[0]
    allowed = home in ("cli", "testing")  # what starts an instance: the command, the fixtures
    assert allowed or not used


@pytest.mark.parametrize("path", modules("aerodb/contrib"), ids=dotted)
def test_adapters_use_the_client_from_outside(path: Path) -> None:
    """What a user could write too; reading a token's claims is the one thing of the core, and
    `aerodb types` is one command whoever calls it."""
    allowed = ("aerodb.contrib", "aerodb._core.identity", "aerodb._codegen")
    inside = {n for n in ours(path) if n.startswith(("aerodb._", "aerodb.contrib"))}
    assert all(n.startswith(allowed) for n in inside)


def test_data_frames_know_the_core_only_as_values() -> None:
    path = ROOT / "aerodb" / "_frames.py"
    assert foreign(path) <= STDLIB - WAITING  # the libraries are imported by name, when asked for
    assert all(
        n.startswith(
            ("aerodb._core.frames", "aerodb._core.errors", "aerodb._display", "aerodb.types")
        )
        for n in ours(path)
    )


def loaded(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(' '.join(sys.modules))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import aerodb",
        "from aerodb import AeroDBClient, AsyncAeroDBClient",
        "from aerodb import AeroDBClient; AeroDBClient('http://localhost:1', 'key')",
    ],
)
def test_importing_and_constructing_loads_nothing_heavy(statement: str) -> None:
    heavy = {"httpx", "httpcore", "h11", "ssl", "websockets", "websocket", "aerodb.local",
             "pydantic", "msgspec", "psycopg", "asyncio", "dataclasses", "inspect", "logging",
             "socket", "email", "decimal", "uuid", "datetime", "base64", "urllib.parse",
             "html", "opentelemetry", "pandas", "polars", "pyarrow", "numpy"}  # fmt: skip
    assert not heavy & loaded(statement)


def test_importing_the_package_loads_next_to_nothing() -> None:
    names = loaded("import aerodb") - loaded("pass")
    assert names == {"aerodb", "aerodb._version", "__future__"}


PARTS = {
    "cli": {"aerodb.cli"},
    "codegen": {"aerodb._codegen"},
    "display": {"aerodb._display"},
    "functions": {"aerodb._core.functions", "aerodb.sync.functions", "aerodb.aio.functions"},
    "storage": {"aerodb._core.storage", "aerodb.sync.storage", "aerodb.aio.storage"},
    "realtime": {"aerodb._core.realtime", "aerodb.sync.realtime", "aerodb.aio.realtime"},
    "auth": {"aerodb._core.auth", "aerodb.sync.auth", "aerodb.aio.auth"},
    "queries": {"aerodb._core.database", "aerodb.sync.database.query"},
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", ["AeroDBClient", "AsyncAeroDBClient"])
def test_a_part_is_loaded_when_it_is_first_used(name: str, part: str) -> None:
    names = loaded(f"from aerodb import {name}; {name}('http://localhost:1', 'key')")
    assert not {n for n in names for home in PARTS[part] if n == home or n.startswith(home + ".")}


@pytest.mark.parametrize(
    ("part", "use"),
    [
        ("display", "from aerodb import AeroDBResponse; str(AeroDBResponse([{'a': 1}]))"),
        ("functions", "client.functions"),
        ("auth", "client.auth"),
        ("queries", "client.from_('t')"),
    ],
)
def test_using_a_part_loads_it(part: str, use: str) -> None:
    """So that the test above looks for names that there are."""
    made = "from aerodb import AeroDBClient; client = AeroDBClient('http://localhost:1', 'key')"
    assert PARTS[part] & loaded(f"{made}; {use}")


def test_help_of_the_command_loads_no_client_and_no_instance() -> None:
    names = loaded("from aerodb.cli import main; main(['--help'])")
    ours = {n for n in names if top(n) == "aerodb"}
    assert ours == {"aerodb", "aerodb._version", "aerodb.cli", "aerodb.local", "aerodb.local.extra"}
    assert not names & {"click", "httpx", "dataclasses", "inspect"}


def test_the_local_instance_runs_without_the_client() -> None:
    names = loaded("import aerodb.local")
    assert not {n for n in names if n.startswith(("aerodb._core", "aerodb._io", "aerodb.sync"))}
