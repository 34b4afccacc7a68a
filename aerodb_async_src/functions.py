# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""Calling functions that run on the server: whole answers, and answers piece by piece."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal, Self, TypeVar, overload

from aerodb._core.answer import placed
from aerodb._core.database.rows import converter, type_name
from aerodb._core.errors import Exchange, client_error, error_from_transport
from aerodb._core.functions import (
    EventReader,
    FunctionInfo,
    Invocation,
    LineSplitter,
    Parts,
    ServerSentEvent,
    invoke_call,
    list_call,
)
from aerodb._core.functions.lines import TooLong
from aerodb._core.http import Prepared, TransportError
from aerodb._io.on_asyncio import ByteStream, new_id
from aerodb.types import AeroDBAPIError, AeroDBError, AeroDBResponse

from ._body import send_parts
from ._transport import AsyncTransport

T = TypeVar("T")
HttpMethod = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
ResponseType = Literal["auto", "json", "text", "bytes"]
FunctionList = list[FunctionInfo]


class AsyncFunctionStream:
    """An open answer of a function. `async with` opens and closes it; it is read once, by one of
    `iter_bytes`, `iter_lines` and `iter_events`.

    Iterating has no response to put an error into: it raises `AeroDBAPIError`, as `unwrap()`
    does; also if the function could not be called, which `error` tells before.

    Attributes:
        error: Why there is nothing (more) to read.
        response: Status, headers and the like, in its `meta`; no data.
    """

    __slots__ = ("_body", "_closed", "_exchange", "_parts", "_prepared", "_transport", "error",
                 "response")  # fmt: skip

    def __init__(
        self, transport: AsyncTransport, prepared: Prepared[Any], parts: Parts = ()
    ) -> None:
        self._transport = transport
        self._prepared = prepared
        self._parts = parts
        self._body: ByteStream | None = None
        self._closed = False
        self._exchange: Exchange | None = None
        self.error: AeroDBError | None = None
        self.response: AeroDBResponse[None] = AeroDBResponse()

    @property
    def status(self) -> int | None:
        """The HTTP status; None if no answer came."""
        return self.response.meta.status

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the answer, by their names in any case."""
        return self.response.meta.headers

    async def __aenter__(self) -> Self:
        if self._exchange is not None:
            raise TypeError("this stream has been opened already: call stream() again")
        opened = await send_parts(self._transport, self._prepared, self._parts, stream=True)
        self._body = opened.data
        self.error = opened.error
        self.response = AeroDBResponse(None, opened.error, None, opened.meta)
        self._exchange = self._transport.exchange_of(self._prepared, opened.meta)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the answer, read or not. The server is told that nobody reads it any more."""
        self._closed = True
        body, self._body = self._body, None
        if body is not None:
            await body.close()

    async def iter_bytes(self) -> AsyncIterator[bytes]:
        """The body in pieces as they come, of any size."""
        body = self._opened()
        if body is None:
            return
        try:
            async for piece in body:
                yield piece
                self._opened()  # it may have been closed meanwhile, and is then not at its end
        except TransportError as failure:
            raise self._broken(failure) from None

    async def iter_lines(self) -> AsyncIterator[str]:
        """The body line by line, without the line ends (LF, CR LF or CR)."""
        splitter = LineSplitter(self._limit)
        try:
            async for piece in self.iter_bytes():
                for line in splitter.feed(piece):
                    yield line.decode("utf-8", "replace")
        except TooLong as problem:
            raise await self._too_long(problem) from None
        for line in splitter.finish():
            yield line.decode("utf-8", "replace")

    async def iter_events(self) -> AsyncIterator[ServerSentEvent]:
        """The events of a `text/event-stream`."""
        reader = EventReader(self._limit)
        try:
            async for piece in self.iter_bytes():
                for event in reader.feed(piece):
                    yield event
        except TooLong as problem:
            raise await self._too_long(problem) from None

    @property
    def _limit(self) -> int:
        return self._transport.options.max_response_bytes

    def _opened(self) -> ByteStream | None:
        if self._exchange is None:
            raise TypeError("open the stream first: it is a context manager")
        if self.error is not None:
            raise AeroDBAPIError(self.error)
        if self._closed:
            raise TypeError("this stream is closed: read it inside its block")
        return self._body

    def _broken(self, failure: TransportError) -> AeroDBAPIError:
        assert self._exchange is not None
        self.error = error_from_transport(failure, self._exchange)
        return AeroDBAPIError(self.error)

    async def _too_long(self, problem: TooLong) -> AeroDBAPIError:
        assert self._exchange is not None
        await self.close()
        found = client_error("RESPONSE_TOO_LARGE", f"the answer has {problem}")
        self.error = placed(found, self._exchange, self.status)
        return AeroDBAPIError(self.error)


class AsyncFunctionsClient:
    """Calls functions by their names. Answers are `AeroDBResponse`s; nothing here raises for a
    failure."""

    __slots__ = ("_transport",)

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._transport.base.url()}>"

    @overload
    async def invoke(
        self,
        name: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        method: HttpMethod = "POST",
        *,
        query: Mapping[str, Any] | None = None,
        path: str = "",
        region: str | None = None,
        timeout: float | None = None,
        response_type: ResponseType = "auto",
        returns: type[T],
        files: Mapping[str, Any] | None = None,
    ) -> AeroDBResponse[T]: ...

    @overload
    async def invoke(
        self,
        name: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        method: HttpMethod = "POST",
        *,
        query: Mapping[str, Any] | None = None,
        path: str = "",
        region: str | None = None,
        timeout: float | None = None,
        response_type: ResponseType = "auto",
        returns: None = None,
        files: Mapping[str, Any] | None = None,
    ) -> AeroDBResponse[Any]: ...

    async def invoke(
        self,
        name: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        method: HttpMethod = "POST",
        *,
        query: Mapping[str, Any] | None = None,
        path: str = "",
        region: str | None = None,
        timeout: float | None = None,
        response_type: ResponseType = "auto",
        returns: Any = None,
        files: Mapping[str, Any] | None = None,
    ) -> AeroDBResponse[Any]:
        """Call a function and read its whole answer.

        Args:
            name: The function: a letter, then up to 63 letters, digits, `_` and `-`.
            body: None; text; bytes; a `pathlib.Path`, a file opened in binary mode or an iterator
                of bytes, in `AsyncAeroDBClient` an async one too, which is read while it is
                sent; anything else as JSON. What an iterator gave is not sent again.
            headers: For this call alone; they win over the client's own.
            method: `GET` and `HEAD` take no body.
            query: Parameters of the URL; a list repeats its name, None leaves it out.
            path: What follows the name in the URL.
            region: Where to run it, on servers that know regions.
            timeout: Seconds for the whole call; 60 if not given.
            response_type: `auto` goes by the Content-Type: JSON is parsed, `text/*` is text,
                anything else bytes, and an empty body None.
            returns: The type of the data, as for rows: TypedDict, dataclass, pydantic, msgspec.
            files: Makes the body `multipart/form-data`: form name -> content, `(file name,
                content)` or `(file name, content, media type)`, or a list of those. A content
                is bytes, text, or one of what is read while it is sent; a file that changes
                meanwhile is `SOURCE_CHANGED`. `body` then holds the plain fields.

        Any status outside of 200-299 is an `error`. If the function itself answered so,
        `error.details` is its parsed body. Codes of the platform's own: `function_not_found`,
        `function_timeout`, `function_error`, `method_not_allowed`, `payload_too_large`.

        A call that may have run is not repeated, but for GET and HEAD (wire-contract §1.8).
        """
        given = Invocation(name, body, headers, method, query, path, region, timeout, files)
        convert = (None, "") if returns is None else (converter(returns), type_name(returns))
        call, parts = invoke_call(
            given,
            response_type=response_type,
            convert=convert,
            boundary="" if files is None else new_id(),
        )
        return await send_parts(self._transport, call, parts, stream=False)

    def stream(
        self,
        name: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        method: HttpMethod = "POST",
        *,
        query: Mapping[str, Any] | None = None,
        path: str = "",
        region: str | None = None,
        timeout: float | None = None,
        files: Mapping[str, Any] | None = None,
    ) -> AsyncFunctionStream:
        """Call a function and read its answer as it comes; to be used with `async with`.

        Arguments are those of `invoke`, but that `timeout` is for each wait, for the beginning of
        the answer and then for more of it: 60 s if not given, `math.inf` for no limit.
        """
        given = Invocation(name, body, headers, method, query, path, region, timeout, files)
        call, parts = invoke_call(given, boundary="" if files is None else new_id(), endless=True)
        return AsyncFunctionStream(self._transport, call, parts)

    async def list(self) -> AeroDBResponse[FunctionList]:
        """Which functions the server has, by name."""
        return await self._transport.execute(list_call())
