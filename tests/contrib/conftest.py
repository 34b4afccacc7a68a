"""An AeroDB with two people in it, whose notes are their own."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from aerodb import AeroDBClient, Session
from aerodb.local import LocalServer

SCHEMA = """
create table notes (
    id    bigint generated always as identity primary key,
    owner uuid not null default auth.uid(),
    body  text not null unique
);
alter table notes enable row level security;
create policy own on notes using (owner = auth.uid()) with check (owner = auth.uid());
create table board (id int primary key, text text not null);
insert into board values (1, 'Welcome');
create table talk (id int generated always as identity primary key, text text not null);
create function slow(seconds float) returns text language sql stable as
    $$ select pg_sleep(seconds)::text $$;
create view twice as select 1 as a union all select 2;
create function stopped() returns text language sql stable set statement_timeout = '100ms' as
    $$ select pg_sleep(60)::text $$;
"""


@pytest.fixture(scope="package")
def aerodb_server() -> Iterator[LocalServer]:
    with LocalServer(schema=[SCHEMA]) as server:
        yield server


def sign_up(server: LocalServer) -> Session:
    """Somebody new."""
    with AeroDBClient(server.url, server.anon_key) as client:
        data = client.auth.sign_up(f"{uuid4()}@example.com", "correct horse").unwrap()
        assert data.session is not None
        return data.session


@pytest.fixture(scope="package")
def alice(aerodb_server: LocalServer) -> Session:
    return sign_up(aerodb_server)


@pytest.fixture(scope="package")
def bob(aerodb_server: LocalServer) -> Session:
    return sign_up(aerodb_server)
