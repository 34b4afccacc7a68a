"""An auth service for tests: gives out tokens, rotates them, notices when one is spent twice.

Its steps answer requests of a `ScriptedServer`. Access tokens hold until `expire()`; the counts
say what was asked for. It keeps the rules of wire-contract §2.4, without its grace unless asked.
"""

from __future__ import annotations

import itertools
import json
import socket
import threading
import time
from typing import Any

from tests.support.scripted import ScriptedServer, Seen, Step, answer, head

USER = {"id": "7b0e8f0e-0000-4000-8000-000000000001", "email": "ada@example.com"}


def reply(status: int, body: Any = None, *headers: tuple[str, str]) -> list[Step]:
    """A whole response with a JSON body."""
    data = b"" if body is None else json.dumps(body).encode()
    return answer(status, data, [("Content-Type", "application/json"), *headers])


def refusal(status: int, code: str) -> list[Step]:
    """An error as the service words it."""
    body = {"error": code.replace("_", " "), "code": code, "message": code, "status": status}
    headers = [("WWW-Authenticate", 'Bearer error="invalid_token"')] if status == 401 else []
    return reply(status, body, *headers)


class Gate:
    """Where the answer to a refresh stops on its way, until the test lets it go on.

    Args:
        share: How much of the answer has gone out by then: 0.0 to 1.0.
    """

    def __init__(self, share: float) -> None:
        self.share = share
        self.reached = threading.Event()
        self.opened = threading.Event()

    def send(self, sock: socket.socket, data: bytes) -> None:
        """Send a part, wait, and send the rest."""
        cut = round(len(data) * self.share)
        sock.sendall(data[:cut])
        self.reached.set()
        self.opened.wait(30)
        sock.sendall(data[cut:])


class TokenDesk:
    """The service. `canary` is part of every token, so that leaks can be looked for."""

    def __init__(self, server: ScriptedServer, *, canary: str = "", delay: float = 0.0) -> None:
        self.server = server
        self.canary = canary
        self.delay = delay
        self.life = 900.0
        self.refreshes = 0
        self.refused = 0
        self.reused = 0
        self.logouts = 0
        self.revoked = False
        self.always_401 = False
        self.failing: list[list[Step]] = []
        self.gate: Gate | None = None
        self._serial = itertools.count(1)
        self._valid: set[str] = set()
        self._current: str | None = None
        self._lock = threading.Lock()
        for path, step in (
            ("/auth/login", self._login),
            ("/auth/refresh", self._refresh),
            ("/auth/logout", self._logout),
            ("/auth/user", self._user),
            ("/rest/v1/notes", self._notes),
        ):
            server.on(path, [step])

    def expire(self) -> None:
        """From now on no access token given out so far is good."""
        with self._lock:
            self._valid.clear()

    def open(self) -> tuple[str, str]:
        """Tokens of a new session."""
        with self._lock:
            body = self._issue()
        return body["access_token"], body["refresh_token"]

    def _issue(self) -> dict[str, Any]:
        number = next(self._serial)
        access, self._current = f"access{self.canary}{number}", f"refresh{self.canary}{number}"
        self.revoked = False
        self._valid.add(access)
        tokens = {"access_token": access, "refresh_token": self._current}
        return {**tokens, "token_type": "bearer", "expires_in": self.life, "user": USER}

    def _login(self, sock: socket.socket, seen: Seen) -> None:
        with self._lock:
            body = self._issue()
        _send(sock, seen, reply(200, body))

    def _refresh(self, sock: socket.socket, seen: Seen) -> None:
        if self.failing:
            _send(sock, seen, self.failing.pop(0))
            return
        token = json.loads(seen.body)["refresh_token"]
        with self._lock:
            self.refreshes += 1
            if self.revoked:
                steps = refusal(401, "session_revoked")
            elif token == self._current:
                steps = self._through_the_gate(self._issue())
            else:
                self.reused += 1
                self.revoked = True
                steps = refusal(401, "refresh_token_reused")
        time.sleep(self.delay)
        _send(sock, seen, steps)

    def _through_the_gate(self, body: dict[str, Any]) -> list[Step]:
        gate, steps = self.gate, reply(200, body)
        if gate is None:
            return steps
        data = json.dumps(body).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(data)))]
        return [lambda sock, seen: gate.send(sock, head(200, headers) + data)]

    def _logout(self, sock: socket.socket, seen: Seen) -> None:
        with self._lock:
            self.logouts += 1
            self.revoked = True
            self._valid.clear()
        _send(sock, seen, reply(204))

    def _user(self, sock: socket.socket, seen: Seen) -> None:
        _send(sock, seen, reply(200, USER) if self._lets_in(seen) else self._refuse())

    def _notes(self, sock: socket.socket, seen: Seen) -> None:
        rows = [{"bearer": seen.header("authorization")}]
        _send(sock, seen, reply(200, rows) if self._lets_in(seen) else self._refuse())

    def _lets_in(self, seen: Seen) -> bool:
        if self.always_401:
            return False
        bearer = (seen.header("authorization") or "").removeprefix("Bearer ")
        return not bearer.startswith("access") or bearer in self._valid

    def _refuse(self) -> list[Step]:
        with self._lock:
            self.refused += 1
        return refusal(401, "token_expired")

    def bearers(self, path: str = "/rest/v1/notes") -> list[str | None]:
        """The bearer of every request for `path`."""
        return [
            seen.header("authorization")
            for seen in self.server.seen
            if seen.target.partition("?")[0] == path
        ]


def _send(sock: socket.socket, seen: Seen, steps: list[Step]) -> None:
    for step in steps:
        step(sock, seen)
