"""What may be told of a call to whoever observes it: names, numbers and codes, never a value.

The names follow OpenTelemetry's stable conventions for database clients.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from aerodb._core.http import AnyCall, Origin
from aerodb._core.redact import MASK, redact_text
from aerodb.types import AeroDBResponse

_REST = "/rest/v1/"
_RESUMABLE = "/upload/resumable/"  # what follows is the name of one upload: a capability
_VERBS = {"GET": "SELECT", "HEAD": "SELECT", "POST": "INSERT", "PATCH": "UPDATE", "PUT": "UPSERT",
          "DELETE": "DELETE"}  # fmt: skip
_CODE = r"[A-Za-z0-9_.-]{1,64}"
_DATABASE_CODE = r"PGRST[0-9A-Z]{1,5}|(?=[0-9A-Z]*[0-9])[0-9A-Z]{5}"


class Operation:
    """One call of the SDK, however many attempts it takes.

    Attributes:
        name: A short text of few different values: `SELECT todos`, `POST auth/login`.
        operation: `SELECT`, `INSERT`, `UPSERT`, `UPDATE`, `DELETE`, `EXECUTE` for the database,
            the HTTP method for all else.
        collection: The table or view; None outside the database.
        procedure: The function in the database; None for all else.
        namespace: The schema; None outside the database.
        method: The HTTP method.
        path: The path, with the names of its query parameters and without their values.
        host, port: The server.
        headers: Headers to be sent along, for an observer to fill: a trace context.
        status: The last HTTP status; None if there was none, or the call is under way.
        error_code: The code of the error; None for success.
        database_code: That code, if the database gave it: a SQLSTATE, or PostgREST's own.
        attempts: How often the request was sent.
        elapsed: Seconds.
    """

    __slots__ = ("attempts", "collection", "database_code", "elapsed", "error_code", "headers",
                 "host", "method", "name", "namespace", "operation", "path", "port", "procedure",
                 "status")  # fmt: skip

    def __init__(self, call: AnyCall, origin: Origin, secrets: Sequence[str] = ()) -> None:
        self.method = call.method
        self.path = shown_path(call.path, secrets)
        self.host, self.port = origin.host, origin.port
        self.collection: str | None = None
        self.procedure: str | None = None
        self.namespace: str | None = None
        self.operation, target = call.method, _target(self.path)
        if call.path.startswith(_REST) and len(call.path) > len(_REST):
            from urllib.parse import unquote  # of use only to who watches

            target = unquote(self.path.partition("?")[0].removeprefix(_REST))
            self._name_in_database(call, target)
            target = self.procedure or target
        self.name = f"{self.operation} {target}"
        self.headers: dict[str, str] = {}
        self.status: int | None = None
        self.error_code: str | None = None
        self.database_code: str | None = None
        self.attempts = 0
        self.elapsed = 0.0

    def _name_in_database(self, call: AnyCall, target: str) -> None:
        given = {name.lower(): value for name, value in call.headers}
        self.namespace = given.get("accept-profile") or given.get("content-profile")
        if target.startswith("rpc/"):
            self.operation, self.procedure = "EXECUTE", target.removeprefix("rpc/")
            return
        self.collection = target
        merges = "resolution=" in given.get("prefer", "")
        self.operation = "UPSERT" if merges else _VERBS.get(call.method, call.method)

    def ended(self, response: AeroDBResponse[Any]) -> None:
        """Take note of the outcome; an error's text may quote values, so only its code is kept."""
        self.status = response.meta.status
        if response.error is not None:
            code = response.error.code or ""
            plain = re.fullmatch(_CODE, code) is not None and redact_text(code) == code
            self.error_code = code if plain else str(response.error.status or "_OTHER")
            from_database = self.namespace is not None and re.fullmatch(_DATABASE_CODE, code)
            self.database_code = code if from_database else None

    def __repr__(self) -> str:
        return f"<Operation {self.name}>"


class Telemetry(Protocol):
    """Observes the calls of a client: `ClientOptions(telemetry=...)`.

    `observe` is called once for each call, before its first attempt, and gives a context manager
    around all of it. On entering it may fill `operation.headers`; when it is left, the operation
    says how the call ended. What it raises reaches the caller.
    """

    def observe(self, operation: Operation) -> AbstractContextManager[Any]: ...


def shown_path(path: str, secrets: Sequence[str] = ()) -> str:
    """The path of a call without the values in it that could be private."""
    head, mark, query = path.partition("?")
    before, resumable, upload = head.partition(_RESUMABLE)
    if upload:
        head = f"{before}{resumable}{MASK}"
    names = [f"{part.partition('=')[0]}={MASK}" for part in query.split("&") if part]
    return redact_text(head + mark + "&".join(names), secrets)


def _target(path: str) -> str:
    """`/storage/v1/object/avatars/1.png` -> `storage/object`."""
    parts = [part for part in path.partition("?")[0].split("/") if part and part != "v1"]
    return "/".join(parts[:2])
