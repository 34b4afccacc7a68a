"""The supervisor of one PostgreSQL server: a small process of its own, started as a script.

It is the parent of `postgres`, and its standard input is a pipe whose other end only the owner
holds. When that pipe ends, because the owner closed it or died in whatever way, the watchdog stops
PostgreSQL, removes the folders that were made for this run and leaves (reliability L1, X23). It
lives in a session of its own, so a Ctrl-C in the terminal reaches neither it nor PostgreSQL.

Run as `python -I -S watchdog.py ARGUMENTS`, where ARGUMENTS is a JSON object; it imports nothing
but the standard library, and of that little, because it is on the way of every start. On standard
output it says `started PID` and, at the end, `exited STATUS`.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

FAST_SHUTDOWN_SECONDS = 3.0
OWNER_CHECK_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1


def main(arguments: dict[str, object]) -> int:
    """Start PostgreSQL, wait for it or for the owner's end, and clean up."""
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, _note)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    child = _start_postgres(arguments)
    _say(f"started {child}")
    status = _wait(child, wake_read, int(str(arguments["owner"])))
    if status is None:
        status = _stop(child)
    _remove(arguments["remove"])
    _say(f"exited {status}")
    return 0


def _note(number: int, frame: object) -> None:
    """Do nothing: the byte that the signal puts into the wake-up pipe is the message."""


def _start_postgres(arguments: dict[str, object]) -> int:
    command = [str(part) for part in arguments["command"]]  # type: ignore[attr-defined]
    environment: dict[str, str] = arguments["environment"]  # type: ignore[assignment]
    account: list[int] | None = arguments["account"]  # type: ignore[assignment]
    set_death_signal = _death_signal_setter()
    child = os.fork()
    if child:
        return child
    try:
        os.chdir("/")
        # The lock is the watchdog's: PostgreSQL without a watchdog must not block the next start.
        for lock in arguments["lock"]:  # type: ignore[attr-defined]
            os.close(lock)
        os.umask(0o077)
        with open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        os.dup2(2, 1)
        if account:
            os.setgroups([])
            os.setgid(account[1])
            os.setuid(account[0])
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        set_death_signal()
        os.execve(command[0], command, environment)  # noqa: S606 - given by the owner
    except OSError as problem:
        os.write(2, f"cannot start PostgreSQL: {problem}\n".encode())
    finally:
        os._exit(127)


def _death_signal_setter() -> Callable[[], object]:
    """Return a function that makes PostgreSQL stop when this process is killed (Linux)."""
    if not sys.platform.startswith("linux"):
        return lambda: None
    import ctypes

    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)


def _wait(child: int, wake: int, owner: int) -> int | None:
    """Wait for the child (its status) or for the end of the owner or a SIGTERM (None)."""
    while True:
        ready, _, _ = select.select([0, wake], [], [], OWNER_CHECK_SECONDS)
        status = _status(child)
        if status is not None:
            return status
        if 0 in ready and not os.read(0, 4096):
            return None
        if wake in ready and signal.SIGTERM in os.read(wake, 4096):
            return None
        # A copy of the pipe may live on in a process that the owner forked: look for itself.
        if os.getppid() != owner:
            return None


def _status(child: int) -> int | None:
    done, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def _stop(child: int) -> int:
    """Ask for a fast shutdown, insist on an immediate one, then kill."""
    for number, seconds in (
        (signal.SIGINT, FAST_SHUTDOWN_SECONDS),
        (signal.SIGQUIT, 1.0),
        (signal.SIGKILL, 5.0),
    ):
        os.kill(child, number)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            status = _status(child)
            if status is not None:
                return status
            time.sleep(0.005)
    return -int(signal.SIGKILL)


def _remove(folders: object) -> None:
    import shutil

    for folder in folders:  # type: ignore[attr-defined]
        shutil.rmtree(folder, ignore_errors=True)


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # the owner may be gone, then there is nobody to tell
        os.write(1, f"{line}\n".encode())


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
