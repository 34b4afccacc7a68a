"""The log of the integrations: `aerodb.contrib.fastapi`, `aerodb.contrib.django`.

The client's own logger is silent until a program sets up logging. What an integration logs is a
fault that nobody else hears of, and many programs set up nothing: uvicorn has handlers for its own
lines only, and so has Django. Warnings and errors then go to stderr, as Python's own do.
"""

from __future__ import annotations

import logging

_HOME = "aerodb.contrib"


class _LastResort(logging.Handler):
    """Writes to stderr what no handler of the program would get."""

    def emit(self, record: logging.LogRecord) -> None:
        last = logging.lastResort  # None: the program wants none of it
        if last is not None and record.levelno >= last.level and not _is_heard(record.name):
            last.handle(record)


def integration_logger(name: str) -> logging.Logger:
    """The logger `aerodb.contrib.<name>`."""
    home = logging.getLogger(_HOME)
    if not any(isinstance(handler, _LastResort) for handler in home.handlers):
        home.addHandler(_LastResort())
    return logging.getLogger(f"{_HOME}.{name}")


def _is_heard(name: str) -> bool:
    """Whether the program has a handler for the lines of a logger."""
    found: logging.Logger | None = logging.getLogger(name)
    while found is not None:
        if not all(isinstance(one, logging.NullHandler | _LastResort) for one in found.handlers):
            return True
        found = found.parent if found.propagate else None
    return False
