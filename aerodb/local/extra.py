"""What to say when the extra `[local]` is not installed."""

from __future__ import annotations

import contextlib
from collections.abc import Generator

_TEXT = """\
the local instance is not installed ({module} is missing). Install it with

    pip install 'aerodb[local]'
"""


def missing_text(problem: ModuleNotFoundError) -> str | None:
    """The advice, if what is missing belongs to the extra; None if it is a part of aerodb."""
    module = problem.name or "aerodb"
    return None if module.partition(".")[0] == "aerodb" else _TEXT.format(module=module)


@contextlib.contextmanager
def needed() -> Generator[None]:
    """Around the imports of a command that does its work, which its help does without: what is
    missing is told in a line."""
    try:
        yield
    except ModuleNotFoundError as problem:
        text = missing_text(problem)
        if text is None:
            raise
        import click  # the command itself is made with it

        raise click.ClickException(text) from None
