"""The twins are one API in two colours: same names, same signatures but for `Async`."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

import aerodb
import aerodb.aio
import aerodb.sync

IN_ONE_COLOUR = {"__await__", "__enter__", "__exit__", "__aenter__", "__aexit__",
                 "__iter__", "__next__", "__aiter__", "__anext__"}  # fmt: skip


def plain(text: str) -> str:
    """A signature or name as the blocking twin would say it."""
    text = re.sub(r"\bAsync(?=[A-Z])", "", text)
    return text.replace("aerodb.aio", "aerodb.sync").replace("on_asyncio", "on_threads")


def classes() -> list[tuple[str, type, type]]:
    found = []
    for name in aerodb.aio.__all__:
        value = getattr(aerodb.aio, name)
        twin = getattr(aerodb.sync, plain(name), None)
        if isinstance(value, type) and isinstance(twin, type) and value is not twin:
            found.append((name, value, twin))
    return found


def test_both_packages_export_the_same_names() -> None:
    assert {plain(name) for name in aerodb.aio.__all__} == set(aerodb.sync.__all__)


def members(cls: type) -> dict[str, Any]:
    return {
        name: inspect.getattr_static(cls, name)
        for name in dir(cls)
        if not name.startswith("__") or name in ("__init__",)
    }


@pytest.mark.parametrize(
    ("name", "one", "other"), classes(), ids=lambda v: getattr(v, "__name__", v)
)
def test_same_members(name: str, one: type, other: type) -> None:
    assert set(members(one)) - IN_ONE_COLOUR == set(members(other)) - IN_ONE_COLOUR, name


@pytest.mark.parametrize(
    ("name", "one", "other"), classes(), ids=lambda v: getattr(v, "__name__", v)
)
def test_same_signatures_and_annotations(name: str, one: type, other: type) -> None:
    for member, value in members(one).items():
        twin = inspect.getattr_static(other, member)
        if inspect.isfunction(value):
            assert plain(str(inspect.signature(value))) == str(inspect.signature(twin)), (
                f"{name}.{member}"
            )
            assert bool(value.__doc__) == bool(twin.__doc__)


def test_the_public_names() -> None:
    assert aerodb.AeroDBClient is aerodb.sync.AeroDBClient
    assert aerodb.AsyncAeroDBClient is aerodb.aio.AsyncAeroDBClient
    assert aerodb.aio.AeroDBClient is aerodb.aio.AsyncAeroDBClient


@pytest.mark.parametrize("package", [aerodb, aerodb.aio, aerodb.sync])
def test_all_is_sorted_and_true(package: Any) -> None:
    assert package.__all__ == sorted(set(package.__all__))
    for name in package.__all__:
        assert getattr(package, name) is not None
    assert set(package.__all__) <= set(dir(package))
