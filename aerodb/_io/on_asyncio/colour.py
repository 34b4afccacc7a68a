"""What a class of the async twin is, beyond what it shares with the blocking one.

The blocking side's `colour` has the same names with the opposite content, so twin source needs
no branch: it inherits from these.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

R = TypeVar("R")


class Executable(Generic[R]):
    """A description of work whose `execute()` does it; awaiting it executes it.

    Awaiting the same object twice sends it twice: it is a description, not a future.
    """

    __slots__ = ()

    async def execute(self) -> R:
        raise NotImplementedError

    def __await__(self) -> Generator[Any, None, R]:
        return self.execute().__await__()

    if not TYPE_CHECKING:  # type checkers know that a query holds no rows

        @property
        def data(self) -> NoReturn:
            raise AttributeError(
                "this query has not run: await it, then read .data of the response"
            )

        @property
        def error(self) -> NoReturn:
            raise AttributeError(
                "this query has not run: await it, then read .error of the response"
            )

        @property
        def unwrap(self) -> NoReturn:
            raise AttributeError("this query has not run: await it, then .unwrap() the response")

        @property
        def ok(self) -> NoReturn:
            raise AttributeError("this query has not run: await it, then read .ok of the response")

        def __len__(self) -> NoReturn:
            raise TypeError(
                "this query has not run: await it for a response, whose rows are in .data, "
                "or use .count()"
            )

        def __getitem__(self, at: object) -> NoReturn:
            raise TypeError(
                "this query has not run: await it for a response, whose rows are in .data, "
                "or use .first() or .range()"
            )

        def __iter__(self) -> NoReturn:
            raise TypeError(
                "this query has not run: await it for a response, whose rows are in .data"
            )

        def __aiter__(self) -> NoReturn:
            raise TypeError(
                "a query holds no rows: use `async for row in query.iterate()`, "
                "or await it for a response"
            )


class ContextGuard:
    """Names the right class to who writes `with` where `async with` is meant."""

    __slots__ = ()

    if not TYPE_CHECKING:  # type checkers know that there is no such thing

        def __enter__(self) -> NoReturn:
            raise TypeError(
                "AsyncAeroDBClient needs `async with`; for plain `with` use aerodb.AeroDBClient"
            )

        def __exit__(self, *exc_info: object) -> None:
            """Never reached; `with` looks for it first."""
