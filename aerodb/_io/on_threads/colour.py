"""What a class of the blocking twin is, beyond what it shares with the async one.

Same names as the async side's `colour`, with the opposite content.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NoReturn, TypeVar

R = TypeVar("R")


class Executable(Generic[R]):
    """A description of work whose `execute()` does it."""

    __slots__ = ()

    def execute(self) -> R:
        raise NotImplementedError

    if not TYPE_CHECKING:  # type checkers know that a query holds no rows

        def __await__(self) -> NoReturn:
            raise TypeError(
                "a query of the blocking AeroDBClient cannot be awaited: call .execute(), "
                "or use aerodb.AsyncAeroDBClient"
            )

        @property
        def data(self) -> NoReturn:
            raise AttributeError("this query has not run: call .execute(), then read .data")

        @property
        def error(self) -> NoReturn:
            raise AttributeError("this query has not run: call .execute(), then read .error")

        @property
        def unwrap(self) -> NoReturn:
            raise AttributeError(
                "this query has not run: call .execute(), then .unwrap() the response"
            )

        @property
        def ok(self) -> NoReturn:
            raise AttributeError(
                "this query has not run: call .execute(), then read .ok of the response"
            )

        def __len__(self) -> NoReturn:
            raise TypeError(
                "this query has not run: call .execute() for a response, whose rows are in .data, "
                "or use .count()"
            )

        def __getitem__(self, at: object) -> NoReturn:
            raise TypeError(
                "this query has not run: call .execute() for a response, whose rows are in .data, "
                "or use .first() or .range()"
            )

        def __iter__(self) -> NoReturn:
            raise TypeError(
                "this query has not run: call .execute() for a response, whose rows are in .data, "
                "or .iterate() for all rows one by one"
            )


class ContextGuard:
    """Names the right class to who writes `async with` where `with` is meant."""

    __slots__ = ()

    if not TYPE_CHECKING:  # type checkers know that there is no such thing

        async def __aenter__(self) -> NoReturn:
            raise TypeError(
                "AeroDBClient needs plain `with`; for `async with` use aerodb.AsyncAeroDBClient, "
                "or import AeroDBClient from aerodb.aio"
            )

        async def __aexit__(self, *exc_info: object) -> None:
            """Never reached; `async with` looks for it first."""
