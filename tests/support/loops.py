"""An event loop on a thread of its own, for servers of tests. It leaves nothing open at its end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

_SECONDS = 20
_TURNS = 10


class LoopThread:
    """The loop. `servers` are closed at its end, and all connections aborted."""

    def __init__(self, name: str) -> None:
        self.servers: list[asyncio.Server] = []
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """From here on `do` works."""
        self._thread.start()

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run it there, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(_SECONDS)

    def stop(self) -> None:
        """End everything."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(_SECONDS)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        self.loop.run_until_complete(self._end())
        self.loop.close()

    async def _end(self) -> None:
        for server in self.servers:
            for listener in server.sockets:
                self.loop.remove_reader(listener)
        await asyncio.sleep(0)  # introduces those who have been accepted
        for server in self.servers:
            server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        for _ in range(_TURNS):  # what is aborted is closed by a callback, and may tell others
            for transport in list(self.loop._transports.values()):  # type: ignore[attr-defined]
                transport.abort()
            await asyncio.sleep(0)
        await asyncio.gather(*others, return_exceptions=True)
