# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""Queries whose answer is a data frame, with the types that the server's columns have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from aerodb._core.database.framing import as_rows, asked_of
from aerodb._core.errors import client_error
from aerodb._core.tables import tables_call
from aerodb._core.values import describe
from aerodb.types import AeroDBResponse

if TYPE_CHECKING:
    from aerodb._core.tables import Table
    from aerodb._frames import Library

Decimals = Literal["exact", "float"]

_NEVER_THERE = frozenset({404, 405, 406, 501})


class AsyncFrames:
    """The methods of a query that run it and answer with a data frame."""

    __slots__ = ()

    async def to_pandas(
        self, *, all_pages: bool = False, decimals: Decimals = "exact"
    ) -> AeroDBResponse[Any]:
        """Run the query: `data` is a `pandas.DataFrame` with the types of the columns.

        The types come from the server's description of its tables, which is asked for once.
        What it does not know (a function's answer, a server without description) is inferred
        from the values; `meta.warnings` says so. No rows: the columns and types are still there.

        Args:
            all_pages: Get every row, page by page, not only what one answer holds: then give
                the query an `order()` that is unambiguous. Without it, a `UserWarning` tells if
                rows are missing, or may be.
            decimals: What a `numeric` column becomes: `"exact"`, every digit of it, or `"float"`,
                which libraries can draw and sum up at once.

        Raises:
            ImportError: The library is not installed: `pip install "aerodb[pandas]"`.
        """
        return await self._frame("pandas", all_pages, decimals)

    async def to_polars(
        self, *, all_pages: bool = False, decimals: Decimals = "exact"
    ) -> AeroDBResponse[Any]:
        """Run the query: `data` is a `polars.DataFrame`; as `to_pandas`."""
        return await self._frame("polars", all_pages, decimals)

    async def to_arrow(
        self, *, all_pages: bool = False, decimals: Decimals = "exact"
    ) -> AeroDBResponse[Any]:
        """Run the query: `data` is a `pyarrow.Table`; as `to_pandas`."""
        return await self._frame("arrow", all_pages, decimals)

    async def _frame(
        self, library: Library, all_pages: bool, decimals: Decimals
    ) -> AeroDBResponse[Any]:
        from aerodb._frames import (
            built,
            check_installed,
            floats_for_decimals,
            typing_of,
            warn_if_cut,
        )

        check_installed(library)
        if decimals not in ("exact", "float"):
            problem = f"decimals: {describe(decimals)} was given, expected 'exact' or 'float'"
            return AeroDBResponse(error=client_error("INVALID_ARGUMENT", problem))
        query: Any = self
        asked = asked_of(query)
        tables = None if asked.table is None else await _tables_of(query._source, asked.table)
        typing = typing_of(asked.select, asked.table, tables)
        if decimals == "float":
            typing = floats_for_decimals(typing)
        plain = query._turn((query._steps, as_rows, typing.exact))
        response = await (plain.all(max_rows=None) if all_pages else plain.execute())
        warn_if_cut(response, f"to_{library}(all_pages=True) gets every row")
        return built(library, response, typing)


async def _tables_of(source: tuple[Any, str], table: str) -> list[Table] | None:
    """The description of a schema, remembered for as long as it knows the table."""
    transport, schema = source
    known: list[Table] | None = transport.described.get(schema)
    if known is not None and (not known or any(one.name == table for one in known)):
        return known or None
    response: AeroDBResponse[list[Table]] = await transport.execute(tables_call(schema))
    error = response.error
    if response.data:
        transport.described[schema] = response.data
    elif error is not None and error.status in _NEVER_THERE:
        transport.described[schema] = []  # not asked again
    return response.data or None
