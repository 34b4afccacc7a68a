"""Type-checked by mypy and pyright in strict mode, never run: what users' editors will say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypedDict, assert_type

from fastapi import UploadFile

import aerodb.aio
import aerodb.sync
from aerodb import (
    AeroDBClient,
    AeroDBError,
    AeroDBResponse,
    AsyncAeroDBClient,
    ClientOptions,
    ClientStatus,
    FunctionInfo,
    HealthStatus,
    RealtimePayload,
    RealtimeStatus,
    SendResult,
    ServerSentEvent,
    col,
    embed,
)


class Todo(TypedDict):
    id: int
    title: str


@dataclass
class User:
    id: int
    name: str


Rows = list[dict[str, Any]]


def name_of(row: dict[str, Any]) -> str:
    return str(row["name"])


def blocking() -> None:
    with AeroDBClient("https://db.example.com", "key", options=ClientOptions(timeout=5)) as client:
        response = client.from_("users").select("id", "name").eq("id", 1).execute()
        assert_type(response, AeroDBResponse[Rows])
        assert_type(response.data, Rows | None)
        assert_type(response.error, AeroDBError | None)
        assert_type(response.unwrap(), Rows)
        assert_type(response.unwrap_or(None), Rows | None)

        typed = client.from_("todos", Todo).select("*").gt("id", 3).order("id").limit(3)
        assert_type(typed.execute().unwrap(), list[Todo])
        assert_type(client.from_("users", User).select("*").single().execute().unwrap(), User)
        assert_type(client.from_("users", name_of).select("name").execute().unwrap(), list[str])
        maybe = client.from_("users", User).select("*").maybe_single().execute()
        assert_type(maybe.unwrap(), User | None)
        assert_type(client.from_("users", User).select("*").first().unwrap(), User | None)
        assert_type(client.from_("users").select("*").exists().unwrap(), bool)
        assert_type(client.from_("users").count("exact").unwrap(), int)
        assert_type(client.from_("users").select("*").csv().unwrap(), str)
        for user in client.from_("users", User).select("*").iterate(key="id"):
            assert_type(user, User)
        with client.from_("users", User).select("*").stream() as rows:
            for user in rows:
                assert_type(user, User)

        written = client.from_("todos", Todo).insert({"id": 1, "title": "x"}).execute()
        assert_type(written.unwrap(), list[Todo])
        todo: Todo = {"id": 2, "title": "y"}
        client.from_("todos", Todo).insert([todo]).execute()
        client.from_("todos").update({"title": "z"}).eq("id", 1).execute()
        client.from_("todos").delete().in_("id", [1, 2]).execute()
        assert_type(client.rpc("add", {"a": 1, "b": 2}, returns=int).execute().unwrap(), int)
        condition = (col("age") > 18) & ~col("role").in_(["admin"]) | col("name").is_(None)
        client.from_("users").select("*", embed("posts", "id")).where(condition).execute()
        assert_type(client.health().unwrap(), HealthStatus)
        assert_type(client.schema("private"), aerodb.sync.DatabaseClient)

        assert_type(client.functions.invoke("f", {"a": 1}, returns=User).unwrap(), User)
        assert_type(client.functions.invoke("f").unwrap(), Any)
        assert_type(client.functions.list().unwrap(), list[FunctionInfo])
        with client.functions.stream("f") as stream:
            for sent in stream.iter_events():
                assert_type(sent, ServerSentEvent)
            assert_type(stream, aerodb.sync.FunctionStream)

        channel = client.channel("posts", presence_key="me")
        assert_type(channel, aerodb.sync.RealtimeChannel)
        chained = channel.on("INSERT", print).on("UPDATE", print)
        assert_type(chained.subscribe(), AeroDBResponse[aerodb.sync.RealtimeChannel])

        @channel.on("*", filter="id=gt.3")
        def heard(change: RealtimePayload) -> None:
            assert_type(change.new, dict[str, Any] | None)

        kept: Callable[[RealtimePayload], None] = heard
        channel.off("*", kept)
        for event in channel.listen(timeout=1):
            if isinstance(event, RealtimePayload):
                assert_type(event.table, str | None)
        assert_type(channel.send("e", {"x": 1}, ack=True).unwrap(), SendResult)
        assert_type(client.realtime.status, RealtimeStatus)
        assert_type(client.status, ClientStatus)


async def awaiting() -> None:
    async with AsyncAeroDBClient("https://db.example.com", "key") as client:
        response = await client.from_("users").select("id").execute()
        assert_type(response, AeroDBResponse[Rows])
        assert_type(await client.from_("users").select("id"), AeroDBResponse[Rows])
        one = await client.from_("users", User).select("*").single()
        assert_type(one.unwrap(), User)
        assert_type(await client.from_("users").count(), AeroDBResponse[int])
        async for user in client.from_("users", User).select("*").iterate():
            assert_type(user, User)
        async with client.from_("users", User).select("*").stream() as rows:
            async for user in rows:
                assert_type(user, User)
        assert_type((await client.health()).unwrap(), HealthStatus)
        assert_type((await client.functions.invoke("f", returns=User)).unwrap(), User)
        async with client.functions.stream("f") as stream:
            async for sent in stream.iter_events():
                assert_type(sent, ServerSentEvent)
            assert_type(stream, aerodb.aio.FunctionStream)
        channel = client.channel("posts")
        subscribed = await channel.on("INSERT", print).subscribe()
        assert_type(subscribed.unwrap(), aerodb.aio.RealtimeChannel)
        async for event in channel:
            assert_type(event.channel, str)
        assert_type(client, aerodb.aio.AeroDBClient)


async def awaited_file(client: AsyncAeroDBClient, file: UploadFile) -> None:
    bucket = client.storage.from_("papers")
    (await bucket.upload("a.txt", file, file.content_type)).unwrap()
    (await bucket.upload_many({"a.txt": file})).unwrap()
    (await bucket.upload_resumable("a.txt", file)).unwrap()
    await bucket.upload("a.txt", "text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def mistaken(client: AeroDBClient) -> None:
    client.from_("users").select("id").data  # type: ignore[attr-defined]  # pyright: ignore  # noqa: B018
    with AsyncAeroDBClient("https://db.example.com", "key"):  # type: ignore[attr-defined]  # pyright: ignore
        pass


async def mistaken_too(client: AsyncAeroDBClient, blocking: AeroDBClient) -> None:
    client.from_("users").select("id").error  # type: ignore[attr-defined]  # pyright: ignore  # noqa: B018
    await blocking.from_("users").select("id")  # type: ignore[misc]  # pyright: ignore
    async with blocking:  # type: ignore[attr-defined]  # pyright: ignore
        pass
