"""One PostgreSQL server over one cluster folder: started through the watchdog, stopped by a pipe.

It listens on no network, only on a socket in a private folder, and asks for a password even there
(reliability D4). While it runs, three processes are involved: the owner (this one), the watchdog
(`watchdog.py`), and PostgreSQL, the watchdog's child.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path
from typing import IO

import psycopg
from psycopg.conninfo import make_conninfo

from aerodb.local.errors import LocalError
from aerodb.local.postgres.account import Account, choose_account
from aerodb.local.postgres.binaries import Binaries, find_binaries
from aerodb.local.postgres.initialise import (
    SUPERUSER,
    initialise,
    postgres_environment,
    reachable,
)
from aerodb.local.postgres.private import private_folder

PORT = 5432
START_SECONDS = 60.0
STOP_SECONDS = 15.0
_LOG_BYTES = 5_000_000
_WATCHDOG = Path(__file__).with_name("watchdog.py")
_running: weakref.WeakSet[Cluster] = weakref.WeakSet()


class Cluster:
    """The PostgreSQL server of the cluster in `folder`.

    Args:
        folder: the cluster; made by `start` if it is not there. Its parent must exist.
        log: the file that PostgreSQL's messages are appended to.
        password: the superuser's, for a new cluster and for `conninfo`.
        throwaway: trade safety against a crash of the machine for speed.
        keep_open: a descriptor that the watchdog inherits, so that a lock on it outlives the owner.
        remove: folders that are deleted when the server has stopped, for whatever reason.
    """

    def __init__(
        self,
        folder: Path,
        *,
        log: Path,
        password: str,
        throwaway: bool = False,
        keep_open: int | None = None,
        remove: tuple[Path, ...] = (),
    ) -> None:
        self.folder = folder
        self.pid: int | None = None
        self._log = log
        self._password = password
        self._throwaway = throwaway
        self._keep_open = keep_open
        self._remove = remove
        self._runtime: Path | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Make the cluster if need be, start PostgreSQL and wait until it takes connections."""
        binaries = find_binaries()
        account = choose_account(self.folder)
        self._runtime = private_folder(account)
        try:
            self._start(binaries, account)
        except BaseException:
            self.stop()
            raise

    def _start(self, binaries: Binaries, account: Account) -> None:
        if not account.can_enter(binaries.bin):
            binaries = binaries.copied_to(self.socket_folder)
        if not (self.folder / "PG_VERSION").exists():
            initialise(self.folder, self.socket_folder, binaries, account, password=self._password)
        self._check_version(binaries)
        stop_orphan(self.folder)
        self._start_watchdog(binaries, account)
        _running.add(self)
        self._wait_until_ready()

    def stop(self) -> None:
        """Stop PostgreSQL and wait until it is gone; a second call does nothing."""
        watchdog, self._watchdog = self._watchdog, None
        _running.discard(self)
        if watchdog is not None:
            _end(watchdog)
            stop_orphan(self.folder)  # there is one only if the watchdog was killed
        if self._runtime is not None:
            shutil.rmtree(self._runtime, ignore_errors=True)

    def conninfo(
        self, *, user: str = SUPERUSER, password: str | None = None, dbname: str = SUPERUSER
    ) -> str:
        """Return a libpq connection string for `user`. It holds the password."""
        return make_conninfo(
            host=str(self.socket_folder),
            port=PORT,
            user=user,
            password=self._password if password is None else password,
            dbname=dbname,
        )

    @property
    def socket_folder(self) -> Path:
        """The private folder that PostgreSQL's socket lies in."""
        if self._runtime is None:
            raise LocalError("PostgreSQL has not been started.")
        return self._runtime

    @property
    def alive(self) -> bool:
        """Tell whether the watchdog, and so PostgreSQL, still runs."""
        return self._watchdog is not None and self._watchdog.poll() is None

    def _check_version(self, binaries: Binaries) -> None:
        found = (self.folder / "PG_VERSION").read_text().strip()
        if found != str(binaries.major):
            raise LocalError(
                f"The database in {self.folder} was made by PostgreSQL {found}, the installed one "
                f"is {binaries.major}. Name the old programs in AERODB_PG_BIN, or dump the "
                "database with them and start over in another data folder."
            )

    def _start_watchdog(self, binaries: Binaries, account: Account) -> None:
        lock = () if self._keep_open is None else (self._keep_open,)
        with reachable(self.folder, account) as (path, descriptors), _open_log(self._log) as log:
            arguments = {
                "owner": os.getpid(),
                "account": [account.uid, account.gid] if account.switched else None,
                "command": self._command(binaries, path),
                "environment": postgres_environment(),
                "lock": lock,
                "remove": [str(folder) for folder in (self.socket_folder, *self._remove)],
            }
            self._watchdog = subprocess.Popen(  # noqa: S603 - our own script
                [sys.executable, "-I", "-S", str(_WATCHDOG), json.dumps(arguments)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                start_new_session=True,
                pass_fds=[*lock, *descriptors],
            )

    def _command(self, binaries: Binaries, path: str) -> list[str]:
        settings = {
            "listen_addresses": "",
            "port": str(PORT),
            "unix_socket_directories": str(self.socket_folder),
            "unix_socket_permissions": "0700",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "logging_collector": "off",
        }
        if self._throwaway:
            settings |= {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
        command = [str(binaries.bin / "postgres"), "-D", path]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        return command

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        socket = self.socket_folder / f".s.PGSQL.{PORT}"
        while time.monotonic() < deadline:
            self._listen_to_watchdog(0.01)
            if not socket.exists():
                continue
            try:
                psycopg.connect(self.conninfo(), connect_timeout=5).close()
            except psycopg.OperationalError as problem:
                if "password authentication failed" in str(problem):
                    raise LocalError(
                        f"The password in the data folder does not open the database in "
                        f"{self.folder}: secrets.json and the database do not belong together."
                    ) from None
                continue
            return
        raise LocalError(f"PostgreSQL did not start in {START_SECONDS:g} s: {self._log_tail()}")

    def _listen_to_watchdog(self, seconds: float) -> None:
        assert self._watchdog is not None
        assert self._watchdog.stdout is not None
        ready, _, _ = select.select([self._watchdog.stdout], [], [], seconds)
        if not ready:
            return
        said = self._watchdog.stdout.read(4096) or b""
        for line in said.decode().splitlines():
            word, _, value = line.partition(" ")
            if word == "started":
                self.pid = int(value)
        if not said or b"exited" in said:
            raise LocalError(f"PostgreSQL did not start: {self._log_tail()}")

    def _log_tail(self) -> str:
        try:
            return self._log.read_text(errors="replace")[-2000:].strip()
        except OSError:
            return f"see {self._log}"

    def _forget(self) -> None:
        """In a forked child: let go of the pipe, so that only the owner keeps the server alive."""
        watchdog, self._watchdog = self._watchdog, None
        if watchdog is not None:
            for pipe in (watchdog.stdin, watchdog.stdout):
                if pipe is not None:
                    pipe.close()
            # The child is not the watchdog's parent: there is nothing for it to wait for.
            watchdog.returncode = 0


def _end(watchdog: subprocess.Popen[bytes]) -> None:
    """Close the death pipe and wait until the watchdog has done its work."""
    assert watchdog.stdin is not None
    assert watchdog.stdout is not None
    watchdog.stdin.close()
    try:
        watchdog.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        watchdog.kill()
        watchdog.wait()
    watchdog.stdout.close()


def _forget_all() -> None:
    for cluster in list(_running):
        cluster._forget()
    _running.clear()


os.register_at_fork(after_in_child=_forget_all)


def _open_log(path: Path) -> IO[bytes]:
    """Open the log for appending, mode 0600; put an overlong one aside first."""
    if path.exists() and path.stat().st_size > _LOG_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
    return open(os.open(path, flags, 0o600), "ab")


def stop_orphan(folder: Path, seconds: float = 10.0) -> None:
    """Stop a PostgreSQL server that is left over on `folder` although nobody watches it.

    The caller holds the lock on the data folder, so such a server has no owner: its watchdog was
    killed. Only Linux can tell for sure that the process is what the file says, see /proc.
    """
    try:
        pid = int((folder / "postmaster.pid").read_text().split("\n", 1)[0])
        working_folder = os.readlink(f"/proc/{pid}/cwd")
        program = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except (OSError, ValueError):
        return
    if program != "postgres" or working_folder != os.path.realpath(folder):
        return
    deadline = time.monotonic() + seconds
    number = signal.SIGINT
    while os.path.exists(f"/proc/{pid}/cwd"):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        if time.monotonic() > deadline:
            number = signal.SIGQUIT
        time.sleep(0.05)
