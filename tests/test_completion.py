"""What Tab finds in IPython, in Jupyter and in editors that ask jedi."""

from __future__ import annotations

from typing import Any

import jedi
import pytest

from aerodb import AeroDBClient, AsyncAeroDBClient

URL = "http://127.0.0.1:1"
EXPECTED = [
    ("client.", "from_"),
    ('client.from_("todos").', "select"),
    ('client.from_("todos").select("id").', "execute"),
    ('client.from_("todos").eq("id", 1).', "execute"),
    ('client.from_("todos").order("id").', "ilike"),
    ('client.from_("todos").like_all_of("title", ["a%"]).limit(3).', "order"),
    ('client.rpc("sum").', "execute"),
    ("client.auth.", "sign_in"),
    ('client.storage.from_("files").', "upload"),
    ('client.channel("todos").', "subscribe"),
    ('client.from_("todos").execute().', "data"),
]


def names(completed: Any) -> list[str]:
    return [one.name for one in completed]


@pytest.mark.parametrize("kind", [AeroDBClient, AsyncAeroDBClient])
@pytest.mark.parametrize(("typed", "expected"), EXPECTED[:-1])
def test_a_notebook_completes(
    kind: type[AeroDBClient | AsyncAeroDBClient], typed: str, expected: str
) -> None:
    """By the object that is there."""
    namespace = {"client": kind(URL)}
    assert expected in names(jedi.Interpreter(typed, [namespace]).complete())


@pytest.mark.parametrize(("typed", "expected"), EXPECTED)
def test_an_editor_completes(typed: str, expected: str) -> None:
    """By the source alone."""
    source = f"from aerodb import AeroDBClient\nclient = AeroDBClient({URL!r})\n{typed}"
    assert expected in names(jedi.Script(source).complete())
