"""What to say when what an integration is made for is not installed."""

from __future__ import annotations


def needs(extra: str, problem: ModuleNotFoundError) -> ModuleNotFoundError:
    """The error that names the extra; the problem itself if a part of aerodb is missing."""
    module = (problem.name or "").partition(".")[0]
    if module == "aerodb":
        return problem
    text = f'{module} is not installed. Install it with:  pip install "aerodb[{extra}]"'
    return ModuleNotFoundError(text, name=problem.name, path=problem.path)
