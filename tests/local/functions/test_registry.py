"""Which files are functions, and which are not (reliability D6)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb.local import LocalError
from aerodb.local.functions.registry import METHODS, NAME, Registry, methods_in

SOURCE = "def handler(request): return 1\n"
HOSTILE = [
    "", ".", "..", "../f", "/f", "f/", "f.py", "f/../f", "%66", "f\0", "f\n", "-f", "_f", "1f", "ä",
    "f" * 65, "invoke", "deploy", "webhook", "con/f", "f;ls", "$(ls)", "f\\g",
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "functions"
    found.mkdir()
    (found / "f.py").write_text(SOURCE, encoding="utf-8")
    return found


@pytest.mark.parametrize("name", HOSTILE)
def test_no_other_name_gets_to_the_file_system(folder: Path, name: str) -> None:
    for entry in ("invoke", "deploy", "webhook", "_f", "1f"):
        (folder / f"{entry}.py").write_text(SOURCE, encoding="utf-8")
    registry = Registry(folder)
    assert registry.find("f") is not None
    assert registry.find(name) is None
    assert [function.name for function in registry.all()] == ["f"]


@given(st.text(max_size=80))
def test_only_the_pattern_passes(name: str) -> None:
    registry = Registry(Path(__file__).parent)
    assert registry.find(name) is None or NAME.fullmatch(name)


def test_links_out_of_the_folder_are_no_functions(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.py"
    outside.write_text(SOURCE, encoding="utf-8")
    (tmp_path / "functions-too").mkdir()
    (tmp_path / "functions-too" / "g.py").write_text(SOURCE, encoding="utf-8")
    (folder / "linked.py").symlink_to(outside)
    (folder / "beside.py").symlink_to(tmp_path / "functions-too" / "g.py")
    (folder / "relative.py").symlink_to("../outside.py")
    (folder / "broken.py").symlink_to(tmp_path / "nowhere.py")
    (folder / "loop.py").symlink_to("loop.py")
    (folder / "inside.py").symlink_to("f.py")
    registry = Registry(folder)
    assert [function.name for function in registry.all()] == ["f", "inside"]
    for name in ("linked", "beside", "relative", "broken", "loop"):
        assert registry.find(name) is None


def test_a_link_that_is_bent_later_is_followed_no_more(folder: Path, tmp_path: Path) -> None:
    link = folder / "link.py"
    link.symlink_to("f.py")
    registry = Registry(folder)
    assert registry.find("link") is not None
    (tmp_path / "outside.py").write_text(SOURCE, encoding="utf-8")
    link.unlink()
    link.symlink_to(tmp_path / "outside.py")
    assert registry.find("link") is None


def test_what_is_no_file_is_no_function(folder: Path) -> None:
    (folder / "folder.py").mkdir()
    os.mkfifo(folder / "pipe.py")
    assert [function.name for function in Registry(folder).all()] == ["f"]


def test_the_folder_itself_may_be_a_link(folder: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert Registry(link).find("f") is not None


def test_a_folder_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="no folder"):
        Registry(tmp_path / "nowhere")
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(LocalError, match="not a folder"):
        Registry(tmp_path / "file")


def test_the_version_is_that_of_the_source(folder: Path) -> None:
    registry = Registry(folder)
    first = registry.find("f")
    assert first is registry.find("f")
    (folder / "f.py").write_text(SOURCE + "# changed\n", encoding="utf-8")
    second = registry.find("f")
    assert first is not None
    assert second is not None
    assert first.version != second.version
    (folder / "f.py").unlink()
    assert registry.find("f") is None


@pytest.mark.parametrize(
    ("source", "methods"),
    [
        (b"", None),
        (b"METHODS = ['post', 'GET']", ("GET", "POST")),
        (b"METHODS = ('DELETE',)", ("DELETE",)),
        (b"METHODS = {'PUT', 'PATCH'}", ("PUT", "PATCH")),
        (b"METHODS = 'GET'", ("GET",)),
        (b"METHODS = ['TRACE', 7]", ()),
        (b"METHODS = open('/etc/passwd').read()", None),
        (b"METHODS = 7", None),
        (b"this is no python", None),
        (b"\0", None),
        (b"METHODS = " + b"[" * 5000 + b"]" * 5000, None),
    ],
)
def test_methods_are_read_and_never_run(source: bytes, methods: tuple[str, ...] | None) -> None:
    assert methods_in(source) == methods


@given(st.binary(max_size=200))
def test_no_source_makes_it_raise(source: bytes) -> None:
    found = methods_in(source)
    assert found is None or set(found) <= set(METHODS)
