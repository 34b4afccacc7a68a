"""The process that owns the PostgreSQL of a test run: `python -m aerodb.testing.host`.

It reads settings from stdin, prints how the template is reached, and ends when nobody is connected
to its socket any more. A dot says that a connection counts; nothing else is ever said over it.
"""

from __future__ import annotations

import json
import selectors
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

from aerodb.local import LocalError, LocalServer
from aerodb.local.clones import open_template

FIRST_SECONDS = 60.0


def main() -> None:
    """Run until nobody needs it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settings = json.loads(sys.stdin.readline())
    try:
        template, database = open_template(LocalServer(**settings).settings)
    except (LocalError, TypeError, ValueError) as problem:
        _say({"problem": str(problem)})
        return
    folder = Path(tempfile.mkdtemp(prefix="aerodb-host-"))
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(folder / "line"))
            listener.listen(64)
            _say({"line": str(folder / "line"), "template": template.dump()})
            _wait(listener)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        database.close()


def _say(members: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(members) + "\n")
    sys.stdout.flush()
    sys.stdout.close()


def _wait(listener: socket.socket) -> None:
    """Until the last connection has gone; or until none has come."""
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        connected = 0
        while True:
            events = selector.select(FIRST_SECONDS if connected == 0 else None)
            for key, _ in events:
                if key.fileobj is listener:
                    line = listener.accept()[0]
                    line.sendall(b".")
                    selector.register(line, selectors.EVENT_READ)
                    connected += 1
                else:
                    selector.unregister(key.fileobj)
                    key.fileobj.close()  # type: ignore[union-attr]
                    connected -= 1
            if connected == 0:
                return


if __name__ == "__main__":
    main()
