"""The WebSocket of the async twin."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn, Self

from aerodb._core.websocket import SocketSettings
from aerodb._io import forks

if TYPE_CHECKING:
    from aerodb._io.on_asyncio.link import Link


class WebSocket:
    """One WebSocket connection, on the event loop that it was connected on.

    One task receives. All else may be called from any task, thread or loop.

    Reading goes on between two calls of `receive`, so pings are answered at any time, until some
    4 MiB wait to be received: then it pauses, and the peer feels it (back-pressure). Pings behind
    that are answered when reading goes on, and our own pings are not counted against a peer that
    we do not listen to (reliability X17).
    """

    __slots__ = ("_link",)

    def __init__(self, link: Link) -> None:
        self._link = link

    @classmethod
    async def connect(
        cls,
        url: str,
        headers: Sequence[tuple[bytes, bytes]],
        settings: SocketSettings,
        timeout: float,
    ) -> Self:
        """Connect to a `ws://` or `wss://` URL and shake hands, all within `timeout` seconds.

        Raises `HandshakeRefused` if the server answers with anything but 101, `TransportError`
        if it does not answer, ValueError for a URL that is none.
        """
        with forks.loading():
            from aerodb._io.handshake import Route
            from aerodb._io.on_asyncio.websocket_dial import open_link

        route = Route(url, headers, settings)
        del headers  # no frame that waits holds the key
        return cls(await open_link(route, settings, timeout))

    async def send(self, text: str) -> None:
        """Send a text message; wait while the peer is slow. Raises `SocketClosed`."""
        await self._link.send(text)

    async def receive(self, timeout: float | None) -> str | bytes | None:
        """Return the next message; None if none came in time, or at `wake`.

        Text is str, binary is bytes. Raises `SocketClosed` when the messages that came before the
        end are all received.
        """
        return await self._link.receive(timeout)

    @property
    def has_more(self) -> bool:
        """Whether the next `receive` surely gives a message without waiting."""
        return self._link.has_more

    def wake(self) -> None:
        """Have the `receive` that waits, or else the next one, return None at once."""
        self._link.wake()

    async def close(
        self, code: int = 1000, reason: str = "", timeout: float = 1.0, last: Sequence[str] = ()
    ) -> None:
        """Tell the peer, wait for its answer at most `timeout` seconds, let go. Idempotent.

        `last` are text messages that go before the close, within the same time.
        """
        await self._link.close(code, reason, timeout, last)

    def abort(self) -> None:
        """Let go of the socket at once, telling nobody."""
        self._link.abort()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a WebSocket cannot be pickled or copied: connect where it is used")

    def __del__(self) -> None:
        link: Link | None = getattr(self, "_link", None)
        if link is not None and link.is_forgotten:
            link.abort()  # first: where warnings are errors, the next line raises
            warnings.warn("unclosed AeroDB WebSocket", ResourceWarning, stacklevel=2, source=self)
