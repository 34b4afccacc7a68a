"""What other users of the machine can see or touch of a running instance (reliability D4, D7)."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from aerodb.local import LocalError, LocalServer

SCHEMA = """
    create table notes (id int primary key, body text);
    insert into notes values (1, 'canary in a row');
"""
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """An instance whose owner keeps no file from anybody, as far as the umask goes."""
    before = os.umask(0)
    os.environ["CANARY_PASSWORD"] = "canary-of-the-owner"
    try:
        folder = tmp_path_factory.mktemp("exposed") / "new" / "data"
        with LocalServer(schema=[SCHEMA], data=folder) as running:
            use(running)
            yield running
    finally:
        os.umask(before)
        del os.environ["CANARY_PASSWORD"]


def use(server: LocalServer) -> None:
    """Some requests, some of them wrong, that leave their traces in the log."""
    with httpx.Client(base_url=f"{server.url}/rest/v1", trust_env=False) as client:
        token = server.create_token(sub="canary-subject")
        for headers in ({}, {"apikey": server.service_key}, {"Authorization": f"Bearer {token}"}):
            client.get("/notes", headers=headers)
            client.get("/notes?id=eq.canary-value", headers=headers)
            client.post("/notes", json={"id": 1, "body": "canary-body"}, headers=headers)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def secrets_of(server: LocalServer) -> list[str]:
    keys = server.database.keys
    assert keys is not None
    values = [keys.publishable, keys.secret, keys.jwt_secret]
    return [*values, keys.superuser_password, keys.authenticator_password]


def folders_of(server: LocalServer) -> tuple[Path, Path]:
    """The data folder and the folder of the socket."""
    database = server.database
    assert database.folder is not None
    assert database.cluster is not None
    return database.folder.path, database.cluster.socket_folder


def test_nobody_else_may_read_a_file_of_the_instance(server: LocalServer) -> None:
    data, runtime = folders_of(server)
    entries = [data, runtime, *data.rglob("*"), *runtime.rglob("*")]
    assert {path: oct(mode(path)) for path in entries if mode(path) & 0o077} == {}
    assert mode(data / "secrets.json") == 0o600
    assert (mode(data), mode(runtime)) == (0o700, 0o700)


def test_the_secrets_are_in_their_file_alone(server: LocalServer) -> None:
    data, _ = folders_of(server)
    log = (data / "postgres.log").read_text()
    # A message of PostgreSQL may cite the value that it is about, but no parameter is written down.
    assert "canary-body" not in log
    assert "canary-subject" not in log
    needles = [secret.encode() for secret in secrets_of(server)]
    holders = {
        path.name
        for path in data.rglob("*")
        if path.is_file() and any(needle in path.read_bytes() for needle in needles)
    }
    assert holders == {"secrets.json"}
    shown = f"{server!r} {server.database!r} {server.database.keys!r}"
    assert not [secret for secret in secrets_of(server) if secret in shown]


def descendants(pid: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                status = (entry / "stat").read_text()
            except OSError:
                continue  # it has ended meanwhile
            parent = int(status.rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(int(entry.name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


@linux
def test_no_process_shows_a_secret(server: LocalServer) -> None:
    secrets = [secret.encode() for secret in secrets_of(server)]
    cluster = server.database.cluster
    assert cluster is not None
    assert cluster.pid is not None
    family = descendants(os.getpid())
    assert cluster.pid in family
    for pid in family:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        assert not [secret for secret in secrets if secret in command]
    environment = Path(f"/proc/{cluster.pid}/environ").read_bytes()
    assert not [each for each in (*secrets, b"canary-of-the-owner") if each in environment]


@pytest.mark.parametrize("user", ["postgres", "authenticator", "anon", "service_role"])
@pytest.mark.parametrize("password", ["", "postgres", "password"])
def test_the_socket_asks_for_the_password(server: LocalServer, user: str, password: str) -> None:
    _, runtime = folders_of(server)
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(host=str(runtime), user=user, password=password, dbname="postgres")


def test_postgresql_is_on_no_network(server: LocalServer) -> None:
    wanted = ("listen_addresses", "unix_socket_permissions", "log_parameter_max_length_on_error")
    rows = server.execute_sql(
        "select name, setting from pg_settings where name = any(%s)", [list(wanted)]
    )
    assert {row["name"]: row["setting"] for row in rows} == dict(
        zip(wanted, ("", "0700", "0"), strict=True)
    )
    methods = server.execute_sql("select distinct auth_method from pg_hba_file_rules")
    assert methods == [{"auth_method": "scram-sha-256"}]


def test_a_folder_that_everybody_may_write_to_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(LocalError, match="Everybody may write"), LocalServer(data=folder):
        pass
    assert list(folder.iterdir()) == []
    assert mode(folder) == 0o777  # it is not ours to change


@pytest.mark.parametrize("name", ["secrets.json", "postgres.log", "instance.lock"])
def test_links_in_the_data_folder_are_not_followed(tmp_path: Path, name: str) -> None:
    folder, victim = tmp_path / "data", tmp_path / "victim"
    folder.mkdir(mode=0o700)
    victim.write_text("untouched")
    (folder / name).symlink_to(victim)
    with pytest.raises((LocalError, OSError)), LocalServer(data=folder):
        pass
    assert victim.read_text() == "untouched"
