"""Two instances with their auth part, and people who use them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
import pytest

from aerodb.local import LocalServer

PASSWORD = "correct horse"
SCHEMA = """
    create table folders (
        id int generated always as identity primary key,
        owner uuid not null default auth.uid() references auth.users on delete cascade,
        name text not null
    );
    create table notes (
        id int primary key,
        folder_id int references folders,
        owner uuid not null default auth.uid() references auth.users on delete cascade,
        body text not null
    );
    create table shelves (id int primary key, label text);
    alter table folders enable row level security;
    alter table notes enable row level security;
    create policy own on folders using (owner = auth.uid()) with check (owner = auth.uid());
    create policy own on notes using (owner = auth.uid()) with check (owner = auth.uid());
    create table profiles (id uuid primary key references auth.users on delete cascade, name text);
    create function on_new_user() returns trigger language plpgsql security definer as $$
    begin
        if new.email like '%@refused.example' then
            raise exception 'only for friends';
        end if;
        insert into profiles values (new.id, new.raw_user_meta_data ->> 'name');
        return new;
    end $$;
    create trigger on_new_user after insert on auth.users
        for each row execute function on_new_user();
    create function note_count() returns bigint language sql stable as 'select count(*) from notes';
    create view own_notes with (security_invoker = true) as select * from notes;
    create function whoami() returns json language sql stable as
        $$ select json_build_object('id', auth.uid(), 'role', auth.role(), 'email', auth.email(),
                                    'claims', auth.jwt(), 'user', current_user) $$;
    create function run_sql(statement text) returns text language plpgsql as
        $$ begin execute statement; return 'done'; end $$;
"""


@dataclass(slots=True)
class Person:
    """Somebody who has signed up."""

    email: str
    api: Api = field(repr=False)
    result: dict[str, Any] = field(repr=False)

    @property
    def id(self) -> str:
        found: str = self.result["user"]["id"]
        return found

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.result['access_token']}"}

    @property
    def refresh_token(self) -> str:
        found: str = self.result["refresh_token"]
        return found

    def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {**self.bearer, **more.pop("headers", {})}
        return self.api.http.request(method, path, headers=headers, **more)


class Api:
    """An instance over HTTP."""

    def __init__(self, server: LocalServer, http: httpx.Client, *, has_keys: bool = True) -> None:
        self.server = server
        self.http = http
        self.service = {"apikey": server.service_key} if has_keys else {}

    def post(self, path: str, body: Any = None, **more: Any) -> httpx.Response:
        return self.http.post(path, json={} if body is None else body, **more)

    def person(self, **body: Any) -> Person:
        """Sign somebody up."""
        email = body.setdefault("email", new_email())
        answer = self.post("/auth/signup", {"password": PASSWORD, **body})
        assert answer.status_code == 201, answer.text
        return Person(email, self, answer.json())

    def sign_in(self, email: str, password: str = PASSWORD) -> httpx.Response:
        return self.post("/auth/login", {"email": email, "password": password})

    def refresh(self, token: str) -> httpx.Response:
        return self.post("/auth/refresh", {"refresh_token": token})

    def mails(self, email: str) -> list[dict[str, Any]]:
        answer = self.http.get("/_aerodb/outbox", params={"to": email}, headers=self.service)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["mails"]
        return found


def new_email() -> str:
    return f"{uuid4().hex}@example.com"


def said(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of an error, whose whole shape is looked at (wire contract §1.3, §1.5)."""
    body = answer.json()
    assert set(body) == {"error", "code", "message", "status"}
    assert body["error"] == body["message"] != ""
    assert body["status"] == answer.status_code
    assert answer.headers["x-aerodb-error"] == body["code"]
    assert answer.headers["content-type"].startswith("application/json")
    assert ("www-authenticate" in answer.headers) == (answer.status_code == 401)
    return answer.status_code, body["code"]


def opened(server: LocalServer) -> Iterator[Api]:
    with httpx.Client(base_url=server.url, trust_env=False, timeout=60) as http:
        yield Api(server, http)


@pytest.fixture(scope="session")
def auth_server() -> Iterator[LocalServer]:
    with LocalServer(schema=[SCHEMA], db_aggregates_enabled=True) as server:
        yield server


@pytest.fixture(scope="session")
def api(auth_server: LocalServer) -> Iterator[Api]:
    yield from opened(auth_server)


@pytest.fixture(scope="session")
def somebody(api: Api) -> Person:
    """Somebody who stays signed in: for tests that change nothing about that."""
    return api.person()


@pytest.fixture(scope="session")
def strict_api() -> Iterator[Api]:
    """An instance that asks for confirmed addresses and counts attempts."""
    with LocalServer(auth_confirm_email=True, auth_rate_limits=True) as server:
        yield from opened(server)


@pytest.fixture
def strict(strict_api: Api) -> Api:
    """`strict_api`, with nothing counted yet."""
    strict_api.server.execute_sql("truncate aerodb_internal.auth_attempts")
    return strict_api
