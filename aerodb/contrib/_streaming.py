"""Answers that go on: the events of a channel, the bytes of an object (ASGI, by Starlette).

What they are about is opened when the answer is called for, before its head is sent: what AeroDB
refuses is an error with a status, and an answer that is never sent leaves nothing open. What was
opened is closed in a task of its own, since whoever is cancelled may not wait any more.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from aerodb import AeroDBAPIError

HEARTBEAT = b": still here\n\n"
"""A comment: browsers pass over it, and proxies see that the line is in use."""
_PASSED_ON = ("content-disposition", "content-security-policy", "content-range")
_RANGE = re.compile(r"bytes=(\d{1,18})-(\d{0,18})")
_ending: set[asyncio.Task[None]] = set()


async def _ended(work: Coroutine[Any, Any, None]) -> None:
    """Have it done whatever becomes of who waits for it."""
    task = asyncio.ensure_future(work)
    _ending.add(task)
    task.add_done_callback(_ending.discard)
    await asyncio.shield(task)


# --- the events of a channel -------------------------------------------------------------------


class _Use:
    """How many answers read a channel. The last to leave ends the subscription, if it is ours."""

    def __init__(self, channel: Any) -> None:
        self.channel = channel
        self.lock = asyncio.Lock()
        self.count = 0
        self.ours = False


_uses: dict[int, _Use] = {}


async def _join(channel: Any) -> _Use:
    use = _uses.setdefault(id(channel), _Use(channel))
    use.count += 1
    try:
        async with use.lock:
            use.ours = use.ours or channel.state == "idle"
            (await channel.subscribe()).unwrap()
    except BaseException:
        await _ended(_leave(use))
        raise
    return use


async def _leave(use: _Use) -> None:
    use.count -= 1
    async with use.lock:
        if use.count == 0 and use.ours:
            await use.channel.unsubscribe()
            use.ours = False
        if use.count == 0:
            _uses.pop(id(use.channel), None)


class ChannelAnswer(StreamingResponse):
    """What `channel_events` returns."""

    def __init__(
        self, channel: Any, *, heartbeat: float, prepare: Callable[[Any], Any] | None
    ) -> None:
        if heartbeat <= 0:
            raise ValueError(f"heartbeat must be above 0 seconds, not {heartbeat}")
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__((), headers=headers, media_type="text/event-stream")
        self._channel = channel
        self._heartbeat = heartbeat
        self._prepare = prepare or dict

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Subscribe, answer, and leave."""
        stream = self._channel.events()
        try:
            use = await _join(self._channel)
            try:
                self.body_iterator = self._frames(stream)
                await super().__call__(scope, receive, send)
            finally:
                await _ended(_leave(use))
        finally:
            stream.close()

    async def _frames(self, stream: Any) -> AsyncGenerator[bytes]:
        yield HEARTBEAT  # from here on nothing is missed
        try:
            while (event := await stream.get(self._heartbeat)) is not None or not stream.is_closed:
                yield HEARTBEAT if event is None else self._frame(event)
        except AeroDBAPIError as problem:
            yield sse({"code": problem.error.code}, event="error")

    def _frame(self, event: Any) -> bytes:
        number = event.sequence
        return sse(
            self._prepare(event), event=event.type, id=None if number is None else str(number)
        )


def sse(data: Any, *, event: str, id: str | None = None) -> bytes:
    """One event (HTML standard §9.2). JSON has no line breaks, so that it is one `data` line."""
    lines = [f"event: {event}", f"data: {json.dumps(data, ensure_ascii=False, default=str)}"]
    if id is not None:
        lines.insert(0, f"id: {id}")
    return ("\n".join(lines) + "\n\n").encode(errors="replace")


# --- the bytes of an object ---------------------------------------------------------------------


class ObjectAnswer(StreamingResponse):
    """What `stream_object` returns."""

    def __init__(self, bucket: Any, path: str, headers: dict[str, str] | None) -> None:
        super().__init__((), headers={"X-Content-Type-Options": "nosniff"})
        self._bucket = bucket
        self._path = path
        self._own = headers or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Open the download, answer, and close it."""
        stream = self._bucket.download_stream(self._path, range=_asked(Headers(scope=scope)))
        try:
            await stream.__aenter__()
            if stream.error is not None:
                raise AeroDBAPIError(stream.error)
            self._describe(stream)
            self.body_iterator = stream
            await super().__call__(scope, receive, send)
        finally:
            await _ended(stream.close())

    def _describe(self, stream: Any) -> None:
        info, said = stream.info, stream.response.meta.headers
        self.headers["Accept-Ranges"] = "bytes"
        self.headers["Content-Type"] = info.content_type or "application/octet-stream"
        for name in _PASSED_ON:
            if said.get(name):
                self.headers[name] = said[name]
        if info.etag:
            self.headers["ETag"] = info.etag
        partial = "content-range" in self.headers
        self.status_code = 206 if partial else 200
        length = said.get("content-length") if partial or info.size is None else info.size
        if length is not None:
            self.headers["Content-Length"] = str(length)
        self.headers.update(self._own)


def _asked(headers: Headers) -> tuple[int, int | None] | None:
    """The one range that the caller asks for. Others, and those under a condition, may be passed
    over: the whole is always an answer (RFC 9110 §14.2)."""
    found = _RANGE.fullmatch(headers.get("range", ""))
    if found is None or "if-range" in headers:
        return None
    first, last = int(found[1]), int(found[2]) if found[2] else None
    return None if last is not None and last < first else (first, last)
