"""An instance with tables of every kind, and a WebSocket client that speaks frames."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError

from aerodb.local import LocalServer

HANG = 30.0
"""Nothing is judged by the clock: this only ends a test that hangs."""
SCHEMA = """
    create table posts (id bigint primary key, title text, likes int not null default 0,
                        made date, tags text[], data jsonb, price numeric);
    create table notes (id bigint primary key, owner text not null, body text);
    alter table notes enable row level security;
    create policy own on notes using (owner = auth.jwt() ->> 'sub');
    create table teams (id int primary key);
    create table members (team_id int references teams, who text, primary key (team_id, who));
    create table plans (id int primary key, team_id int references teams, body text);
    alter table plans enable row level security;
    create policy members on plans for select using (exists (
        select from members m where m.team_id = plans.team_id and m.who = auth.jwt() ->> 'sub'));
    create table salaries (id int primary key, name text, amount int);
    revoke all on salaries from anon, authenticated;
    grant select (id, name) on salaries to anon;
    create table secrets (id int primary key);
    revoke all on secrets from anon, authenticated;
    create table logs (at timestamptz default now(), line text);
    create table pairs (a int, b text, body text, primary key (a, b));
    create table whole (id int primary key, body text);
    alter table whole replica identity full;
    create table whole_notes (id int primary key, owner text, body text);
    alter table whole_notes replica identity full;
    alter table whole_notes enable row level security;
    create policy own on whole_notes using (owner = auth.jwt() ->> 'sub');
    create table events (id int, day date, body text, primary key (id, day))
        partition by range (day);
    create table events_old partition of events for values from ('2000-01-01') to ('2020-01-01');
    create table events_new partition of events for values from ('2020-01-01') to ('2040-01-01');
    create view titles as select id, title from posts;
    create schema api;
    create table api.things (id int primary key, name text);
    create policy join_rooms on realtime.messages for select to authenticated
        using (realtime.topic() like 'room:' || (auth.jwt() ->> 'sub') || '%');
    create policy send_rooms on realtime.messages for insert to authenticated
        with check (realtime.topic() like 'room:' || (auth.jwt() ->> 'sub') || '%'
                    and extension in ('broadcast', 'presence') and topic = realtime.topic()
                    and coalesce(event, '') <> 'forbidden');
"""


class Socket:
    """A connected client: frames as dictionaries, read in order."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.welcome: dict[str, Any] = {}

    async def send(self, kind: str, **fields: Any) -> None:
        await self.connection.send(json.dumps({"type": kind, **fields}, ensure_ascii=False))

    async def receive(self) -> dict[str, Any]:
        async with asyncio.timeout(HANG):
            found: dict[str, Any] = json.loads(await self.connection.recv())
            return found

    async def until(self, kind: str) -> dict[str, Any]:
        """Return the next frame of a type; there must be no other before."""
        found = await self.receive()
        assert found["type"] == kind, found
        return found

    async def events(self, count: int) -> list[dict[str, Any]]:
        return [await self.until("event") for _ in range(count)]

    async def ask(self, channel: str, **config: Any) -> dict[str, Any]:
        """Subscribe and return the answer, whatever it is."""
        ref = uuid4().hex
        wanted = {"config": config} if config else {}
        await self.send("subscribe", channel=channel, ref=ref, **wanted)
        found = await self.receive()
        assert found["ref"] == ref, found
        return found

    async def join(self, channel: str, **config: Any) -> dict[str, Any]:
        """Subscribe; it must be acknowledged."""
        found = await self.ask(channel, **config)
        assert found["type"] == "subscribed", found
        return found

    async def nothing_more(self, seq: int | None = None) -> dict[str, Any]:
        """Nothing was queued before a heartbeat; with `seq`, everything up to there was seen."""
        while True:
            ref = uuid4().hex
            await self.send("heartbeat", ref=ref, ref_id=ref)
            found = await self.receive()
            assert found["type"] == "heartbeat", found
            assert found["ref"] == ref
            if seq is None or found["seq"] >= seq:
                return found
            await asyncio.sleep(0.02)

    async def closed(self) -> int | None:
        """Read on until the server closes; return the code."""
        async with asyncio.timeout(HANG):
            with suppress(ConnectionClosedError):
                async for _ in self.connection:
                    pass
            return self.connection.close_code


def call(server: LocalServer, method: str, path: str, **more: Any) -> httpx.Response:
    """One HTTP request."""
    return httpx.request(method, server.url + path, trust_env=False, timeout=60, **more)


def bound(event: str, table: str, filter: str | None = None, schema: str = "public") -> Any:
    """One entry of `postgres_changes`."""
    entry = {"event": event, "schema": schema, "table": table}
    return entry if filter is None else {**entry, "filter": filter}


@asynccontextmanager
async def socket_to(
    server: LocalServer,
    token: str | None = None,
    *,
    key: str | None = None,
    path: str = "/realtime",
    headers: dict[str, str] | None = None,
    **options: Any,
) -> AsyncGenerator[Socket]:
    said = {"apikey": server.anon_key if key is None else key} if headers is None else headers
    if token is not None:
        said = {**said, "Authorization": f"Bearer {token}"}
    url = server.url.replace("http", "ws", 1) + path
    async with connect(url, additional_headers=said, proxy=None, **options) as connection:
        socket = Socket(connection)
        socket.welcome = await socket.until("connected")
        yield socket


@pytest.fixture(scope="session")
def rt_server() -> Iterator[LocalServer]:
    with LocalServer(
        schema=[SCHEMA], db_schemas="public, api", realtime_connections_per_address=1000
    ) as server:
        yield server


@pytest.fixture(scope="session")
def owner(rt_server: LocalServer) -> Iterator[psycopg.Connection[Any]]:
    """The owner's connection to the database; every statement is a transaction."""
    with psycopg.connect(rt_server.database_url, autocommit=True) as connection:
        yield connection


def last_seq(owner: psycopg.Connection[Any]) -> int:
    """How far the log is numbered, once every committed change is."""
    unnumbered = (
        "select exists (select from aerodb_internal.realtime_changes c where not exists "
        "(select from aerodb_internal.realtime_commits k where k.xid = c.xid)), "
        "(select last_seq from aerodb_internal.realtime_state)"
    )
    for _ in range(int(HANG / 0.01)):
        row = owner.execute(unnumbered.encode()).fetchone()
        assert row is not None
        if not row[0]:
            return int(row[1])
        time.sleep(0.01)
    raise AssertionError("changes are never numbered")


def settle(server: LocalServer, owner: psycopg.Connection[Any]) -> int:
    """Wait until the instance has delivered everything that was committed; return its number."""
    seq = last_seq(owner)
    headers = {"apikey": server.service_key}
    for _ in range(int(HANG / 0.01)):
        answer = call(server, "GET", "/realtime/stats", headers=headers)
        if answer.json()["seq"] >= seq:
            return seq
        time.sleep(0.01)
    raise AssertionError("changes are never delivered")


@pytest.fixture
def empty(rt_server: LocalServer, owner: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """The same, with empty tables, and nobody has that still before them."""
    owner.execute(
        "truncate posts, notes, teams, members, plans, salaries, secrets, logs, pairs, whole, "
        "whole_notes, events, api.things"
    )
    settle(rt_server, owner)
    return owner
