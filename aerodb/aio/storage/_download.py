# GENERATED from aerodb_async_src/storage/_download.py by scripts/generate.py [3265230a06b5]: do not edit
"""One object's bytes, over as many responses as it takes."""

from __future__ import annotations

import hashlib
from io import BytesIO
from typing import Any, Self

from aerodb._core.answer import placed
from aerodb._core.errors import client_error, error_from_transport
from aerodb._core.http import SourceError, TransportError
from aerodb._core.storage.decode import object_from_headers
from aerodb._core.storage.models import FileObject
from aerodb._core.storage.ranges import Fetch, Verdict
from aerodb._io.on_asyncio import ByteStream, apart, jitter, pause
from aerodb._io.on_asyncio.transfers import BLOCK, target_of
from aerodb.types import AeroDBAPIError, AeroDBError, AeroDBResponse

from .._body import source_problem  # noqa: TID252  # of the same twin
from .._transport import AsyncTransport  # noqa: TID252  # of the same twin, whichever it is
from ._meter import AsyncMeter


class AsyncArrival:
    """The pieces of an object in their order. Where the line breaks, the rest is asked for.

    With `verify` their SHA-256 is held against the server's, if it says one, once all are there.
    `begins_anew` is True when the piece just given is the first of all, although others were given
    before. A failure is raised as `AeroDBAPIError`.
    """

    __slots__ = ("_body", "_call", "_digest", "_ended", "_fetch", "_given_up", "_transport",
                 "_verify", "begins_anew", "heads", "response")  # fmt: skip

    def __init__(self, transport: AsyncTransport, fetch: Fetch, *, verify: bool) -> None:
        self._transport = transport
        self._fetch = fetch
        self._call: Any = None
        self._body: ByteStream | None = None
        self._ended = False
        self._given_up = False
        self._verify = verify
        self._digest: Any = None
        self.begins_anew = False
        self.heads: list[tuple[bytes, bytes]] = []
        self.response: AeroDBResponse[Any] = AeroDBResponse()

    async def open(self) -> None:
        """Ask for what is missing, up to the response's head."""
        while await self._answered() == "again":
            await self.close()
            self.begins_anew = True
        if self._fetch.got == 0:
            self._digest = hashlib.sha256() if self._verify and self._fetch.digest else None

    async def _answered(self) -> Verdict:
        self._call = self._fetch.call()
        self.response = opened = await self._transport.stream(self._call)
        status, self._body = opened.meta.status, opened.data
        if opened.error is not None and not (status == 416 and self._fetch.got):
            raise AeroDBAPIError(opened.error)
        self.heads = [] if self._body is None else self._body.raw_headers
        verdict = self._fetch.answered(status, self.heads)
        if isinstance(verdict, AeroDBError):
            raise self._failed(verdict)
        self.begins_anew = self.begins_anew or verdict == "anew"
        return verdict

    async def next(self) -> bytes | None:
        """The next piece; None after the last, once it is sure that nothing is missing."""
        while not self._ended:
            try:
                if self._body is None:
                    await self.open()
                body = self._body
                self._check_wanted()
                assert body is not None
                async for piece in body:
                    self.check(self._fetch.received(len(piece)))
                    if self._digest is not None:
                        self._digest.update(piece)
                    return piece
            except TransportError as failure:
                self._check_wanted()
                await self.close()
                if not self._fetch.is_complete:
                    await self._recover(failure)
                    continue
            else:
                self.check(self._fetch.ended())
            self._ended = True
            if self._digest is not None:
                self.check(self._fetch.compared(self._digest.hexdigest()))
        return None

    async def _recover(self, failure: TransportError) -> None:
        exchange = self._transport.exchange_of(self._call, self.response.meta)
        error = error_from_transport(failure, exchange)
        again = self._fetch.broken(error, jitter())
        if isinstance(again, AeroDBError):
            raise AeroDBAPIError(again) from None
        self.begins_anew = self.begins_anew or self._fetch.begins_anew
        await pause(again.seconds)
        self._check_wanted()

    def _check_wanted(self) -> None:
        """Whoever has given it up meanwhile wants nothing to be asked for again."""
        if self._given_up:
            problem = client_error("NETWORK_ERROR", "the stream was closed while it was read")
            raise AeroDBAPIError(problem) from None

    def check(self, problem: AeroDBError | None) -> None:
        """Raise what is wrong with what came, if anything."""
        if problem is not None:
            raise self._failed(problem)

    def _failed(self, problem: AeroDBError) -> AeroDBAPIError:
        exchange = self._transport.exchange_of(self._call, self.response.meta)
        return AeroDBAPIError(placed(problem, exchange, self.response.meta.status))

    async def close(self) -> None:
        """Close the response, read or not."""
        body, self._body = self._body, None
        if body is not None:
            await body.close()

    async def give_up(self) -> None:
        """Close it for good, also for who is reading it."""
        self._given_up = True
        await self.close()


async def fetch_bytes(
    transport: AsyncTransport, fetch: Fetch, meter: AsyncMeter, *, verify: bool
) -> AeroDBResponse[bytes]:
    """The whole content. The buffer becomes the result: it is never there twice."""
    arrival, buffer = AsyncArrival(transport, fetch, verify=verify), BytesIO()
    try:
        while (piece := await arrival.next()) is not None:
            if arrival.begins_anew:
                arrival.begins_anew = False
                buffer.seek(0)
                buffer.truncate()
            buffer.write(piece)
            meter.total = fetch.size
            await meter.at(fetch.got)
    except AeroDBAPIError as failure:
        return AeroDBResponse(None, failure.error, None, arrival.response.meta)
    finally:
        await arrival.close()
    if arrival.begins_anew:
        buffer = BytesIO()
    return AeroDBResponse(buffer.getvalue(), meta=arrival.response.meta)


async def fetch_to(
    transport: AsyncTransport,
    fetch: Fetch,
    meter: AsyncMeter,
    target: Any,
    *,
    bucket: str,
    path: str,
    verify: bool,
) -> AeroDBResponse[FileObject]:
    """The content in a file, which appears when it is whole, and right."""
    arrival = AsyncArrival(transport, fetch, verify=False)  # the file is, on its way to the disk
    try:
        await arrival.open()  # before a file is made: most failures show here
        hashed = verify and fetch.digest is not None
        out = target_of(target, hashed)
        try:
            await apart(out.open)
            await _pour(arrival, fetch, meter, out)
            if hashed:
                arrival.check(fetch.compared(out.sha256()))
            await apart(out.commit)
        finally:
            out.discard()
    except AeroDBAPIError as failure:
        return AeroDBResponse(None, failure.error, None, arrival.response.meta)
    except SourceError as problem:
        return AeroDBResponse(None, source_problem(problem), None, arrival.response.meta)
    finally:
        await arrival.close()
    found = object_from_headers(bucket, path, fetch.size, arrival.heads)
    return AeroDBResponse(found, meta=arrival.response.meta)


async def _pour(arrival: AsyncArrival, fetch: Fetch, meter: AsyncMeter, out: Any) -> None:
    """Write in blocks: going to the disk for every piece would cost more than the pieces."""
    blocks: list[bytes] = []
    held = 0
    while (piece := await arrival.next()) is not None:
        if arrival.begins_anew:
            arrival.begins_anew = False
            blocks, held = [], 0
            await apart(out.restart)
        blocks.append(piece)
        held += len(piece)
        if held >= BLOCK // 2:
            await apart(out.write, blocks)
            blocks, held = [], 0
            meter.total = fetch.size
            await meter.at(fetch.got)
    if arrival.begins_anew:
        blocks = []
        await apart(out.restart)
    await apart(out.write, blocks)
    meter.total = fetch.size
    await meter.at(fetch.got)


class AsyncDownloadStream:
    """An open download. `async with` closes it; iterating gives its bytes in pieces, once.

    A broken line is taken up where it broke. Iterating is the one place with no response to put an
    error into: it raises `AeroDBAPIError`, as `unwrap()` does. `error` holds the same afterwards.

    Attributes:
        info: What the headers say of the object; None before it is opened.
        error: What went wrong.
        response: Status and headers.
    """

    __slots__ = ("_arrival", "_bucket", "_closed", "_fetch", "_opened", "_path", "_problem",
                 "error", "info", "response")  # fmt: skip

    def __init__(
        self,
        transport: AsyncTransport,
        fetch: Fetch | AeroDBError,
        bucket: str,
        path: str,
        *,
        verify: bool,
    ) -> None:
        self._fetch = fetch if isinstance(fetch, Fetch) else None
        self._problem = fetch if isinstance(fetch, AeroDBError) else None
        self._arrival = (
            None if self._fetch is None else AsyncArrival(transport, self._fetch, verify=verify)
        )
        self._bucket = bucket
        self._path = path
        self._opened = False
        self._closed = False
        self.error: AeroDBError | None = None
        self.info: FileObject | None = None
        self.response: AeroDBResponse[None] = AeroDBResponse()

    async def __aenter__(self) -> Self:
        if self._opened:
            raise TypeError("this stream has been opened already: call download_stream() again")
        self._opened = True
        arrival, fetch = self._arrival, self._fetch
        if arrival is None or fetch is None:
            self.error = self._problem
            self.response = AeroDBResponse(error=self._problem)
            return self
        try:
            await arrival.open()
        except AeroDBAPIError as failure:
            self.error = failure.error
            await arrival.close()
        meta = arrival.response.meta
        self.response = AeroDBResponse(None, self.error, None, meta)
        if self.error is None:
            self.info = object_from_headers(self._bucket, self._path, fetch.size, arrival.heads)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the response, read or not."""
        self._closed = True
        if self._arrival is not None:
            await self._arrival.give_up()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if not self._opened:
            raise TypeError("open the stream first: it is a context manager")
        if self.error is not None:
            raise AeroDBAPIError(self.error)
        if self._closed:
            raise TypeError("this stream is closed: read it inside its block")
        assert self._arrival is not None
        try:
            piece = await self._arrival.next()
        except AeroDBAPIError as failure:
            self.error = failure.error
            await self.close()
            raise
        if piece is None:
            raise StopAsyncIteration
        return piece
