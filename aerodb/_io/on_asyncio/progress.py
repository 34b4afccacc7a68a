"""How far a call has come, for the message if its time runs out."""

from __future__ import annotations

from aerodb._io.on_asyncio.wire import Wire


class Progress:
    """The stage (a key of `failures.STAGES`), and the wire once there is one."""

    __slots__ = ("foreign", "stage", "wire")

    def __init__(self) -> None:
        self.stage = "queue"
        self.wire: Wire | None = None
        self.foreign = False

    @property
    def sent(self) -> bool:
        """Whether a byte of the request may have left. httpx does not tell, so there: yes."""
        return self.foreign if self.wire is None else self.wire.sent
