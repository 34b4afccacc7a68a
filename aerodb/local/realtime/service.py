"""Putting the realtime part together, and the handshake (wire contract §4.4)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import PoolTimeout

from aerodb.local.credentials import Identity
from aerodb.local.database import Database
from aerodb.local.realtime.bindings import Bindings
from aerodb.local.realtime.callers import Callers
from aerodb.local.realtime.channels import Channels
from aerodb.local.realtime.connection import Connection
from aerodb.local.realtime.delivery import Delivery
from aerodb.local.realtime.feed import Feed
from aerodb.local.realtime.gate import Gate
from aerodb.local.realtime.http import HttpSide, answer_error, answer_refused, headers_of
from aerodb.local.realtime.log import Log
from aerodb.local.realtime.parts import FEATURES, Parts
from aerodb.local.realtime.peers import CHANNEL as PEERS_CHANNEL
from aerodb.local.realtime.peers import Peers
from aerodb.local.realtime.pools import Pools
from aerodb.local.realtime.presence import Presence
from aerodb.local.realtime.replaced import Replaced
from aerodb.local.realtime.tables import Tables
from aerodb.local.realtime.upkeep import Sweep, Upkeep, Watched
from aerodb.local.replies import Receive, Scope, Send, as_handshake_answer
from aerodb.local.rest.errors import RestError
from aerodb.local.settings import InstanceSettings
from aerodb.local.websocket import ACTIVITY, QUERY

__all__ = ["FEATURES", "PREFIX", "RealtimeService", "make_realtime_service"]
log = logging.getLogger("aerodb.local.realtime")
PREFIX = "/realtime"
Authenticate = Callable[[Mapping[str, str]], Identity]
SessionLives = Callable[[Mapping[str, Any]], Awaitable[bool]]
"""Whether the session that claims name still goes on."""
_CLOSE_SECONDS = 3.0
_REST_SECONDS = 1.0


class RealtimeService:
    """The realtime part over a database; `conninfo` opens its log."""

    def __init__(
        self,
        conninfo: str,
        database: Database,
        settings: InstanceSettings,
        authenticate: Authenticate,
        session_lives: SessionLives | None,
    ) -> None:
        rest = database.rest
        self._conninfo = conninfo
        self._pools = pools = Pools(conninfo, database.login)
        self._authenticate = authenticate
        self._session_lives = session_lives
        self._from_address: Counter[str] = Counter()
        self._most_from_address = settings.realtime_connections_per_address
        self._query_credentials = settings.realtime_query_credentials
        self._tables = Tables(pools.log)
        self._callers = Callers(pools.callers, rest.db_extra_search_path)
        self._live_callers = Callers(pools.live, rest.db_extra_search_path)
        instance = uuid4()
        self._log = Log(pools.log, instance)
        self._peers = Peers(pools.log, instance, self._receive)
        self._feed = self._make_feed(rest.db_channel)
        channels = Channels(self._peers.publish)
        self._presence = Presence(str(instance), channels, self._peers.publish)
        self._parts = Parts(
            feed=self._feed,
            bindings=Bindings(rest.db_schemas, self._tables, self._callers, self._log, self._feed),
            channels=channels,
            presence=self._presence,
            gate=Gate(self._callers),
            admit=self._admit,
        )
        self._sweep = Sweep()
        self._replaced = Replaced(self._tables, self._feed)
        self._http = HttpSide(self._parts, self._admit, self._figures)
        self._tasks: list[asyncio.Task[None]] = []

    def _make_feed(self, schema_channel: str) -> Feed:
        feed = Feed(
            self._log,
            self._tables,
            Delivery(self._tables, self._live_callers),
            Delivery(self._tables, self._callers),
            self._connect,
        )
        feed.listening.add(schema_channel, self._schema_changed)
        feed.listening.add(PEERS_CHANNEL, self._peers.hear)
        feed.on_restart = self._restarted
        feed.on_listening = self._peers.announce
        return feed

    async def start(self) -> None:
        """Find the end of the log and follow it from there."""
        await self._pools.open()
        await self._feed.open()
        upkeep = Upkeep(self._log, self._feed, self._parts.bindings, self._peers, self._presence)
        await upkeep.once(thorough=True)
        for work in (
            self._feed.run,
            self._peers.run,
            self._sweep.run,
            upkeep.run,
            self._replaced.run,
        ):
            self._tasks.append(asyncio.create_task(_keep(work), name="aerodb-realtime"))

    async def stop(self) -> None:
        """Close everything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(psycopg.Error, PoolTimeout, OSError, TimeoutError):
            await asyncio.wait_for(self._peers.resign(), _CLOSE_SECONDS)
        await self._pools.close(_CLOSE_SECONDS)

    @property
    def alive(self) -> bool:
        """Whether changes are followed."""
        going = bool(self._tasks) and not any(task.done() for task in self._tasks)
        return going and self._feed.follows

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket, or answer one HTTP request."""
        if scope["type"] == "websocket":
            await receive()
            await self._handshake(scope, receive, send)
        else:
            await self._http(scope, receive, send)

    # --- the handshake -----------------------------------------------------------------------

    async def _handshake(self, scope: Scope, receive: Receive, send: Send) -> None:
        credentials, in_url = self._credentials(scope)
        refusing = as_handshake_answer(send)
        address = str((scope.get("client") or ("",))[0])
        try:
            identity = await self._admit(credentials)
        except RestError as problem:
            await answer_refused(refusing, problem)
            return
        except (psycopg.Error, PoolTimeout, OSError):
            message = "The database does not answer."
            wait = [(b"retry-after", b"1")]
            await answer_error(scope, refusing, 503, "service_unavailable", message, wait)
            return
        if self._from_address[address] >= self._most_from_address:
            message = "Too many connections from this address."
            wait = [(b"retry-after", b"5")]
            await answer_error(scope, refusing, 429, "rate_limit_exceeded", message, wait)
            return
        self._from_address[address] += 1
        try:
            await send({"type": "websocket.accept"})
            await self._serve(scope, receive, send, identity, credentials, in_url=in_url)
        finally:
            self._from_address[address] -= 1
            if not self._from_address[address]:
                del self._from_address[address]

    async def _serve(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        identity: Identity,
        credentials: Mapping[str, str],
        *,
        in_url: bool,
    ) -> None:
        key = {"apikey": credentials["apikey"]} if "apikey" in credentials else {}
        connection = Connection(self._parts, identity, send, key)
        self._parts.connections[connection.id] = connection
        self._sweep.open[connection.id] = Watched(connection, scope[ACTIVITY])
        try:
            await connection.run(receive, deprecated=in_url)
        finally:
            del self._parts.connections[connection.id]
            del self._sweep.open[connection.id]

    def _credentials(self, scope: Scope) -> tuple[dict[str, str], bool]:
        """Headers, or where they say nothing the query string of other clients (§4.4)."""
        found = {n: v for n, v in headers_of(scope).items() if n in ("apikey", "authorization")}
        query = scope.get(QUERY, b"")
        if not query or not self._query_credentials:
            return found, False
        try:
            asked = dict(parse_qsl(query.decode("ascii"), max_num_fields=50))
        except ValueError:
            return found, False
        used = False
        for name, header, prefix in (
            ("apikey", "apikey", ""),
            ("token", "authorization", "Bearer "),
        ):
            if asked.get(name) and header not in found:
                found[header] = prefix + asked[name]
                used = True
        return found, used

    async def _admit(self, credentials: Mapping[str, str]) -> Identity:
        """Return who brings these credentials; a session that is over is over here too (§2.4)."""
        identity = self._authenticate(credentials)
        if not await self._callers.may_become(identity.role):
            raise RestError(403, "42501", f'permission denied to set role "{identity.role}"')
        claims = identity.claims or {}
        lives = self._session_lives if "session_id" in claims else None
        if lives is not None and not await lives(claims):
            challenge = (("WWW-Authenticate", 'Bearer error="invalid_token"'),)
            raise RestError(401, "session_revoked", "Session revoked", headers=challenge)
        return identity

    # --- what happens ------------------------------------------------------------------------

    def _receive(self, instance: str, told: dict[str, Any]) -> None:
        """Another instance has something to say."""
        kind = told["kind"]
        if kind == "broadcast":
            self._parts.channels.receive(told)
        elif kind in ("join", "leave"):
            self._presence.receive(told, instance)
        elif kind == "hello":
            self._peers.living.add(instance)
            self._introduce()
        elif kind == "all":
            self._peers.living.add(instance)
            self._presence.keep_of(instance, told["refs"])
        elif kind == "bye":
            self._peers.living.discard(instance)
            self._presence.only_of(self._peers.living)
        elif kind == "restart":
            self._feed.wake(recover=True)

    def _introduce(self) -> None:
        own = self._presence.own()
        for told in own:
            self._peers.publish(told)
        self._peers.publish({"kind": "all", "refs": [told["ref"] for told in own]})

    def _schema_changed(self, payload: str) -> None:
        self._tables.forget()
        self._callers.forget()
        self._live_callers.forget()
        self._replaced.look()

    def _restarted(self) -> None:
        """The log begins anew: clients come back, and see by the epoch that they missed some."""
        for connection in [*self._parts.connections.values()]:
            connection.close(1012, "service_restart")

    def _figures(self) -> dict[str, Any]:
        connections = self._parts.connections
        return {
            "connections": len(connections),
            "subscriptions": sum(len(one.channels) for one in connections.values()),
            "channels": self._parts.channels.count(),
            "presences": self._presence.count(),
            "instances": 1 + len(self._peers.living),
            "epoch": self._feed.epoch,
            "seq": self._feed.settled,
        }

    async def _connect(self) -> AsyncConnection[Any]:
        return await AsyncConnection.connect(
            self._conninfo, autocommit=True, application_name="aerodb.local realtime"
        )


def make_realtime_service(
    settings: InstanceSettings,
    database: Database,
    authenticate: Authenticate,
    session_lives: SessionLives | None = None,
) -> RealtimeService | None:
    """Return the realtime part of an instance; None if it is not wanted, or has no log."""
    wanted = settings.services is None or "realtime" in settings.services
    if not wanted or database.realtime is None:
        return None
    return RealtimeService(database.realtime, database, settings, authenticate, session_lives)


async def _keep(work: Callable[[], Awaitable[None]]) -> None:
    """Do what never ends, and begin it again if it does: nobody else would."""
    while True:
        try:
            await work()
        except Exception:
            log.exception("a part of realtime has failed; it begins again")
        await asyncio.sleep(_REST_SECONDS)
