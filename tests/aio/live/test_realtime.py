# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""Realtime against a real instance: changes of tables, visibility, filters, messages, presence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from aerodb import BroadcastMessage, GapNotice, RealtimePayload
from aerodb._io.on_asyncio import monotonic, pause
from aerodb.aio import AeroDBClient

PASSWORD = "correct horse 9"
SOON = 30.0

pytestmark = pytest.mark.usefixtures("settled")


async def until(condition: Callable[[], Any]) -> None:
    """Wait until something is so."""
    end = monotonic() + SOON
    while not condition():
        assert monotonic() < end, "it did not come about"
        await pause(0.02)


async def signed_up(anon: AeroDBClient) -> AeroDBClient:
    """A view that acts as a new user."""
    data = (await anon.auth.sign_up(f"{uuid4().hex}@example.com", PASSWORD)).unwrap()
    assert data.session is not None
    return anon.as_user(data.session.access_token, data.session.refresh_token)


async def test_the_seeds_line(client: AeroDBClient) -> None:
    inserts: list[Any] = []
    updates: list[Any] = []
    channel = client.channel("notes")
    answer = await channel.on("INSERT", inserts.append).on("UPDATE", updates.append).subscribe()
    assert answer.unwrap() is channel
    notes = client.from_("notes")
    (row,) = (await notes.insert({"body": "Hello"}).execute()).unwrap()
    (await notes.update({"body": "Bye"}).eq("id", row["id"]).execute()).unwrap()
    await until(lambda: inserts and updates)
    (made,) = inserts
    assert made.new["body"] == made["new"]["body"] == "Hello"
    assert (made.schema, made.table, made.channel) == ("public", "notes", "notes")
    assert made.commit_timestamp is not None
    assert updates[0].new == {**made.new, "body": "Bye"}
    assert updates[0].old["id"] == row["id"]
    assert updates[0].sequence > made.sequence
    assert (await channel.unsubscribe()).ok


async def test_a_script_needs_no_handler(client: AeroDBClient) -> None:
    channel = client.channel("notes")
    (await channel.subscribe()).unwrap()
    rows = [{"body": f"note {number}"} for number in range(20)]
    (await client.from_("notes").insert(rows).execute()).unwrap()
    found = (await channel.collect(20, timeout=SOON)).unwrap()
    assert [one["new"]["body"] for one in found] == [row["body"] for row in rows]
    (await client.from_("notes").delete().all_rows().execute()).unwrap()
    gone = (await channel.collect(20, timeout=SOON)).unwrap()
    assert {one.type for one in gone} == {"DELETE"}


async def test_column_filters(client: AeroDBClient) -> None:
    heard: list[Any] = []
    channel = client.channel("anything")
    channel.on_changes("INSERT", table="notes", filter="body=like.*x*", callback=heard.append)
    (await channel.subscribe()).unwrap()
    for body in ("an x in it", "none", "x"):
        (await client.from_("notes").insert({"body": body}).execute()).unwrap()
    await until(lambda: len(heard) == 2)
    assert [one.new["body"] for one in heard] == ["an x in it", "x"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"table": "notes", "filter": "no_such_column=eq.3"}, "invalid_filter"),
        ({"table": "notes", "filter": "id=eq.no number"}, "invalid_filter"),
    ],
)
async def test_what_cannot_be_subscribed(
    client: AeroDBClient, arguments: dict[str, Any], code: str
) -> None:
    channel = client.channel("bad").on_changes("*", callback=print, **arguments)
    answer = await channel.subscribe()
    assert answer.error is not None
    assert answer.error.code == code
    assert channel.state == "failed"
    assert client.realtime.status == "open"


async def test_users_hear_of_their_own_rows_only(anon: AeroDBClient) -> None:
    one, other = await signed_up(anon), await signed_up(anon)
    heard: dict[str, list[Any]] = {"one": [], "other": []}
    await one.channel("diaries").on("INSERT", heard["one"].append).subscribe()
    await other.channel("diaries").on("INSERT", heard["other"].append).subscribe()
    (await one.from_("diaries").insert({"entry": "one's"}).execute()).unwrap()
    (await other.from_("diaries").insert({"entry": "other's"}).execute()).unwrap()
    await until(lambda: heard["one"] and heard["other"])
    await pause(0.3)
    assert [e.new["entry"] for e in heard["one"]] == ["one's"]
    assert [e.new["entry"] for e in heard["other"]] == ["other's"]
    await one.close()
    await other.close()


async def test_signing_in_changes_what_an_open_connection_sees(anon: AeroDBClient) -> None:
    heard: list[Any] = []
    await anon.channel("diaries").on("INSERT", heard.append).subscribe()
    await anon.auth.sign_up(f"{uuid4().hex}@example.com", PASSWORD)
    await pause(0.3)  # the connection learns of it apart from this task
    (await anon.from_("diaries").insert({"entry": "mine"}).execute()).unwrap()
    await until(lambda: heard)
    assert [one.new["entry"] for one in heard] == ["mine"]
    assert anon.realtime.status == "open"


async def test_messages_and_presence(client: AeroDBClient, anon: AeroDBClient) -> None:
    name = f"room {uuid4()}"
    messages: list[Any] = []
    here: list[Any] = []
    listening = anon.channel(name).on_broadcast("cursor", messages.append)
    listening.on_presence("*", here.append)
    (await listening.subscribe()).unwrap()
    sending = client.channel(name, presence_key="ada")
    (await sending.subscribe()).unwrap()
    sent = (await sending.send("cursor", {"x": 1}, ack=True)).unwrap()
    assert sent.subscribers_notified == 1
    assert (await sending.http_send("cursor", {"x": 2})).unwrap().subscribers_notified is not None
    await until(lambda: len(messages) >= 2)
    assert all(isinstance(one, BroadcastMessage) for one in messages)
    assert {one.payload["x"] for one in messages} == {1, 2}
    (await sending.track({"mood": "good"})).unwrap()
    await until(lambda: "ada" in listening.presence_state())
    assert listening.presence_state()["ada"][0]["mood"] == "good"
    (await sending.untrack()).unwrap()
    await until(lambda: "ada" not in listening.presence_state())
    await until(lambda: {one.event for one in here} >= {"join", "leave", "sync"})
    refused = await anon.channel("elsewhere").send("e", 1)
    assert refused.error is not None
    assert refused.error.code == "NOT_CONNECTED"


async def test_a_reconnection_loses_nothing(client: AeroDBClient, lossy: Any, server: Any) -> None:
    async with AeroDBClient(lossy.url, server.service_key) as listening:
        channel = listening.channel("notes")
        (await channel.subscribe()).unwrap()
        for turn in range(4):
            rows = [{"body": f"{turn} {number}"} for number in range(5)]
            (await client.from_("notes").insert(rows[:2]).execute()).unwrap()
            lossy.hang_up()
            (await client.from_("notes").insert(rows[2:]).execute()).unwrap()
            found = (await channel.collect(5, timeout=SOON)).unwrap()
            assert not any(isinstance(one, GapNotice) for one in found)
            assert [one["new"]["body"] for one in found] == [row["body"] for row in rows]
            numbers = [one.sequence for one in found if isinstance(one, RealtimePayload)]
            assert numbers == sorted(set(numbers), key=lambda n: n or 0)


async def test_health_of_the_connection(client: AeroDBClient) -> None:
    assert client.status.realtime == "idle"
    assert (await client.realtime.connect()).ok
    await client.channel("notes").subscribe()
    assert client.status.realtime == "open"
    assert client.status.channels == ("notes",)
    assert client.status.error is None
