# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""One call on its way through the loop."""

from __future__ import annotations

from math import inf

from aerodb._core.errors import Exchange
from aerodb._core.headers import ClientHeaders
from aerodb._core.http import AnyCall, HeaderList, RawResponse
from aerodb._core.session import Grant
from aerodb._core.url import BaseUrl
from aerodb._io.on_asyncio import ByteStream, monotonic, new_id
from aerodb.types import AeroDBError

from ._session import AsyncSessionKeeper

MAX_ERROR_BYTES = 64 * 1024


class Flight:
    """One call on its way: what must stay the same, and be counted, over its attempts."""

    __slots__ = (
        "attempts",
        "call",
        "deadline",
        "doubtful",
        "ended",
        "grant",
        "key",
        "patience",
        "replayed",
        "request_id",
        "retry",
        "started",
        "timeout",
        "trace",
    )

    def __init__(self, call: AnyCall, timeout: float) -> None:
        self.call = call
        self.patience = timeout  # of what comes before the request itself
        self.timeout = (
            (timeout if call.idle is None else inf) if call.timeout is None else (call.timeout)
        )
        self.request_id = new_id()
        self.started = monotonic()
        self.deadline = self.started + self.timeout
        self.attempts = 0
        self.doubtful = False
        self.retry = call.retry
        self.grant: Grant | None = None
        self.replayed = False
        self.ended: AeroDBError | None = None
        self.trace: HeaderList = []  # what an observer has the request carry
        self.key = new_id().encode("ascii") if call.keyed == "made" else None

    def exchange(
        self, base: BaseUrl, headers: ClientHeaders, session: AsyncSessionKeeper
    ) -> Exchange:
        """What an error says of the call; made when there is one."""
        return Exchange(
            self.call.method,
            base.url(self.call.path),
            self.retry,
            self.request_id,
            self.attempts,
            self.call.idle if self.timeout == inf else self.timeout,
            self.doubtful,
            (*headers.secrets(self.token), *self.call.secrets, *session.secrets()),
        )

    @property
    def end(self) -> float | None:
        """When it must be over, if at all, as the shim wants it."""
        return None if self.deadline == inf else self.deadline

    @property
    def spent(self) -> bool:
        """Whether the body was read, and cannot be read again (wire-contract §1.8)."""
        body = self.call.body
        return (
            body is not None
            and not isinstance(body, bytes)
            and (body.begun and not body.replayable)
        )

    @property
    def token(self) -> str | None:
        """The session's token that the next attempt carries."""
        return None if self.grant is None else self.grant.token


async def beginning(answer: ByteStream) -> RawResponse:
    """The beginning of a streamed error's body is enough to read it."""
    body = bytearray()
    try:
        async for chunk in answer:
            body += chunk
            if len(body) >= MAX_ERROR_BYTES:
                break
    finally:
        await answer.close()
    return RawResponse(answer.status, answer.raw_headers, bytes(body))
