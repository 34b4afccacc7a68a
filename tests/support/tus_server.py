"""A tus 1.0.0 server that others wrote (tuspyserver), where our client looks for one."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import tuspyserver.request
import uvicorn
from fastapi import FastAPI
from tuspyserver import create_tus_router
from tuspyserver.lock import acquire_upload_lock

RESUMABLE = "storage/v1/upload/resumable"

# This server waits for the lock of an upload on the very loop that would release it, for 30 s if
# a dead connection holds it. Any time will do: it answers 503 then, and is asked again.
tuspyserver.request.acquire_upload_lock = partial(acquire_upload_lock, timeout=0.2)


def _named(app: Any) -> Any:
    """This server answers no HEAD without two metadata of its own, which tus does not ask for."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            more = b",filename bg==,filetype dA=="
            scope["headers"] = [
                (name, value + more if name == b"upload-metadata" else value)
                for name, value in scope["headers"]
            ]
        await app(scope, receive, send)

    return wrapped


class TusServer:
    """The running server: its port, and what was completed, by object name."""

    def __init__(self, folder: Path) -> None:
        self.completed: dict[str, bytes] = {}
        self.metadata: dict[str, dict[str, Any]] = {}

        def completed(path: str, metadata: dict[str, Any]) -> None:
            self.completed[metadata["objectName"]] = Path(path).read_bytes()
            self.metadata[metadata["objectName"]] = metadata

        app = FastAPI()
        app.include_router(
            create_tus_router(
                prefix=RESUMABLE,
                files_dir=str(folder),
                on_upload_complete=completed,  # a method would be copied, server and all
            )
        )
        config = uvicorn.Config(
            _named(app), port=0, log_level="critical", lifespan="off", ws="none"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="tus-server", daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        self.port: int = self._server.servers[0].sockets[0].getsockname()[1]

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)


@contextlib.contextmanager
def tus_server(folder: Path) -> Iterator[TusServer]:
    """Run one; its files go to `folder`."""
    server = TusServer(folder)
    try:
        yield server
    finally:
        server.stop()
