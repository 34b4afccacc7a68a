"""The values every operation of both twins answers with.

Standard library only, and nothing of aerodb but how to make and to show them: every other module
may import this one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar, overload

from aerodb._dataclass import dataclass, field

__all__ = ["AeroDBAPIError", "AeroDBError", "AeroDBResponse", "ResponseMeta"]

T_co = TypeVar("T_co", covariant=True)
D = TypeVar("D")


@dataclass(frozen=True, slots=True)
class AeroDBError:
    """Why an operation did not succeed. A value, never raised by itself.

    Attributes:
        message: What happened, for a person. Holds no secret.
        status: The HTTP status, if a response was seen.
        code: A stable name: the server's own (`PGRST116`, `23505`, `invalid_credentials`) or one
            of the client's, which are upper case (`NETWORK_ERROR`, `TIMEOUT`; wire-contract §1.5).
        details: What the server added: text, a list, or None.
        hint: What to do about it, if the server or the client knows.
        request_id: The `X-Request-Id` of the call; the same on all its attempts.
        retry_after: Seconds that the server asked to wait.
        retryable: Whether the same call may succeed later without being changed.
        maybe_applied: Whether a write may have taken effect although this error came back.
        attempts: How many times the request was sent, or tried to be.
        method: The HTTP method.
        url: The URL without secrets.
    """

    message: str
    status: int | None = None
    code: str | None = None
    details: Any = None
    hint: str | None = None
    request_id: str | None = None
    retry_after: float | None = None
    retryable: bool = False
    maybe_applied: bool = False
    attempts: int = 0
    method: str | None = None
    url: str | None = None

    def __str__(self) -> str:
        label = " ".join(str(part) for part in (self.code, self.status) if part is not None)
        text = f"{label}: {self.message}" if label else self.message
        return f"{text} ({self.hint})" if self.hint else text

    def __rich__(self) -> Any:
        """What rich prints."""
        from aerodb._display import rich_text

        return rich_text(str(self))

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from aerodb._display import html_error

        label = " ".join(str(part) for part in (self.code, self.status) if part is not None)
        return html_error(label, self)


class AeroDBAPIError(Exception):
    """Raised by `AeroDBResponse.unwrap()` only; `error` holds the `AeroDBError`."""

    def __init__(self, error: AeroDBError) -> None:
        super().__init__(str(error))
        self.error = error

    @property
    def code(self) -> str | None:
        """The error's stable name, see `AeroDBError.code`."""
        return self.error.code

    @property
    def status(self) -> int | None:
        """The HTTP status, if there was a response."""
        return self.error.status

    @property
    def message(self) -> str:
        """What happened, for a person, see `AeroDBError.message`."""
        return self.error.message

    @property
    def details(self) -> Any:
        """What the server added, see `AeroDBError.details`."""
        return self.error.details

    @property
    def hint(self) -> str | None:
        """What to do about it, if anybody knows, see `AeroDBError.hint`."""
        return self.error.hint

    def __reduce__(self) -> tuple[type[AeroDBAPIError], tuple[AeroDBError]]:
        return type(self), (self.error,)


@dataclass(frozen=True, slots=True)
class ResponseMeta:
    """What is known about the exchange itself.

    Attributes:
        status: The HTTP status of the last attempt; None if nothing was sent.
        headers: The response headers, names in lower case.
        attempts: How many times the request was sent (0: it was answered without one).
        elapsed: Seconds from the first attempt to the decoded answer.
        request_id: The `X-Request-Id` sent along.
        range: First and last row number of the page (`Content-Range`), counted from 0.
        truncated: True if the server holds more rows than it sent although no limit was asked
            for, or fewer than were asked for came back because of its row cap; False if the page
            is known to be whole; None if that cannot be told.
        affected: How many rows a write changed, if the server said so.
        warnings: What did not stop the call and should be known.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    attempts: int = 0
    elapsed: float = 0.0
    request_id: str | None = None
    range: tuple[int, int] | None = None
    truncated: bool | None = None
    affected: int | None = None
    warnings: tuple[str, ...] = ()


_NO_META = ResponseMeta()


@dataclass(frozen=True, slots=True)
class AeroDBResponse(Generic[T_co]):
    """What every operation returns: `data` if it went well, else `error`.

    `data, error = response` unpacks it. `count` is the total that was asked for with `count=`.
    """

    data: T_co | None = None
    error: AeroDBError | None = None
    count: int | None = None
    meta: ResponseMeta = field(default=_NO_META, compare=False)

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return self.error is None

    def unwrap(self) -> T_co:
        """Return `data`, or raise `AeroDBAPIError` if there is an error."""
        if self.error is not None:
            raise AeroDBAPIError(self.error)
        return self.data  # type: ignore[return-value]  # None is a T where T admits None

    @overload
    def unwrap_or(self, default: T_co) -> T_co: ...  # type: ignore[misc]  # read only position

    @overload
    def unwrap_or(self, default: D) -> T_co | D: ...

    def unwrap_or(self, default: Any) -> Any:
        """Return `data`, or `default` if there is an error."""
        return self.data if self.error is None else default

    def __bool__(self) -> bool:
        """Whether it went well and is not the answer False: `if query.exists():` asks for a row.

        True also where no row was found. Whether it went well alone is `ok`.
        """
        return self.error is None and self.data is not False

    def __iter__(self) -> Iterator[Any]:
        """`data` and `error`, for `data, error = response`. Rows are in `data`."""
        yield self.data
        yield self.error

    def __str__(self) -> str:
        """A table of at most 20 rows and 12 columns, or the error and its details: for `print`."""
        from aerodb._display import notes, text_error, text_table

        if self.error is not None:
            return text_error(self.error)
        return "\n".join([text_table(self.data), *notes(self)])

    def __repr__(self) -> str:
        """What a Python prompt shows: one short line."""
        from aerodb._display import short_repr

        return short_repr(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What IPython shows in a terminal."""
        printer.text("..." if cycle else str(self))

    def __rich__(self) -> Any:
        """What rich prints: the table, with nothing in it taken for markup."""
        from aerodb._display import rich_text

        return rich_text(str(self))

    def _repr_html_(self) -> str:
        """What a notebook shows. Every value is escaped."""
        from aerodb._display import html_table, notes

        if self.error is not None:
            return self.error._repr_html_()
        return html_table(self.data) + "".join(f"<p>{note}</p>" for note in notes(self))

    def to_pandas(self, types: Mapping[str, str] | None = None) -> AeroDBResponse[Any]:
        """The rows as a `pandas.DataFrame`; an error stays what it is.

        Args:
            types: PostgreSQL's names of columns' types, `{"price": "numeric"}`; what is not named
                is inferred from the JSON values. A query's own `to_pandas()` knows them all, and
                keeps every digit of a numeric, which here has been a float already.

        Raises:
            ImportError: The library is not installed: `pip install "aerodb[pandas]"`.
        """
        from aerodb._frames import framed

        return framed("pandas", self, types)

    def to_polars(self, types: Mapping[str, str] | None = None) -> AeroDBResponse[Any]:
        """The rows as a `polars.DataFrame`; as `to_pandas`."""
        from aerodb._frames import framed

        return framed("polars", self, types)

    def to_arrow(self, types: Mapping[str, str] | None = None) -> AeroDBResponse[Any]:
        """The rows as a `pyarrow.Table`; as `to_pandas`."""
        from aerodb._frames import framed

        return framed("arrow", self, types)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """What lets other libraries take the rows: `duckdb`, `polars.DataFrame(response)`.

        Raises:
            AeroDBAPIError: The response is an error, or holds no rows.
            ImportError: pyarrow is not installed.
        """
        return self.to_arrow().unwrap().__arrow_c_stream__(requested_schema)

    if not TYPE_CHECKING:  # type checkers know that there is nothing else

        def __len__(self) -> NoReturn:
            raise TypeError("a response has no length: len(response.data) counts its rows")

        def __getitem__(self, at: object) -> NoReturn:
            raise TypeError("a response has no items: its rows are in .data")

        def __array__(self, *given: object, **named: object) -> NoReturn:
            """What pandas and numpy ask: to them, `data` and `error` would be two rows."""
            raise TypeError(
                "a response is no array: response.to_pandas().unwrap() is its data frame, "
                "and its rows are in .data"
            )

        def __getattr__(self, name: str) -> NoReturn:
            text = f"{type(self).__name__!r} object has no attribute {name!r}"
            if name == "execute":
                text += ": the query has run, and this is its answer; the rows are in .data"
            elif f" {name} " in _OF_A_QUERY:
                text += f": the query has run, and this is its answer; .{name}() comes before that"
            elif not name.startswith("_"):  # those are what consoles ask for
                if self.error is not None:
                    text += f": the call failed, with {self.error}"
                elif hasattr(self.data, name):
                    text += f": its data has it, .data.{name}"
            raise AttributeError(text, name=name, obj=self)


_OF_A_QUERY = (
    " select insert upsert update delete eq neq gt gte lt lte between in_ not_in not_ is_ like "
    "ilike match or_ where filter contains contained_by overlaps text_search order limit offset "
    "range single maybe_single first exists all iterate pages returns "
)
