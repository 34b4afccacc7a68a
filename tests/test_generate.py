"""The contract of scripts/generate.py: what must come out, and what must fail."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def generate() -> Iterator[ModuleType]:
    path = ROOT / "scripts" / "generate.py"
    spec = importlib.util.spec_from_file_location("aerodb_scripts_generate", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


LIBRARY = """
from aerodb._io.on_asyncio import Lock


class AsyncThing:
    async def __aenter__(self): return self
    async def __aexit__(self, *given): return None
    def __aiter__(self): return self
    async def __anext__(self): raise StopAsyncIteration
"""
TEST = """
from aerodb._io.on_asyncio import Lock
from aerodb.aio import AsyncThing


async def test_it():
    async with AsyncThing() as thing:
        return thing
"""


@pytest.fixture
def checkout(generate: ModuleType, tmp_path: Path) -> Path:
    """A small project that uses every rule, with its outputs: all is checked as in this one."""
    for name, body in {
        "aerodb_async_src/client.py": LIBRARY,
        "aerodb_async_src/service/part.py": "async def part(): return 1\n",
        "tests/aio/test_client.py": TEST,
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{generate.MARK}\n{body}", encoding="utf-8")
    assert generate.main([], tmp_path) == 0
    return tmp_path


def render(generate: ModuleType, body: str, names: dict[str, str] | None = None) -> str:
    rule = generate.Rule(names if names is not None else generate.LIBRARY_NAMES)
    text: str = generate.render(f"{generate.MARK}\n{body}", "src/x.py", rule)
    return text.partition("\n")[2]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("async def f():\n    await g()\n", "def f():\n    g()\n"),
        ("class AsyncThing(AsyncBase): ...\n", "class Thing(Base): ...\n"),
        ("async with a as b:\n    pass\n", "with a as b:\n    pass\n"),
        ("from aerodb._io.on_asyncio import Lock\n", "from aerodb._io.on_threads import Lock\n"),
        ("raise StopAsyncIteration\n", "raise StopIteration\n"),
        # data is never touched, prose is
        ("x = 'aio', 'AsyncJobs', 'await it'\n", "x = 'aio', 'AsyncJobs', 'await it'\n"),
        ("x = r'on_asyncio', b'AsyncJobs'\n", "x = r'on_asyncio', b'AsyncJobs'\n"),
        ('"""Use `await f()` of AsyncThing."""\n', '"""Use `f()` of Thing."""\n'),
        ("Asynchronous = 1\n", "Asynchronous = 1\n"),
    ],
)
def test_renders(generate: ModuleType, source: str, expected: str) -> None:
    assert render(generate, source) == expected


def test_keeps_the_number_of_lines(generate: ModuleType) -> None:
    body = 'async def f(\n    a,\n):\n    """One.\n\n    await two\n    """\n    await a\n'
    assert render(generate, body).count("\n") == body.count("\n")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import asyncio\n", "asyncio"),
        ("# an async comment\n", "async"),
        ("async def f():\n    return f'{await g()}'\n", "f-string"),
        ("x = f'{AsyncThing.name}'\n", "f-string"),
        ("def f(:\n", "invalid syntax|compile"),
    ],
)
def test_refuses(generate: ModuleType, source: str, message: str) -> None:
    with pytest.raises((generate.GenerateError, SyntaxError), match=message):
        render(generate, source)


def test_refuses_a_source_without_the_mark(generate: ModuleType) -> None:
    with pytest.raises(generate.GenerateError, match="first line"):
        generate.render("x = 1\n", "src/x.py", None)


def test_an_unused_rule_is_an_error(generate: ModuleType, checkout: Path) -> None:
    trees = generate.targets()
    trees[1].rule.token_replacements["never_there"] = "nothing"
    with pytest.raises(generate.GenerateError, match="never_there"):
        generate.make_plan(checkout, trees)


def test_this_project_is_up_to_date(generate: ModuleType) -> None:
    """Looked at in full, whatever was found in order before."""
    assert generate.problems(generate.make_plan(ROOT, generate.targets()), ROOT) == []


def test_what_was_found_in_order_is_not_read_again(
    generate: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert generate.main(["--check"], checkout) == 0

    def never(*given: object) -> None:
        raise AssertionError("read again")

    with monkeypatch.context() as patched:
        patched.setattr(generate, "make_plan", never)
        assert generate.main(["--check"], checkout) == 0
        (checkout / generate.SEEN).write_bytes(b"\xff")
        with pytest.raises(AssertionError, match="read again"):
            generate.main(["--check"], checkout)
    assert generate.main(["--check"], checkout) == 0


def tamper(path: Path) -> None:
    path.write_text(path.read_text().replace("return", "return  ", 1))


def truncate(path: Path) -> None:
    path.write_text(path.read_text()[:-20])


def append(path: Path) -> None:
    path.write_text(path.read_text() + "x = 1\n")


def orphan(path: Path) -> None:
    (path.parent / "orphan.py").write_text("x = 1\n")


def remove(path: Path) -> None:
    path.unlink()


def break_lines(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


@pytest.mark.parametrize("before", ["never checked", "found in order"])
@pytest.mark.parametrize(
    "file", ["aerodb/aio/client.py", "aerodb/sync/client.py", "tests/sync/test_client.py"]
)
@pytest.mark.parametrize("damage", [tamper, truncate, append, orphan, remove, break_lines])
def test_check_finds(
    generate: ModuleType, checkout: Path, file: str, damage: object, before: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert callable(damage)
    if before == "found in order":
        assert generate.main(["--check"], checkout) == 0
    damage(checkout / file)
    capsys.readouterr()
    assert generate.main(["--check"], checkout) == 1
    assert str(Path(file).parent) in capsys.readouterr().out


def test_check_finds_a_changed_source(generate: ModuleType, checkout: Path) -> None:
    assert generate.main(["--check"], checkout) == 0
    append(checkout / "aerodb_async_src" / "client.py")
    assert generate.main(["--check"], checkout) == 1
    assert generate.main([], checkout) == 0
    assert generate.main(["--check"], checkout) == 0


def test_check_finds_a_source_that_is_new_or_gone(generate: ModuleType, checkout: Path) -> None:
    assert generate.main(["--check"], checkout) == 0
    new = checkout / "aerodb_async_src" / "new.py"
    new.write_text(f"{generate.MARK}\nx = 1\n", encoding="utf-8")
    assert generate.main(["--check"], checkout) == 1
    new.unlink()
    assert generate.main(["--check"], checkout) == 0
    (checkout / "aerodb_async_src" / "service" / "part.py").unlink()
    assert generate.main(["--check"], checkout) == 1


def test_never_overwrites_what_somebody_typed(
    generate: ModuleType, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edited = checkout / "aerodb" / "sync" / "client.py"
    append(edited)
    typed = edited.read_text()
    assert generate.main([], checkout) == 1
    assert "client.py" in capsys.readouterr().err
    assert edited.read_text() == typed
    assert generate.main(["--force"], checkout) == 0
    assert edited.read_text() != typed
