"""What goes around a statement: the role, the settings, and where a transaction begins and ends.

Every setting of ours is local to the transaction (wire contract §1.4).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from aerodb.local.rest.ast import Request
from aerodb.local.rest.exchange import Command, Preparation, numbered
from aerodb.local.rest.roles import Roles
from aerodb.local.settings import RestSettings


class Caller(Protocol):
    """Who the statements run as."""

    @property
    def role(self) -> str: ...

    @property
    def claims(self) -> dict[str, Any] | None: ...

    @property
    def authenticated(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Context:
    """What a transaction needs besides the request: the same for all until the next reload."""

    settings: RestSettings
    roles: Roles
    epoch: int = 0


def settings_command(
    request: Request,
    caller: Caller,
    context: Context,
    routine_settings: tuple[tuple[str, str], ...] = (),
    *,
    read_only: bool,
) -> Command:
    """One SELECT that sets everything for the transaction, the role among it."""
    settings = context.settings
    before_role = context.roles.settings.get(caller.role, ())
    claims = {**(caller.claims or {}), "role": caller.role}
    values: list[str] = []
    for name, value in before_role:
        values += (name, value)
    values += (
        _search_path(request.schema, settings.db_extra_search_path),
        caller.role,
        _json(claims),
        request.method,
        request.path,
        _json(dict(request.headers)),
        _json(dict(request.cookies)),
    )
    after = (*routine_settings, *settings.app_settings)
    timezone = request.preferences.timezone
    if timezone is not None:
        after = (("timezone", timezone), *after)
    for name, value in after:
        values += (name, value)
    sql = _settings_sql(len(before_role), len(after), read_only)
    return Command(sql, tuple(values), prepare=Preparation.AT_ONCE)


_CONSTANT = (
    "search_path",
    "role",
    "request.jwt.claims",
    "request.method",
    "request.path",
    "request.headers",
    "request.cookies",
)


@lru_cache(maxsize=256)
def _settings_sql(before: int, after: int, read_only: bool) -> str:
    """Role settings come before the role itself: it may not have the right to set them."""
    calls = ["set_config('transaction_read_only', 'on', true)"] if read_only else []
    calls += ["set_config(%s, %s, true)"] * before
    calls += [f"set_config('{name}', %s, true)" for name in _CONSTANT]
    calls += ["set_config(%s, %s, true)"] * after
    return numbered("select " + ", ".join(f"pg_catalog.{call}" for call in calls))


@lru_cache(maxsize=64)
def _search_path(schema: str, extra: tuple[str, ...]) -> str:
    names = (name.replace('"', '""') for name in (schema, *extra))
    return ", ".join(f'"{name}"' for name in names)


_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def _json(value: dict[str, Any]) -> str:
    return _encoder.encode(value) if value else "{}"


@lru_cache(maxsize=16)
def pre_request(name: str) -> Command:
    quoted = ".".join('"' + part.replace('"', '""') + '"' for part in name.split("."))
    return Command(f"select {quoted}()", prepare=Preparation.AT_ONCE)


_ISOLATION_LEVELS = {
    "serializable": "SERIALIZABLE",
    "repeatable read": "REPEATABLE READ",
    "read committed": "READ COMMITTED",
    "read uncommitted": "READ UNCOMMITTED",
}


def _control(sql: str) -> Command:
    return Command(sql, prepare=Preparation.NEVER)


def begin(isolation: str | None) -> Command:
    """The start of an explicit transaction, at the default isolation level if none is given."""
    level = _ISOLATION_LEVELS.get((isolation or "").lower())
    return _control(f"BEGIN ISOLATION LEVEL {level}" if level else "BEGIN")


COMMIT = _control("COMMIT")
ROLLBACK = _control("ROLLBACK")
CHECK_CONSTRAINTS = _control("SET CONSTRAINTS ALL IMMEDIATE")
