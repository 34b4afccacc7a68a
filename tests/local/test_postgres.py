"""The embedded PostgreSQL: it starts, nobody else gets in, and it never outlives its owner.

Reliability L1-L3, D4, D5, D7. Everything here runs the real programs; as root they run as another
account, otherwise as the caller's own.
"""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from aerodb.local.errors import LocalError
from aerodb.local.folder import DataFolder
from aerodb.local.postgres import Cluster, find_binaries
from aerodb.local.postgres.account import choose_account

PASSWORD = "not a secret in a test"
LONG_NAME = "a folder with späces, ünïcode and " + "x" * 100
ROOT = Path(__file__).resolve().parents[2]


def until(condition: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    """Wait for something that is bound to happen; the limit only ends a broken test."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"gave up waiting: {what}"
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    """A process that has ended, be it that its parent has not asked yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def make(folder: Path, **options: object) -> Cluster:
    return Cluster(folder / "postgres", log=folder / "log", password=PASSWORD, **options)  # type: ignore[arg-type]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = make(tmp_path)
    yield made
    made.stop()


def query(cluster: Cluster, text: str) -> list[tuple[object, ...]]:
    with psycopg.connect(cluster.conninfo(), autocommit=True) as connection:
        answer = connection.execute(text.encode())
        return answer.fetchall() if answer.description else []


def test_data_survives_a_stop(cluster: Cluster) -> None:
    cluster.start()
    first, folder = cluster.pid, cluster.socket_folder
    query(cluster, "create table t as select 7 as a")
    cluster.stop()
    assert first is not None
    assert is_gone(first)
    assert not folder.exists()
    cluster.stop()  # a second one does nothing
    cluster.start()
    assert query(cluster, "select a from t") == [(7,)]


def test_nobody_else_gets_in(cluster: Cluster) -> None:
    before = os.umask(0)
    try:
        cluster.start()
    finally:
        os.umask(before)
    folder = cluster.socket_folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(cluster.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / ".s.PGSQL.5432").stat().st_mode) == 0o700
    assert query(cluster, "show listen_addresses") == [("",)]
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(host=str(folder), user="postgres", dbname="postgres")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(cluster.conninfo(password="a guess"))
    rules = query(cluster, "select distinct auth_method from pg_hba_file_rules")
    assert rules == [("scram-sha-256",)]


def test_text_is_unicode_wherever_it_runs(cluster: Cluster) -> None:
    cluster.start()
    assert query(cluster, "select upper('é'), length('ünï'), 'a' < 'B'") == [("É", 3, False)]
    assert query(cluster, "show server_encoding") == [("UTF8",)]
    assert query(cluster, "show timezone") == [("UTC",)]


def test_nothing_outside_the_folder_is_touched(tmp_path: Path) -> None:
    parent = tmp_path / "closed" / LONG_NAME
    parent.mkdir(parents=True, mode=0o700)
    watched = [parent, *parent.parents]
    users = Path("/etc/passwd").read_bytes()

    def facts() -> list[tuple[int, int, int]]:
        return [(s.st_mode, s.st_uid, s.st_gid) for s in (path.stat() for path in watched)]

    before = facts()
    cluster = make(parent)
    try:
        cluster.start()
        assert query(cluster, "select 1") == [(1,)]
        cluster.stop()
        cluster.start()
        assert query(cluster, "select 1") == [(1,)]
    finally:
        cluster.stop()
    assert facts() == before
    assert Path("/etc/passwd").read_bytes() == users
    assert {entry.name for entry in parent.iterdir()} == {"postgres", "log"}


def test_programs_in_a_closed_folder_are_run_from_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = find_binaries()
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    original.copied_to(closed)
    closed.chmod(0o700)
    monkeypatch.setenv("AERODB_PG_BIN", str(closed / original.bin.relative_to(original.root)))
    cluster = make(tmp_path)
    try:
        cluster.start()
        assert query(cluster, "select 1") == [(1,)]
    finally:
        cluster.stop()
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert not cluster.socket_folder.exists()


def test_programs_that_are_not_there_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AERODB_PG_BIN", str(tmp_path))
    with pytest.raises(LocalError, match="does not hold postgres and initdb"):
        find_binaries()


def test_a_cluster_of_another_version_is_refused(cluster: Cluster) -> None:
    cluster.start()
    cluster.stop()
    (cluster.folder / "PG_VERSION").write_text("9\n")
    with pytest.raises(LocalError, match="was made by PostgreSQL 9"):
        cluster.start()


def test_a_wrong_password_is_told_apart_from_a_slow_start(cluster: Cluster, tmp_path: Path) -> None:
    cluster.start()
    cluster.stop()
    other = Cluster(cluster.folder, log=tmp_path / "log", password="another")
    with pytest.raises(LocalError, match=r"secrets\.json and the database do not belong together"):
        other.start()
    assert other.pid is None or is_gone(other.pid)


def test_a_server_that_does_not_come_up_says_why(cluster: Cluster) -> None:
    cluster.start()
    cluster.stop()
    (cluster.folder / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(LocalError, match="no_such_setting"):
        cluster.start()


def test_half_a_cluster_is_not_taken_for_a_whole_one(cluster: Cluster) -> None:
    leftover = cluster.folder.with_name("postgres.new-abc")
    leftover.mkdir()
    (leftover / "junk").write_text("")
    cluster.start()
    assert not leftover.exists()
    assert query(cluster, "select 1") == [(1,)]


# --- ends that nobody planned -----------------------------------------------------------------

OWNER = """
    import sys, time
    from pathlib import Path
    from aerodb.local.folder import DataFolder
    from aerodb.local.postgres import Cluster

    folder = DataFolder(sys.argv[1])
    cluster = Cluster(
        folder.cluster, log=folder.log, password={password!r}, keep_open=folder.server_lock
    )
    cluster.start()
    print(cluster.pid, cluster.socket_folder, flush=True)
    {then}
    time.sleep(600)
"""


class Owner:
    """Another process that owns a cluster in the data folder `folder`."""

    def __init__(self, folder: Path, then: str = "") -> None:
        script = textwrap.dedent(OWNER).format(password=PASSWORD, then=then)
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, str(folder)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), *sys.path))},
            start_new_session=True,
        )
        assert self.process.stdout is not None
        pid, path = self.process.stdout.readline().split(" ", 1)
        self.postgres, self.sockets = int(pid), Path(path.strip())

    @property
    def watchdog(self) -> int:
        """PostgreSQL's parent."""
        return int(Path(f"/proc/{self.postgres}/stat").read_text().rpartition(")")[2].split()[1])

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Owner]:
    made = Owner(tmp_path / "data")
    yield made
    made.end()
    until(lambda: is_gone(made.postgres), "PostgreSQL ends")


def start_again(folder: Path) -> str:
    data = DataFolder(folder)
    cluster = Cluster(data.cluster, log=data.log, password=PASSWORD, keep_open=data.server_lock)
    try:
        cluster.start()
        return str(query(cluster, "select coalesce(to_regclass('kept')::text, 'nothing')")[0][0])
    finally:
        cluster.stop()
        data.close()


def connect(owner: Owner) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(
        host=str(owner.sockets), user="postgres", password=PASSWORD, autocommit=True
    )


def test_when_the_owner_is_killed_postgres_goes_too(owner: Owner, tmp_path: Path) -> None:
    with connect(owner) as connection:
        connection.execute("create table kept ()")
    owner.process.kill()
    until(lambda: is_gone(owner.postgres), "PostgreSQL ends")
    until(lambda: not owner.sockets.exists(), "the runtime folder is removed")
    assert start_again(tmp_path / "data") == "kept"


def test_a_start_right_after_a_kill_waits_for_the_old_server(owner: Owner, tmp_path: Path) -> None:
    with connect(owner) as connection:
        connection.execute("create table kept ()")
    owner.process.kill()
    assert start_again(tmp_path / "data") == "kept"


def test_a_child_that_the_owner_forked_does_not_keep_it_alive(tmp_path: Path) -> None:
    owner = Owner(tmp_path / "data", then="import os; os.fork()")
    try:
        owner.process.kill()
        until(lambda: is_gone(owner.postgres), "PostgreSQL ends")
        assert start_again(tmp_path / "data") == "nothing"
    finally:
        os.killpg(owner.process.pid, signal.SIGKILL)
        owner.end()


def test_when_the_watchdog_is_killed_postgres_goes_too(owner: Owner, tmp_path: Path) -> None:
    os.kill(owner.watchdog, signal.SIGKILL)
    until(lambda: is_gone(owner.postgres), "PostgreSQL ends")
    owner.process.kill()
    assert start_again(tmp_path / "data") == "nothing"


def test_keys_pressed_in_the_terminal_do_not_reach_postgres(tmp_path: Path) -> None:
    deaf = (
        "import signal; [signal.signal(n, signal.SIG_IGN) for n in (signal.SIGINT, signal.SIGHUP)]"
    )
    owner = Owner(tmp_path / "data", then=f"{deaf}; print('deaf', flush=True)")
    try:
        assert owner.process.stdout is not None
        assert owner.process.stdout.readline() == "deaf\n"
        for number in (signal.SIGINT, signal.SIGHUP):
            os.killpg(owner.process.pid, number)
        with connect(owner) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
        sessions = {os.getsid(pid) for pid in (owner.watchdog, owner.postgres)}
        assert os.getsid(owner.process.pid) not in sessions
    finally:
        owner.end()


def test_committed_data_survives_a_crash_of_postgres(owner: Owner, tmp_path: Path) -> None:
    with connect(owner) as connection:
        connection.execute("create table kept ()")
        connection.execute("create table log (n int)")
        for n in range(20):
            connection.execute("insert into log values (%s)", [n])
        with pytest.raises(psycopg.OperationalError), connection.transaction():
            connection.execute("insert into log values (-1)")
            os.kill(owner.postgres, signal.SIGKILL)
            until(lambda: is_gone(owner.postgres), "PostgreSQL ends")
            connection.execute("insert into log values (-2)")
    owner.process.kill()
    data = DataFolder(tmp_path / "data")
    cluster = Cluster(data.cluster, log=data.log, password=PASSWORD, keep_open=data.server_lock)
    try:
        cluster.start()
        assert query(cluster, "select min(n), count(*) from log") == [(0, 20)]
    finally:
        cluster.stop()
        data.close()


def test_a_second_server_on_the_same_folder_is_refused(owner: Owner, tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=f"process {owner.process.pid}.* runs on the data folder"):
        DataFolder(tmp_path / "data")
    with connect(owner) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


# --- the data folder --------------------------------------------------------------------------


def test_the_data_folder_is_private_and_never_committed(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "deep" / ".aerodb")
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert (folder.path / ".gitignore").read_text() == "*\n"
    folder.close()
    DataFolder(folder.path).close()


def test_a_temporary_data_folder_goes_with_the_server() -> None:
    folder = DataFolder(None)
    cluster = make(folder.path, remove=(folder.path,), keep_open=folder.server_lock, throwaway=True)
    cluster.start()
    assert query(cluster, "show fsync") == [("off",)]
    cluster.stop()
    folder.close()
    assert not folder.path.exists()


def test_a_cluster_is_run_by_the_account_that_owns_it(cluster: Cluster) -> None:
    cluster.start()
    assert cluster.pid is not None
    owner = Path(f"/proc/{cluster.pid}").stat().st_uid
    assert owner == cluster.folder.stat().st_uid == cluster.socket_folder.stat().st_uid
    assert owner != 0
    assert choose_account(cluster.folder).uid == owner


def test_no_socket_of_the_network_is_opened(cluster: Cluster) -> None:
    cluster.start()
    with pytest.raises(OSError), socket.create_connection(("127.0.0.1", 5432), timeout=5):
        pass
