"""Whole requests against a real PostgreSQL: transaction, role, answer, errors."""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, MutableMapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg_pool import AsyncConnectionPool

from aerodb.local.rest.errors import RestError
from aerodb.local.rest.exchange import (
    Command,
    Preparation,
    StatementFailed,
    exchange,
    numbered,
)
from aerodb.local.rest.handler import RestService
from aerodb.local.settings import RestSettings

SCHEMA = r"""
create schema shop;
create table shop.items (id int primary key, name text, owner name default current_user);
insert into shop.items select n, 'item ' || n, 'nobody' from generate_series(1, 20) n;
create table shop.deferred (n int unique deferrable initially deferred);
alter table shop.items enable row level security;
create policy read on shop.items for select using (true);
create policy change on shop.items using (true) with check (owner = current_user);
create table shop.secret (id int);
create table shop.lots (id int primary key, item_id int references shop.items);
insert into shop.lots values (7, 19), (8, 19);
create function shop.who() returns json language sql stable as $$
  select json_build_object(
    'user', current_user, 'claims', current_setting('request.jwt.claims')::json,
    'method', current_setting('request.method'), 'path', current_setting('request.path'),
    'headers', current_setting('request.headers')::json,
    'read_only', current_setting('transaction_read_only'),
    'timezone', current_setting('timezone'), 'timeout', current_setting('statement_timeout'))
$$;
create function shop.nothing() returns void language sql as 'select 1';
create function shop.slow(seconds float) returns text language sql volatile as
  $$ select current_user::text from pg_sleep(seconds) $$;
create function shop.fail(code text, message text, detail text default null) returns int
language plpgsql as $$ begin
  if detail is null then raise exception using errcode = code, message = message;
  else raise exception using errcode = code, message = message, detail = detail; end if;
end $$;
create function shop.answer(status text, headers text) returns int language plpgsql as $$ begin
  perform set_config('response.status', status, true);
  perform set_config('response.headers', headers, true);
  return 1;
end $$;
create function shop.image() returns bytea language sql stable as $$ select '\x00ff0a'::bytea $$;
create domain shop."image/x" as bytea;
create function shop.picture() returns shop."image/x" language sql stable as
  $$ select '\x00ff0a'::bytea $$;
grant usage on schema shop to {anon}, {member};
grant select on shop.lots to {anon}, {member};
grant select, insert, update, delete on shop.items, shop.deferred to {anon}, {member};
alter role {member} set statement_timeout = '4321ms';
"""


@dataclass(frozen=True)
class Shop:
    """A database, and the two roles that requests may take in it."""

    url: str
    anon: str
    member: str

    def settings(self, **changes: Any) -> RestSettings:
        """Settings for this database."""
        return RestSettings(db_schemas=("shop",), db_anon_role=self.anon, **changes)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["code"])


@dataclass(frozen=True)
class Caller:
    role: str
    claims: dict[str, Any] | None = field(default=None)
    authenticated: bool = False


Call = Callable[..., Any]


class Client:
    """Calls a service as an ASGI server would."""

    def __init__(self, service: RestService) -> None:
        self.service = service

    async def __call__(self, method: str, url: str, body: Any = b"", **headers: str) -> Answer:
        path, _, query = url.partition("?")
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        names = {name.replace("_", "-"): value for name, value in headers.items()}
        scope = {
            "type": "http",
            "method": method,
            "path": "/rest/v1" + path,
            "raw_path": b"/rest/v1" + path.encode(),
            "root_path": "/rest/v1",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in names.items()],
            "server": ("127.0.0.1", 8000),
            "scheme": "http",
        }
        await self.service(scope, receive, send)
        start, *rest = sent
        return Answer(
            start["status"],
            {name.decode().lower(): value.decode() for name, value in start["headers"]},
            b"".join(message["body"] for message in rest),
        )


@pytest.fixture(scope="session")
def shop(library_url: str) -> Iterator[Shop]:
    """A database of its own; roles belong to the whole server, so their names are unique."""
    mark = uuid.uuid4().hex[:12]
    name, anon, member = f"rest_shop_{mark}", f"anon_{mark}", f"member_{mark}"
    names = [sql.Identifier(one) for one in (name, anon, member)]
    with psycopg.connect(library_url, autocommit=True) as connection:
        for role in names[1:]:
            connection.execute(sql.SQL("create role {}").format(role))
        connection.execute(sql.SQL("create database {}").format(names[0]))
        try:
            url = make_conninfo(library_url, dbname=name)
            with psycopg.connect(url, autocommit=True) as inside:
                inside.execute(SCHEMA.format(anon=anon, member=member).encode())
            yield Shop(url, anon, member)
        finally:
            connection.execute(sql.SQL("drop database {} with (force)").format(names[0]))
            for role in names[1:]:
                connection.execute(sql.SQL("drop role {}").format(role))


@asynccontextmanager
async def serving(
    shop: Shop, *, pool_size: int = 2, timeout: float = 30, **changes: Any
) -> AsyncIterator[Client]:
    """A running service; the header `x-role: member` makes the caller a signed-in member."""

    def authenticate(headers: Mapping[str, str]) -> Caller:
        if headers.get("authorization") == "Bearer bad":
            challenge = (("WWW-Authenticate", "Bearer"),)
            raise RestError(401, "PGRST301", "No suitable key", headers=challenge)
        if headers.get("x-role") == "member":
            return Caller(shop.member, {"sub": "7", "role": "other"}, authenticated=True)
        return Caller(shop.anon)

    pool = AsyncConnectionPool[Any](
        shop.url, min_size=1, max_size=pool_size, open=False, timeout=timeout
    )
    async with pool:
        service = RestService(pool, shop.settings(**changes), authenticate)
        await service.start()
        try:
            yield Client(service)
        finally:
            await service.stop()


@pytest.fixture
async def call(shop: Shop) -> AsyncIterator[Client]:
    async with serving(shop, db_tx_end="commit-allow-override") as client:
        yield client


ROLLBACK = {"prefer": "tx=rollback"}


# --- parameters ----------------------------------------------------------------------------------


def test_placeholders_are_numbered() -> None:
    assert numbered("select %s, '100%%', %s, '%%s'") == "select $1, '100%', $2, '%s'"


async def test_parameters_reach_the_server_unchanged(shop: Shop) -> None:
    texts = ["", "a", "ü,{}", 'q"\\', "NULL", None]
    commands = [
        Command("select $1::text, $2::bytea, $3::text[], $4::int", ("ü", b"\x00\xff", texts, 7)),
        Command("select $1::text", (None,)),
    ]
    async with await psycopg.AsyncConnection[Any].connect(shop.url) as connection:
        for _ in range(3):  # as it is, then prepared, then from the prepared one
            row, nothing = await exchange(connection, commands)
            assert row.get_value(0, 0) == "ü".encode()
            assert row.get_value(0, 1) == b"\\x00ff"
            assert row.get_value(0, 3) == b"7"
            assert nothing.get_value(0, 0) is None
        array = row.get_value(0, 2)
        assert array is not None
        cursor = await connection.execute("select %s::text[]", [array.decode()])
        assert await cursor.fetchone() == (texts,)


async def test_a_failed_statement_undoes_those_before_it(shop: Shop) -> None:
    create = Command("create table shop.half_done (id int)")
    async with await psycopg.AsyncConnection[Any].connect(shop.url) as connection:
        with pytest.raises(StatementFailed):
            await exchange(connection, [create, Command("select 1 / 0")])
        await exchange(connection, [create, Command("drop table shop.half_done")])


async def test_another_epoch_prepares_anew(shop: Shop) -> None:
    command = Command("select 1", prepare=Preparation.AT_ONCE)
    count = Command("select count(*) from pg_prepared_statements", prepare=Preparation.NEVER)
    async with await psycopg.AsyncConnection[Any].connect(shop.url) as connection:
        for epoch in (1, 1, 2):
            await exchange(connection, [command], epoch=epoch)
        (counted,) = await exchange(connection, [count], epoch=2)
        assert counted.get_value(0, 0) == b"1"


# --- the transaction -----------------------------------------------------------------------------


async def test_reads(call: Client) -> None:
    answer = await call("GET", "/items?id=eq.3&select=id,name")
    assert (answer.status, answer.json) == (200, [{"id": 3, "name": "item 3"}])
    assert answer.headers["content-range"] == "0-0/*"
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["content-location"] == "/items?id=eq.3&select=id%2Cname"
    assert answer.headers["content-length"] == str(len(answer.body))
    assert answer.headers["vary"] == "Accept, Prefer, Range"


async def test_equal_shapes_keep_their_own_values(call: Client) -> None:
    for wanted in (1, 2, 3, 2, 99):
        answer = await call("GET", f"/items?id=eq.{wanted}&name=neq.x&select=id")
        assert answer.json == ([{"id": wanted}] if wanted < 21 else [])
        assert answer.headers["content-location"].startswith(f"/items?id=eq.{wanted}&")
    assert (await call("GET", "/items?id=eq.nope&name=neq.x&select=id")).code == "22P02"
    by_name = "/items?name=eq.item 4&select=id&limit=1"
    for _ in range(3):
        assert (await call("GET", by_name.replace(" ", "%20"))).json == [{"id": 4}]


async def test_statements_see_who_calls(call: Client, shop: Shop) -> None:
    seen = (await call("GET", "/rpc/who", x_role="member", cookie="a=b", user_agent="x")).json
    assert seen["user"] == shop.member
    assert seen["claims"] == {"sub": "7", "role": shop.member}
    assert (seen["method"], seen["path"]) == ("GET", "/rpc/who")
    assert seen["headers"] == {"x-role": "member", "user-agent": "x"}
    assert seen["read_only"] == "on"
    assert seen["timeout"] == "4321ms"
    anonymous = (await call("POST", "/rpc/who", prefer="timezone=Asia/Tokyo")).json
    assert anonymous["user"] == shop.anon
    assert anonymous["claims"] == {"role": shop.anon}
    assert anonymous["timezone"] == "Asia/Tokyo"


async def test_writes_are_committed(call: Client) -> None:
    headers = {"x_role": "member", "prefer": "return=representation"}
    created = await call("POST", "/items", {"id": 100, "name": "new"}, **headers)
    assert (created.status, created.headers["content-range"]) == (201, "*/*")
    changed = await call("PATCH", "/items?id=eq.100", {"name": "newer"}, **headers)
    assert (changed.status, changed.json[0]["name"]) == (200, "newer")
    assert (await call("GET", "/items?id=eq.100&select=name")).json == [{"name": "newer"}]
    gone = await call("DELETE", "/items?id=eq.100", x_role="member")
    assert (gone.status, gone.body) == (204, b"")
    assert "content-type" not in gone.headers
    assert (await call("GET", "/items?id=eq.100")).json == []


async def test_a_result_that_may_not_be_is_taken_back(call: Client) -> None:
    single = {"accept": "application/vnd.pgrst.object+json", "x_role": "member"}
    answer = await call("DELETE", "/items?id=lt.4", **single)
    assert (answer.status, answer.code) == (406, "PGRST116")
    assert answer.json["details"] == "The result contains 3 rows"
    answer = await call(
        "DELETE", "/items?id=lt.4", prefer="handling=strict, max-affected=2", x_role="member"
    )
    assert (answer.status, answer.code) == (400, "PGRST124")
    answer = await call("PUT", "/items?id=eq.30", {"id": 31, "name": "x"}, x_role="member")
    assert (answer.status, answer.code) == (400, "PGRST115")
    assert len((await call("GET", "/items?or=(id.lt.4,id.in.(30,31))")).json) == 3


async def test_rollback_on_demand(call: Client) -> None:
    answer = await call("DELETE", "/items?id=eq.5", **ROLLBACK)
    assert (answer.status, answer.headers["preference-applied"]) == (204, "tx=rollback")
    assert len((await call("GET", "/items?id=eq.5")).json) == 1
    twice = [{"n": 1}, {"n": 1}]
    assert (await call("POST", "/deferred", twice, **ROLLBACK)).code == "23505"


async def test_errors_at_commit_are_reported(call: Client) -> None:
    answer = await call("POST", "/deferred", [{"n": 1}, {"n": 1}])
    assert (answer.status, answer.code) == (409, "23505")
    assert (await call("GET", "/deferred")).json == []


async def test_nothing_is_left_on_a_connection(shop: Shop) -> None:
    """Requests of two roles in turn, a fifth of them cancelled at any moment."""
    chance = random.Random(20)
    async with serving(shop, pool_size=2, db_tx_end="commit") as call:

        async def one(number: int) -> None:
            role = "member" if number % 2 else "anon"
            request: Any
            if number % 3:
                request = call("POST", "/rpc/slow", {"seconds": 0.004}, x_role=role)
            else:
                request = call("GET", "/rpc/who", x_role=role)
            task = asyncio.ensure_future(request)
            if number % 5 == 0:
                await asyncio.sleep(chance.random() / 100)
                task.cancel()
            with suppress(asyncio.CancelledError):
                answer = (await task).json
                user = answer if isinstance(answer, str) else answer["user"]
                assert user == (shop.member if role == "member" else shop.anon)

        for first in range(0, 200, 4):
            await asyncio.gather(*(one(number) for number in range(first, first + 4)))
        pool = call.service._pool
        for _ in range(2):
            async with pool.connection() as connection:
                cursor = await connection.execute(
                    "select current_user = session_user, current_setting('request.method', true)"
                )
                assert await cursor.fetchone() in ((True, ""), (True, None))


async def broken(call: Client, shop: Shop) -> None:
    """Break every idle connection of the pool."""
    async with await psycopg.AsyncConnection[Any].connect(shop.url, autocommit=True) as other:
        pids = [idle.info.backend_pid for idle in call.service._pool._pool]
        await other.execute("select pg_terminate_backend(pid, 5000) from unnest(%s) pid", [pids])


async def test_reads_outlive_a_broken_connection(call: Client, shop: Shop) -> None:
    await call("GET", "/items?id=eq.1")
    await broken(call, shop)
    assert (await call("GET", "/items?id=eq.1")).status == 200


async def test_writes_take_no_broken_connection(call: Client, shop: Shop) -> None:
    await call("GET", "/items?id=eq.1")
    await broken(call, shop)
    assert (await call("DELETE", "/items?id=eq.1000")).status == 204


async def test_writes_are_not_repeated(call: Client, shop: Shop) -> None:
    writing = asyncio.create_task(call("POST", "/rpc/slow", {"seconds": 30}))
    async with await psycopg.AsyncConnection[Any].connect(shop.url, autocommit=True) as other:
        ended = None
        while ended is None:
            found = await other.execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
                "where state = 'active' and query like '%slow%' and pid <> pg_backend_pid()"
            )
            ended = await found.fetchone()
            await asyncio.sleep(0.01)
    answer = await writing
    assert (answer.status, answer.code) == (503, "PGRST001")
    assert answer.headers["retry-after"].isdigit()
    assert (await call("DELETE", "/items?id=eq.1000")).status == 204


async def test_a_pool_without_a_free_connection(shop: Shop) -> None:
    async with serving(shop, pool_size=1, timeout=0.05) as call:
        slow = asyncio.ensure_future(call("POST", "/rpc/slow", {"seconds": 1}))
        await asyncio.sleep(0.1)
        answer = await call("GET", "/items")
        slow.cancel()
        with suppress(asyncio.CancelledError):
            await slow
    assert (answer.status, answer.code) == (504, "PGRST003")


async def test_deallocated_statements_are_prepared_anew(shop: Shop) -> None:
    async with serving(shop, pool_size=1) as call:
        for _ in range(3):
            await call("GET", "/items?id=eq.1")
        async with call.service._pool.connection() as connection:
            await connection.execute("deallocate all")
        assert (await call("GET", "/items?id=eq.1")).status == 200


# --- answers -------------------------------------------------------------------------------------


async def test_head_has_no_body(call: Client) -> None:
    answer = await call("HEAD", "/items?id=lt.4", prefer="count=exact")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["content-range"] == "0-2/3"
    refused = await call("HEAD", "/nothing")
    assert (refused.status, refused.body) == (404, b"")
    assert refused.headers["proxy-status"] == "PostgREST; error=PGRST205"


async def test_counts_and_ranges(call: Client) -> None:
    part = await call("GET", "/items?limit=5&select=id", prefer="count=exact")
    assert (part.status, part.headers["content-range"]) == (206, "0-4/20")
    assert part.headers["preference-applied"] == "count=exact"
    beyond = await call("GET", "/items?offset=30", prefer="count=exact")
    assert (beyond.status, beyond.code) == (416, "PGRST103")
    assert beyond.headers["content-range"] == "*/20"
    guessed = await call("GET", "/items?limit=2", prefer="count=planned")
    assert guessed.headers["content-range"].startswith("0-1/")


async def test_location(call: Client) -> None:
    answer = await call(
        "POST", "/items", {"id": 101}, x_role="member", prefer="return=headers-only, tx=rollback"
    )
    assert answer.headers["location"] == "/items?id=eq.101"
    assert (answer.status, answer.headers["content-length"]) == (201, "0")


async def test_void_is_no_content(call: Client) -> None:
    assert (await call("POST", "/rpc/nothing")).status == 204


async def test_bytes_are_not_text(call: Client) -> None:
    answer = await call("GET", "/rpc/picture", accept="image/x")
    assert (answer.body, answer.headers["content-type"]) == (b"\x00\xff\n", "image/x")
    assert (await call("GET", "/rpc/image")).json == "\\x00ff0a"


async def test_options(call: Client) -> None:
    table = await call("OPTIONS", "/items")
    assert table.headers["allow"] == "OPTIONS,GET,HEAD,POST,PUT,PATCH,DELETE"
    assert (await call("OPTIONS", "/rpc/who")).headers["allow"] == "OPTIONS,GET,HEAD,POST"
    assert (await call("OPTIONS", "/rpc/nothing")).headers["allow"] == "OPTIONS,POST"
    assert (await call("OPTIONS", "/")).headers["allow"] == "OPTIONS,GET,HEAD"
    assert (await call("OPTIONS", "/nope")).status == 404


async def test_root(call: Client) -> None:
    answer = await call("GET", "/")
    assert answer.headers["content-type"] == "application/openapi+json; charset=utf-8"
    assert answer.json["basePath"] == "/rest/v1"
    assert "/items" in answer.json["paths"]
    assert "/secret" not in answer.json["paths"]
    assert (await call("GET", "/", accept="text/csv")).code == "PGRST107"


async def test_the_database_may_change_the_answer(call: Client) -> None:
    headers = json.dumps([{"X-One": "1"}, {"Content-Type": "text/plain"}, {"x-one": "2"}])
    answer = await call("POST", "/rpc/answer", {"status": "418", "headers": headers})
    assert (answer.status, answer.body) == (418, b"1")
    assert answer.headers["content-type"] == "text/plain"
    assert answer.headers["x-one"] == "2"


@pytest.mark.parametrize(
    ("status", "headers", "code"),
    [
        ("soon", "", "PGRST112"),
        ("99", "", "PGRST112"),
        ("", "{}", "PGRST111"),
        ("", "[1]", "PGRST111"),
        ("", '[{"a":"1","b":"2"}]', "PGRST111"),
        ("", '[{"a":"b\\r\\nSet-Cookie: c"}]', "PGRST111"),
    ],
)
async def test_bad_changes(call: Client, status: str, headers: str, code: str) -> None:
    answer = await call("POST", "/rpc/answer", {"status": status, "headers": headers})
    assert (answer.status, answer.code) == (500, code)


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "status"),
    [
        *(("23505", 409), ("P0001", 400), ("PT402", 402), ("PTABC", 500), ("28000", 403)),
        *(("53400", 500), ("53300", 503), ("40001", 500), ("XX000", 500), ("22012", 400)),
        *(("42P01", 404), ("42883", 404), ("21000", 500), ("0L000", 403), ("42501", 401)),
    ],
)
async def test_sqlstates(call: Client, code: str, status: int) -> None:
    answer = await call("POST", "/rpc/fail", {"code": code, "message": "so it is"})
    assert (answer.status, answer.code) == (status, code)
    assert answer.json == {"code": code, "message": "so it is", "details": None, "hint": None}
    assert answer.headers["proxy-status"] == f"PostgREST; error={code}"
    assert ("www-authenticate" in answer.headers) == (status == 401)


async def test_who_is_signed_in_is_forbidden(call: Client) -> None:
    answer = await call("GET", "/secret", x_role="member")
    assert (answer.status, answer.code) == (403, "42501")
    assert (await call("GET", "/secret")).status == 401


async def test_raise_pgrst(call: Client) -> None:
    message = json.dumps({"code": "123", "message": "ABC", "details": "DEF", "hint": "XYZ"})
    detail = json.dumps({"status": 332, "status_text": "My Custom", "headers": {"X-Header": "v"}})
    sent = {"code": "PGRST", "message": message, "detail": detail}
    answer = await call("POST", "/rpc/fail", sent)
    assert (answer.status, answer.headers["x-header"]) == (332, "v")
    assert answer.json == json.loads(message)
    for broken in ({**sent, "message": "{"}, {**sent, "detail": "[]"}):
        answer = await call("POST", "/rpc/fail", broken)
        assert (answer.status, answer.code) == (500, "PGRST121")
    answer = await call("POST", "/rpc/fail", {"code": "PGRST", "message": message})
    assert answer.json["details"] == "DETAIL is missing in the RAISE statement"


async def test_bad_credentials_are_never_anonymous(call: Client) -> None:
    answer = await call("GET", "/items", authorization="Bearer bad")
    assert (answer.status, answer.code) == (401, "PGRST301")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_reads_cannot_write(call: Client) -> None:
    answer = await call("GET", "/rpc/fail?code=25006&message=x")
    assert (answer.status, answer.code) == (405, "25006")


async def test_nul_is_no_text(call: Client) -> None:
    answer = await call("GET", "/items?name=eq.a%00b")
    assert (answer.status, answer.code) == (400, "22021")


async def test_limits(shop: Shop) -> None:
    async with serving(shop, max_body_bytes=100, max_url_bytes=200) as call:
        long = await call("POST", "/items", b"x" * 101)
        assert (long.status, long.code) == (413, "AERO413")
        declared = await call("POST", "/items", b"x", content_length="101")
        assert declared.status == 413
        url = await call("GET", "/items?select=" + "a" * 200)
        assert (url.status, url.code) == (414, "AERO414")


async def test_safe_update(shop: Shop) -> None:
    async with serving(shop, safe_update=True) as call:
        answer = await call("DELETE", "/items", x_role="member")
        assert (answer.status, answer.code) == (400, "21000")
        assert answer.json["message"] == "DELETE requires a WHERE clause"
        answer = await call("PATCH", "/items", {"name": "x"})
        assert answer.json["message"] == "UPDATE requires a WHERE clause"
        answer = await call("DELETE", "/items?select=id", x_aerodb_all_rows="true")
        assert answer.code == "23503"  # the statement ran


async def test_before_the_first_load(shop: Shop) -> None:
    async with AsyncConnectionPool[Any](shop.url, min_size=1, open=False) as pool:
        service = RestService(pool, shop.settings(), lambda _: Caller(shop.anon))
        answer = await Client(service)("GET", "/items")
    assert (answer.status, answer.code) == (503, "PGRST002")
    assert answer.headers["retry-after"].isdigit()


async def test_reload_on_notify(shop: Shop) -> None:
    name = f"later_{uuid.uuid4().hex[:8]}"
    async with serving(shop) as call:
        assert (await call("GET", f"/{name}")).code == "PGRST205"
        async with await psycopg.AsyncConnection.connect(shop.url, autocommit=True) as other:
            table, role = sql.Identifier("shop", name), sql.Identifier(shop.anon)
            await other.execute(sql.SQL("create table {} (id int)").format(table))
            await other.execute(sql.SQL("grant select on {} to {}").format(table, role))
            await other.execute("notify pgrst, 'reload schema'")
        async with asyncio.timeout(20):
            while (await call("GET", f"/{name}")).status != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


async def test_reload_on_another_channel_or_none(shop: Shop) -> None:
    name = f"later_{uuid.uuid4().hex[:8]}"
    quiet = serving(shop, db_channel_enabled=False)
    async with serving(shop, db_channel="Other channel") as call, quiet as deaf:
        async with await psycopg.AsyncConnection.connect(shop.url, autocommit=True) as other:
            table, role = sql.Identifier("shop", name), sql.Identifier(shop.anon)
            await other.execute(sql.SQL("create table {} (id int)").format(table))
            await other.execute(sql.SQL("grant select on {} to {}").format(table, role))
            await other.execute("select pg_notify('Other channel', 'reload schema')")
            await other.execute("notify pgrst, 'reload schema'")
        async with asyncio.timeout(20):
            while (await call("GET", f"/{name}")).status != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert (await deaf("GET", f"/{name}")).code == "PGRST205"
        await deaf.service.reload()
        assert (await deaf("GET", f"/{name}")).status == 200


async def test_server_timing_and_trace(shop: Shop) -> None:
    changes = {"server_timing_enabled": True, "server_trace_header": "X-Trace"}
    async with serving(shop, **changes) as call:
        answer = await call("GET", "/items?id=eq.1", x_trace="abc")
    assert answer.headers["x-trace"] == "abc"
    names = [part.partition(";")[0] for part in answer.headers["server-timing"].split(", ")]
    assert names == ["jwt", "parse", "plan", "transaction", "response"]


@pytest.mark.parametrize(("method", "url"), [("OPTIONS", "/items"), ("GET", "/"), ("HEAD", "/")])
async def test_server_timing_where_no_statement_is_run(shop: Shop, method: str, url: str) -> None:
    async with serving(shop, server_timing_enabled=True) as call:
        answer = await call(method, url)
    assert answer.status == 200
    names = [part.partition(";")[0] for part in answer.headers["server-timing"].split(", ")]
    assert names == ["jwt", "parse", "plan", "transaction", "response"]


@pytest.mark.parametrize(
    ("url", "code"),
    [("/itms", "PGRST205"), ("/items?id=eq.x", "22P02"), ("/items?offset=99", "PGRST103")],
)
async def test_errors_may_be_told_without_details(shop: Shop, url: str, code: str) -> None:
    async with serving(shop, client_error_verbosity="minimal") as call:
        answer = await call("GET", url, prefer="count=exact")
    assert answer.json.keys() == {"code", "message"}
    assert answer.code == code
    assert answer.headers["content-length"] == str(len(answer.body))


async def test_a_name_in_place_of_an_alias_is_warned_of(call: Client) -> None:
    url = "/items?id=eq.19&select=id,parts:lots(id)"
    answer = await call("GET", f"{url}&lots.order=id&lots.limit=1")
    assert (answer.status, answer.json) == (200, [{"id": 19, "parts": [{"id": 7}]}])
    agent, text = answer.headers["warning"].removeprefix("299 ").split(" ", 1)
    assert agent.startswith("PostgREST")
    assert "Update `lots` to `parts` in" in text
    assert "warning" not in (await call("GET", f"{url}&parts.order=id")).headers
