"""Several instances over one PostgreSQL, and a PostgreSQL that goes away (wire contract §4.8)."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from uuid import uuid4

import httpx
import jwt
import psycopg
import pytest
from psycopg import sql
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from aerodb.local import LocalError, LocalServer

from .conftest import HANG, Socket, call, socket_to

SECRET = "a secret of more than thirty-two bytes"
SCHEMA = """
    create table shared (id int primary key, body text);
    create role rt_web nologin;
    grant usage on schema public to rt_web;
    grant all on shared to rt_web;
"""
PROGRAM = """
import json, sys
from aerodb.local import LocalServer
with LocalServer(database_url=sys.argv[1], services=["rest", "realtime"], install=True,
                 jwt_secret=sys.argv[2], db_anon_role="rt_web") as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def shared_database(database_url: str) -> Iterator[str]:
    """A database of its own in somebody's PostgreSQL."""
    name = f"realtime_{uuid4().hex[:8]}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        url = database_url.replace("/postgres?", f"/{name}?")
        with psycopg.connect(url, autocommit=True) as inside:
            inside.execute("drop role if exists rt_web")
            inside.execute(SCHEMA)
        yield url
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


class Process:
    """An instance in a process of its own."""

    def __init__(self, url: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, url, SECRET],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        assert self.url

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(HANG)

    @asynccontextmanager
    async def socket(self) -> AsyncGenerator[Socket]:
        url = self.url.replace("http", "ws", 1) + "/realtime"
        async with connect(url, proxy=None) as connection:
            socket = Socket(connection)
            socket.welcome = await socket.until("connected")
            yield socket


@contextmanager
def instance(url: str) -> Generator[Process]:
    running = Process(url)
    try:
        yield running
    finally:
        assert running.process.stdin is not None
        assert running.process.stdout is not None
        running.process.stdin.close()
        running.process.wait(HANG)
        running.process.stdout.close()


def figures(server: Process) -> dict[str, Any]:
    token = jwt.encode({"role": "service_role"}, SECRET, algorithm="HS256")
    headers = {"Authorization": f"Bearer {token}"}
    answer = httpx.get(f"{server.url}/realtime/stats", headers=headers, trust_env=False)
    found: dict[str, Any] = answer.json()
    return found


async def test_two_processes_share_everything(shared_database: str) -> None:
    with instance(shared_database) as left, instance(shared_database) as right:
        async with left.socket() as ann, right.socket() as bob:
            assert ann.welcome["payload"]["epoch"] == bob.welcome["payload"]["epoch"]
            for socket in (ann, bob):
                await socket.join("shared")
            with psycopg.connect(shared_database, autocommit=True) as connection:
                connection.execute("insert into shared select n, 'x' from generate_series(1, 50) n")
                for number in range(51, 101):
                    connection.execute("insert into shared values (%s, 'y')", [number])
            first, second = await ann.events(100), await bob.events(100)
            assert [e["seq"] for e in first] == [e["seq"] for e in second]
            assert [e["payload"]["new"]["id"] for e in first] == list(range(1, 101))

            for socket in (ann, bob):
                await socket.join("room", presence={"enabled": True})
                await socket.until("presence")
            await known(left, right)
            for size in (10, 5_000, 30_000):
                await ann.send("broadcast", channel="room", event="e", payload="é" * size)
                assert (await bob.until("broadcast"))["payload"] == "é" * size
            await ann.nothing_more()

            await ann.send("presence", channel="room", event="track", payload={"who": "ann"})
            joined = await bob.until("presence")
            assert joined["event"] == "join"
            assert await ann.until("presence") == joined

            # What one instance delivered, another one can resume.
            resume = {"epoch": ann.welcome["payload"]["epoch"], "since": first[59]["seq"]}
            async with right.socket() as again:
                assert (await again.join("shared", resume=resume))["resume"] == "ok"
                replayed = await again.events(40)
                assert [e["payload"]["new"]["id"] for e in replayed] == list(range(61, 101))


async def known(*servers: Process) -> None:
    """Wait until each has heard of the others."""
    for _ in range(int(HANG / 0.05)):
        if all(figures(server)["instances"] == len(servers) for server in servers):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the instances never hear of each other")


async def test_who_comes_later_is_told_who_is_there_and_the_dead_leave(
    shared_database: str,
) -> None:
    with instance(shared_database) as left:
        async with left.socket() as ann:
            await ann.join("late", presence={"enabled": True, "key": "ann"})
            await ann.until("presence")
            await ann.send("presence", channel="late", event="track", payload={})
            await ann.until("presence")
            with instance(shared_database) as right:
                await known(left, right)
                for _ in range(int(HANG / 0.05)):
                    if figures(right)["presences"] == 1:
                        break
                    await asyncio.sleep(0.05)
                async with right.socket() as bob:
                    await bob.join("late", presence={"enabled": True, "key": "bob"})
                    assert list((await bob.until("presence"))["payload"]) == ["ann"]
                    await bob.send("presence", channel="late", event="track", payload={})
                    await bob.until("presence")
                    assert list((await ann.until("presence"))["payload"]) == ["bob"]
                    right.kill()
                left_alone = await ann.until("presence")
                assert (left_alone["event"], list(left_alone["payload"])) == ("leave", ["bob"])


def test_nothing_is_installed_unasked(shared_database: str) -> None:
    with pytest.raises(LocalError, match="--install"):
        LocalServer(database_url=shared_database, services=["rest", "realtime"])
    with LocalServer(
        database_url=shared_database, jwt_secret=SECRET, db_anon_role="rt_web"
    ) as server:
        health = httpx.get(f"{server.url}/health", trust_env=False).json()
        assert "realtime" not in health["services"]
        assert not [f for f in health["features"] if f.startswith("realtime")]
        answer = httpx.get(f"{server.url}/realtime", trust_env=False)
        assert answer.status_code == 404


async def test_a_postgres_that_restarts() -> None:
    """The clients stay connected; what was committed while nobody listened is told as well."""
    with LocalServer(schema=["create table t (id int primary key)"]) as server:
        async with socket_to(server) as socket:
            await socket.join("t")
            server.execute_sql("insert into t values (1)")
            await socket.until("event")
            with psycopg.connect(server.database_url, autocommit=True) as connection:
                connection.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where application_name = 'aerodb.local realtime'"
                )
                connection.execute("insert into t values (2)")
            event = await socket.until("event")
            assert (event["payload"]["new"]["id"], event["n"]) == (2, 2)
            server.execute_sql("insert into t values (3)")
            assert (await socket.until("event"))["n"] == 3


async def test_health_tells_that_changes_cannot_be_followed() -> None:
    def health() -> tuple[int, str, str]:
        answer = call(server, "GET", "/health")
        body = answer.json()
        return answer.status_code, body["status"], body["services"]["realtime"]

    async def until(wanted: tuple[int, str, str]) -> None:
        for _ in range(int(HANG / 0.05)):
            if health() == wanted:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(health())

    with LocalServer(schema=["create table t (id int primary key)"]) as server:
        async with socket_to(server) as socket:
            await socket.join("t")
            assert health() == (200, "ok", "ok")
            server.execute_sql("alter role aerodb_realtime nologin")
            server.execute_sql(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where usename = 'aerodb_realtime'"
            )
            await until((503, "degraded", "down"))
            server.execute_sql("insert into t values (1)")
            server.execute_sql("alter role aerodb_realtime login")
            await until((200, "ok", "ok"))
            event = await socket.until("event")
            assert (event["payload"]["new"]["id"], event["n"]) == (1, 1)


async def test_a_crash_of_postgres_begins_a_new_epoch() -> None:
    """The log is gone with it: whoever resumes is told so."""
    with LocalServer(schema=["create table t (id int primary key)"]) as server:
        async with socket_to(server) as socket:
            ack = await socket.join("t")
            server.execute_sql("insert into t values (1)")
            cursor = (await socket.until("event"))["seq"]
            with psycopg.connect(server.database_url, autocommit=True) as connection:
                connection.execute("checkpoint")  # the disk knows the table: it commits without
                row = connection.execute("select pg_backend_pid()").fetchone()
                assert row is not None
                os.kill(row[0], signal.SIGKILL)  # PostgreSQL starts over, as after a crash
            assert await socket.closed() == 1012
        for _ in range(300):
            try:
                async with socket_to(server) as socket:
                    resume = {"epoch": ack["epoch"], "since": cursor}
                    again = await socket.ask("t", resume=resume)
                    if again["type"] == "error":
                        assert again["retryable"]
                        raise OSError("not yet")
                    assert again["resume"] == "gap"
                    assert again["epoch"] != ack["epoch"]
                    server.execute_sql("insert into t values (2)")
                    assert (await socket.until("event"))["payload"]["new"] == {"id": 2}
                    return
            except (OSError, psycopg.Error, InvalidStatus):
                await asyncio.sleep(0.1)
        raise AssertionError("the instance does not come back")


async def test_a_restart_of_the_instance_keeps_the_log(tmp_path: Any) -> None:
    with LocalServer(data=tmp_path / "d", schema=["create table t (id int primary key)"]) as server:
        async with socket_to(server) as socket:
            ack = await socket.join("t")
        server.execute_sql("insert into t values (1)")
    with LocalServer(data=tmp_path / "d") as server:
        server.execute_sql("insert into t values (2)")
        async with socket_to(server) as socket:
            resume = {"epoch": ack["epoch"], "since": ack["seq"]}
            assert (await socket.join("t", resume=resume))["resume"] == "ok"
            found = await socket.events(2)
            assert [e["payload"]["new"]["id"] for e in found] == [1, 2]
