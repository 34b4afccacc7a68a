# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""The query: verbs that say what comes back, and methods that run it.

Filters, modifiers and everything else that needs no waiting are in `aerodb._core.database`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Generic, Literal, TypeVar

from aerodb._core.database import verbs
from aerodb._core.database.batches import BatchProgress, BatchReport, RowSource, Tally, batch_verb
from aerodb._core.database.modifiers import CountMode, Returning
from aerodb._core.database.pages import Pager
from aerodb._core.database.query import QueryBase
from aerodb._core.database.render import local_error, prepare
from aerodb._core.database.results import (
    all_rows,
    counted,
    existing,
    explained,
    first_row,
    scalars_of,
    unexplained,
)
from aerodb._core.frames.rows import frame_rows
from aerodb._core.values import BadValue
from aerodb._io.on_asyncio import Executable
from aerodb.types import AeroDBResponse

from .batches import execute_together, waves
from .frames import AsyncFrames
from .rows import AsyncRowStream

RowT = TypeVar("RowT")
ResultT = TypeVar("ResultT")
NewT = TypeVar("NewT")


class AsyncQueryBuilder(
    QueryBase, AsyncFrames, Executable[AeroDBResponse[ResultT]], Generic[RowT, ResultT]
):
    """A query: an immutable value. Every method gives a new one; `execute()` runs it.

    Running it twice sends it twice. What is wrong with a value is in the response's `error`.
    """

    __slots__ = ()

    # --- verbs: what comes back

    def select(
        self, *columns: Any, count: CountMode | None = None, head: bool = False
    ) -> AsyncQueryBuilder[RowT, list[RowT]]:
        """Choose columns: names, one text with commas, `col()` and `embed()`; all if none.

        After a write it chooses what the write answers with.

        Args:
            columns: Text is the server's own grammar: trusted input.
            count: Ask for the total number of rows as well.
            head: Ask for headers only; `data` is then empty.
        """
        step = (self._steps, verbs.select, columns, count, head)
        query: AsyncQueryBuilder[RowT, list[RowT]] = self._turn(step)
        return query

    def insert(
        self,
        values: Any,
        *,
        returning: Returning | None = None,
        count: CountMode | None = None,
        default_to_null: bool = True,
        upsert: bool = False,
    ) -> AsyncQueryBuilder[RowT, list[RowT]]:
        """Insert a row or rows: mappings, models, or a table of pandas, polars or pyarrow. All or
        nothing.

        Args:
            values: The rows. Columns that only some rows have are filled as `default_to_null` says.
            returning: `"representation"` (the rows come back), `"minimal"` or `"headers-only"`
                (`data` is then empty).
            count: Ask for the number of inserted rows.
            default_to_null: False fills missing columns with their default instead of NULL.
            upsert: As `upsert()`, on the primary key.
        """
        return self._write(
            "upsert" if upsert else "insert",
            values,
            returning=returning,
            count=count,
            default_to_null=default_to_null,
        )

    def upsert(
        self,
        values: Any,
        *,
        on_conflict: str | Sequence[str] | None = None,
        ignore_duplicates: bool = False,
        returning: Returning | None = None,
        count: CountMode | None = None,
        default_to_null: bool = True,
    ) -> AsyncQueryBuilder[RowT, list[RowT]]:
        """Insert rows, or update those that are there already.

        Args:
            values: The rows, as for `insert`.
            on_conflict: The unique columns that tell whether a row is there; the primary key
                if unsaid.
            ignore_duplicates: Leave rows that are there as they are.
            returning: As for `insert`.
            count: As for `insert`.
            default_to_null: As for `insert`.
        """
        return self._write(
            "upsert",
            values,
            on_conflict=on_conflict,
            ignore_duplicates=ignore_duplicates,
            returning=returning,
            count=count,
            default_to_null=default_to_null,
        )

    def update(
        self,
        values: Any,
        *,
        returning: Returning | None = None,
        count: CountMode | None = None,
        max_affected: int | None = None,
    ) -> AsyncQueryBuilder[RowT, list[RowT]]:
        """Change the rows that the filters choose, before or after this call.

        Without a filter it is refused (`MISSING_FILTER`) unless `all_rows()` is called.
        """
        options = {"returning": returning, "count": count, "max_affected": max_affected}
        return self._write("update", values, **options)

    def delete(
        self,
        *,
        returning: Returning | None = None,
        count: CountMode | None = None,
        max_affected: int | None = None,
    ) -> AsyncQueryBuilder[RowT, list[RowT]]:
        """Delete the rows that the filters choose, before or after this call.

        Without a filter it is refused (`MISSING_FILTER`) unless `all_rows()` is called.
        """
        options = {"returning": returning, "count": count, "max_affected": max_affected}
        return self._write("delete", None, **options)

    def _write(self, verb: str, values: Any, **options: Any) -> AsyncQueryBuilder[RowT, list[RowT]]:
        step = verbs.write_step(self._steps, verb, values, options)
        query: AsyncQueryBuilder[RowT, list[RowT]] = self._turn(step)
        return query

    # --- the shape of the result

    def single(self) -> AsyncQueryBuilder[RowT, RowT]:
        """Expect exactly one row: `data` is the row. None or several are the error `PGRST116`, and
        a write is then undone."""
        step = (self._steps, verbs.row_shape, "single", None)
        query: AsyncQueryBuilder[RowT, RowT] = self._turn(step)
        return query

    def maybe_single(self) -> AsyncQueryBuilder[RowT, RowT | None]:
        """Expect at most one row: `data` is the row or None. Several are the error `PGRST116`."""
        step = (self._steps, verbs.row_shape, "maybe_single", None)
        query: AsyncQueryBuilder[RowT, RowT | None] = self._turn(step)
        return query

    def returns(self, row_type: type[NewT]) -> AsyncQueryBuilder[NewT, list[NewT]]:
        """Make rows of another type, as the second argument of `from_` does."""
        step = (self._steps, verbs.row_shape, None, row_type)
        query: AsyncQueryBuilder[NewT, list[NewT]] = self._turn(step)
        return query

    def get(self, value: Any, *, column: str = "id") -> AsyncQueryBuilder[RowT, RowT]:
        """The one row with this key."""
        return self.eq(column, value).single()

    # --- running it

    async def execute(self) -> AeroDBResponse[ResultT]:
        """Run the query."""
        transport = self._source[0]
        response: AeroDBResponse[ResultT] = await transport.execute(
            prepare(self, transport.max_url_bytes)
        )
        if response.error is None or not unexplained(response.error):
            return response
        asking = self._turn((self._steps, verbs.reason_only))
        return explained(
            response, await transport.execute(prepare(asking, transport.max_url_bytes))
        )

    async def first(self) -> AeroDBResponse[RowT | None]:
        """The first row, or None if there is none."""
        response: AeroDBResponse[Any] = await self.limit(1).execute()
        return first_row(response)

    async def exists(self) -> AeroDBResponse[bool]:
        """Whether any row matches."""
        response: AeroDBResponse[Any] = await self.limit(1).execute()
        return existing(response)

    async def count(self, mode: CountMode = "exact") -> AeroDBResponse[int]:
        """How many rows match, without fetching them.

        Args:
            mode: `exact` counts, `planned` asks the planner, `estimated` counts small results only.
        """
        query = self._turn((self._steps, verbs.count_only, mode))
        response: AeroDBResponse[Any] = await query.execute()
        return counted(response)

    async def scalars(self, column: str) -> AeroDBResponse[list[Any]]:
        """The values of one column."""
        query = self._turn((self._steps, verbs.one_column, column))
        response: AeroDBResponse[Any] = await query.execute()
        return scalars_of(response)

    async def csv(self) -> AeroDBResponse[str]:
        """The rows as CSV text, with a header line."""
        query = self._turn((self._steps, verbs.row_shape, "csv", None))
        response: AeroDBResponse[str] = await query.execute()
        return response

    async def geojson(self) -> AeroDBResponse[dict[str, Any]]:
        """The rows as a GeoJSON feature collection (needs PostGIS)."""
        query = self._turn((self._steps, verbs.row_shape, "geojson", None))
        response: AeroDBResponse[dict[str, Any]] = await query.execute()
        return response

    async def explain(
        self,
        *,
        analyze: bool = False,
        verbose: bool = False,
        settings: bool = False,
        buffers: bool = False,
        wal: bool = False,
        format: Literal["text", "json"] = "text",
    ) -> AeroDBResponse[Any]:
        """PostgreSQL's plan of the query: text, or a list for `format="json"`.

        With `analyze=True` the query is really run. Servers allow all this only if told to.
        """
        wanted = {
            "analyze": analyze,
            "verbose": verbose,
            "settings": settings,
            "buffers": buffers,
            "wal": wal,
        }
        query = self._turn((self._steps, verbs.explain, wanted, format))
        response: AeroDBResponse[Any] = await query.execute()
        return response

    # --- more rows than one response holds

    async def pages(
        self,
        *,
        page_size: int = 500,
        key: str | Sequence[str] | None = None,
        max_rows: int | None = None,
    ) -> AsyncIterator[AeroDBResponse[list[RowT]]]:
        """All rows, as one response a page. An error is the last page.

        Args:
            page_size: Rows to ask for at once; fewer may come, nothing is lost.
            key: A unique, not null column (`"-column"` for descending), or several that are
                unique together. Pages then follow the key, so rows that come and go meanwhile
                shift nothing, and late pages cost no more than early ones. Without, pages are
                cut by offset: then give the query an `order()` that is unambiguous.
            max_rows: Stop after so many.
        """
        pager = Pager(self, page_size, key, max_rows)
        while True:
            query = pager.next_query()
            if query is None:
                break
            response: AeroDBResponse[Any] = await query.execute()
            page = pager.feed(response)
            if page is not None:
                yield page
        if pager.problem is not None:
            yield pager.problem

    async def iterate(
        self,
        *,
        page_size: int = 500,
        key: str | Sequence[str] | None = None,
        max_rows: int | None = None,
    ) -> AsyncIterator[RowT]:
        """All rows, one by one, fetched page by page; the arguments are those of `pages`.

        There is no response to put an error into, so it raises `AeroDBAPIError`, as `unwrap()`
        does: rows are never missing in silence.
        """
        async for page in self.pages(page_size=page_size, key=key, max_rows=max_rows):
            for row in page.unwrap():
                yield row

    async def all(
        self,
        *,
        page_size: int = 500,
        key: str | Sequence[str] | None = None,
        max_rows: int = 100_000,
    ) -> AeroDBResponse[list[RowT]]:
        """All rows in one response, whatever the server's limit for one answer is.

        Stops at `max_rows`: then `meta.truncated` is True.
        """
        pager = Pager(self, page_size, key, max_rows)
        found: list[AeroDBResponse[Any]] = []
        while True:
            query = pager.next_query()
            if query is None:
                return all_rows(found, pager)
            response: AeroDBResponse[Any] = await query.execute()
            page = pager.feed(response)
            if page is not None:
                found.append(page)

    def stream(self) -> AsyncRowStream[RowT]:
        """The rows of one response while it arrives, in bounded memory.

        `async with query.stream() as rows:` and then `async for row in rows:`.
        """
        transport = self._source[0]
        return AsyncRowStream(transport, prepare(self, transport.max_url_bytes))

    async def insert_many(
        self,
        rows: RowSource,
        *,
        batch_size: int = 500,
        concurrency: int = 1,
        on_error: Literal["stop", "continue"] = "stop",
        upsert: bool = False,
        on_conflict: str | Sequence[str] | None = None,
        ignore_duplicates: bool = False,
        default_to_null: bool = True,
        progress: Callable[[BatchProgress], Any] | None = None,
    ) -> AeroDBResponse[BatchReport]:
        """Insert any number of rows, a batch at a time; each batch is all or nothing.

        Args:
            rows: Rows, from a generator as well: only what is on its way is in memory; or a
                pandas, polars or pyarrow table.
            batch_size: Rows in one request.
            concurrency: Requests at the same time. Above 1, batches that were on their way beside
                one that failed may have been written.
            on_error: Whether to go on after a batch that failed.
            upsert: Update rows that are there already; so does `on_conflict`.
            on_conflict: As for `upsert`.
            ignore_duplicates: As for `upsert`.
            default_to_null: As for `insert`.
            progress: Called with a `BatchProgress` after each batch.

        The report is in `data`, also if there is an error: it is that of the first failed batch.
        """
        tally = Tally(batch_size, concurrency, on_error, progress)
        if tally.problem is not None:
            return tally.problem
        verb, options = batch_verb(upsert, on_conflict, ignore_duplicates, default_to_null)
        source = frame_rows(rows)
        if isinstance(source, BadValue):
            return local_error(source)
        async for wave in waves(source, batch_size, concurrency):
            writes = [self._write(verb, batch, **options) for batch in wave]
            queries = [
                write._turn((write._steps, verbs.batch_of, number))
                for number, write in enumerate(writes, tally.batches)
            ]
            responses = await execute_together(queries)
            for batch, response in zip(wave, responses, strict=True):
                tally.add(len(batch), response.error)
            if tally.stopped:
                break
        return tally.response()
