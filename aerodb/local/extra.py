"""What to say when the extra `[local]` is not installed."""

from __future__ import annotations

_TEXT = """\
the local instance is not installed ({module} is missing). Install it with

    pip install 'aerodb[local]'
"""


def missing_text(problem: ModuleNotFoundError) -> str | None:
    """The advice, if what is missing belongs to the extra; None if it is a part of aerodb."""
    module = problem.name or "aerodb"
    return None if module.partition(".")[0] == "aerodb" else _TEXT.format(module=module)
