"""Without what an integration is for, its import says how to get that."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("missing", "statement", "extra"),
    [
        ("fastapi", "import aerodb.contrib.fastapi", "fastapi"),
        ("starlette", "import aerodb.contrib.fastapi", "fastapi"),
        ("django", "from aerodb.contrib.django import client", "django"),
        ("django", "from aerodb.contrib.django import AeroDBMiddleware", "django"),
        ("opentelemetry", "import aerodb.contrib.otel", "otel"),
    ],
)
def test_the_extra_is_named(missing: str, statement: str, extra: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; {statement}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert last == (
        f"ModuleNotFoundError: {missing} is not installed. "
        f'Install it with:  pip install "aerodb[{extra}]"'
    )
