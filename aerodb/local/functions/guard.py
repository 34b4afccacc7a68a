"""Ends the workers of an instance that has ended, in whatever way.

A worker notices by itself that its instance is gone, unless its function keeps the interpreter to
itself, or has left children behind. So this small process waits beside them, as
`postgres/watchdog.py` does beside PostgreSQL: its standard input is a pipe whose other end only
the instance holds, and on it come the process groups that live (`+PGID`) and that are over
(`-PGID`). When the pipe ends, those that are left are killed.

Run as `python -I -S guard.py OWNER`; standard library only.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys

OWNER_CHECK_SECONDS = 1.0


def main(owner: int) -> None:
    """Wait for the owner's end, then kill what it has left."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    rest = b""
    while True:
        ready, _, _ = select.select([0], [], [], OWNER_CHECK_SECONDS)
        if ready:
            data = os.read(0, 65536)
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                (groups.add if line[:1] == b"+" else groups.discard)(int(line[1:]))
        # A copy of the pipe may live on in a process that the owner forked: look for itself.
        elif os.getppid() != owner:
            break
    for group in groups:
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]))
