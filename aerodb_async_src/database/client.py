# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""Where queries begin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload

from aerodb._io.on_asyncio import loading

if TYPE_CHECKING:
    from types import ModuleType

    from aerodb._core.database.modifiers import CountMode
    from aerodb._core.tables import Table
    from aerodb.types import AeroDBResponse

    from .._transport import AsyncTransport  # noqa: TID252  # of the same twin
    from .query import AsyncQueryBuilder

RowT = TypeVar("RowT")
T = TypeVar("T")

_new = object.__new__
_language: tuple[type[AsyncQueryBuilder[Any, Any]], ModuleType] | None = None


def _load() -> tuple[type[AsyncQueryBuilder[Any, Any]], ModuleType]:
    """What queries are made of: loaded when the first one begins, as half of all of the client."""
    global _language
    with loading():
        from aerodb._core.database import verbs

        from .query import AsyncQueryBuilder
    _language = AsyncQueryBuilder, verbs
    return _language


class AsyncQuerySource:
    """What can begin a query: the client itself, and a schema of it."""

    __slots__ = ()

    _source: tuple[AsyncTransport, str]

    @overload
    def from_(self, table: str) -> AsyncQueryBuilder[dict[str, Any], list[dict[str, Any]]]: ...

    @overload
    def from_(self, table: str, row_type: type[RowT]) -> AsyncQueryBuilder[RowT, list[RowT]]: ...

    @overload
    def from_(
        self, table: str, row_type: Callable[[dict[str, Any]], RowT]
    ) -> AsyncQueryBuilder[RowT, list[RowT]]: ...

    def from_(self, table: str, row_type: Any = None) -> Any:
        """Begin a query on a table or view.

        Args:
            table: Its name.
            row_type: What a row becomes: a TypedDict (checked by type checkers only), a dataclass,
                NamedTuple, attrs, msgspec or pydantic class, or a function of the row.
        """
        builder, verbs = _language or _load()
        query: Any = _new(builder)
        query._source = self._source
        query._steps = (None, verbs.open_table, table, row_type)
        return query

    table = from_
    from_table = from_

    @overload
    def rpc(
        self,
        fn: str,
        params: Mapping[str, Any] | None = None,
        *,
        get: bool = False,
        head: bool = False,
        count: CountMode | None = None,
    ) -> AsyncQueryBuilder[dict[str, Any], Any]: ...

    @overload
    def rpc(
        self,
        fn: str,
        params: Mapping[str, Any] | None = None,
        *,
        get: bool = False,
        head: bool = False,
        count: CountMode | None = None,
        returns: type[T],
    ) -> AsyncQueryBuilder[T, T]: ...

    def rpc(
        self,
        fn: str,
        params: Any = None,
        count: CountMode | None = None,
        head: bool = False,
        get: bool = False,
        *,
        returns: Any = None,
    ) -> Any:
        """Call a function of the database. Filters and modifiers apply to the rows it returns.

        Args:
            fn: Its name.
            params: Its arguments by name.
            get: Call it read-only, by GET, so that caches may answer.
            head: Ask for headers only: the count, or that it exists.
            count: Ask for the number of rows as well.
            returns: What the answer is: `int`, `list[Row]`, a dataclass, ...; unsaid, the JSON
                value stays as it is.
        """
        builder, verbs = _language or _load()
        query: Any = _new(builder)
        query._source = self._source
        query._steps = (None, verbs.call_function, fn, params, get, head, count, returns)
        return query

    def schema(self, name: str) -> AsyncDatabaseClient:
        """The same database, seen through another schema, over the same connections."""
        return AsyncDatabaseClient(self._source[0], name)

    async def tables(self) -> AeroDBResponse[list[Table]]:
        """Which tables and views there are, with their columns, as far as the caller may know.

        The server may have this switched off (`PGRST126`).
        """
        from aerodb._core.tables import tables_call

        return await self._source[0].execute(tables_call(self._source[1]))


class AsyncDatabaseClient(AsyncQuerySource):
    """Begins queries on the tables and functions of one schema."""

    __slots__ = ("_source",)

    def __init__(self, transport: AsyncTransport, schema: str = "public") -> None:
        self._source = (transport, schema)
