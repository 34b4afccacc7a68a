"""What benchmarks ask: a server in a process of its own, so that its CPU time is not counted."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
from collections.abc import Callable, Generator


def _serve(protocol: Callable[[], asyncio.BaseProtocol], port: multiprocessing.Queue[int]) -> None:
    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
        port.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())


@contextlib.contextmanager
def serving(protocol: Callable[[], asyncio.BaseProtocol]) -> Generator[int]:
    """Serve with a protocol of a module's top level; gives the port."""
    context = multiprocessing.get_context("spawn")
    port: multiprocessing.Queue[int] = context.Queue()
    process = context.Process(target=_serve, args=(protocol, port), daemon=True)
    process.start()
    try:
        yield port.get(timeout=30)
    finally:
        process.terminate()
        process.join()
