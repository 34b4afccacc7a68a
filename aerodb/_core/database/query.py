"""Everything about a query that does not wait: what both twins inherit."""

from __future__ import annotations

from typing import Any

from aerodb._core.database.curl import PreparedRequest, curl_command, prepared_request
from aerodb._core.database.filters import Filters
from aerodb._core.database.modifiers import Modifiers
from aerodb._core.database.quantified import QuantifiedFilters

__all__ = ["QueryBase"]


class QueryBase(Filters, QuantifiedFilters, Modifiers):
    """Filters, modifiers, and a look at what would be sent."""

    __slots__ = ()

    def to_request(self) -> PreparedRequest:
        """What `execute()` would send. If the query cannot be sent, its `error` says why."""
        return prepared_request(self)

    def to_curl(self, *, redact: bool = True) -> str:
        """The request as a shell command, with `$AERODB_URL` and `$AERODB_KEY` in the place of
        what the client knows. `redact=False` shows the values of headers set on the query."""
        return curl_command(self, redact=redact)

    def __repr__(self) -> str:
        from urllib.parse import unquote

        from aerodb._display import printable

        request = prepared_request(self)
        name = type(self).__name__
        if request.error is not None:
            return f"<{name} {request.error}>"
        path = printable(unquote(request.path))
        unsent = "" if request.method in ("GET", "HEAD") else "; not sent before it is executed"
        return f"<{name} {request.method} {path}{unsent}>"

    def __bool__(self) -> bool:
        """Always True: a query says nothing about rows before it ran."""
        return True

    def __reduce__(self) -> Any:
        raise TypeError("a query belongs to its client and cannot be pickled or deep-copied")
