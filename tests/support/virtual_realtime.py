"""A realtime server without a network, and a driver without a clock: for the pure machine.

`World` holds the server's log of numbered changes (wire-contract §4.8) and one connection to one
`RealtimeMachine`. Time moves only in `World.pass_time`. Frames between the two are lists.
"""

from __future__ import annotations

import json
import random
from collections import deque
from typing import Any

from aerodb._core.errors import client_error
from aerodb._core.realtime.channel import ChannelMachine
from aerodb._core.realtime.handlers import Handler
from aerodb._core.realtime.inbox import Inbox
from aerodb._core.realtime.machine import RealtimeMachine
from aerodb._core.realtime.messages import ChannelEvent
from aerodb._core.realtime.outputs import Notice, Ticket
from aerodb._core.realtime.states import LinkPhase
from aerodb._core.realtime_options import RealtimeOptions

CHANNEL = "posts"


class World:
    """Both sides. `ring` is how many changes the server remembers."""

    def __init__(
        self, seed: int = 0, *, ring: int = 10_000, options: RealtimeOptions | None = None
    ) -> None:
        self.random = random.Random(seed)
        self.now = 1000.0
        self.machine = RealtimeMachine(options or RealtimeOptions())
        self.log: deque[int] = deque(maxlen=ring)
        self.forgotten = 0
        self.seq = 0
        self.epoch = "one"
        self.joined: dict[str, int] = {}
        self.sent: list[dict[str, Any]] = []
        self.notices: list[Notice] = []
        self.attempts: list[float] = []
        self.to_client: deque[str] = deque()
        self.drop_next = 0
        self.dropped: int | None = None
        self.resumes = True
        self.mute = False

    # --- the client's side --------------------------------------------------------------

    def channel(self, name: str = CHANNEL, **limits: Any) -> tuple[ChannelMachine, Inbox]:
        """A channel with one handler and its inbox."""
        channel = self.machine.channel(name, None)
        inbox = Inbox(name, None, **limits)
        channel.inboxes = (inbox,)
        channel.handlers.add(Handler("change", "*", print))
        return channel, inbox

    def subscribe(self, channel: ChannelMachine) -> Ticket:
        ticket = Ticket(None)
        self.machine.subscribe(channel, ticket, self.now)
        self.carry()
        return ticket

    def carry(self) -> None:
        """Bring all frames to the other side, and drive the machine, until nothing moves."""
        for _ in range(10_000):
            if not (self._to_server() or self._connect() or self._from_server()):
                break
        else:
            raise AssertionError("the machine does not come to rest")
        self.notices += self.machine.out.notices
        self.machine.out.clear()
        self.machine.hangup = None

    def _connect(self) -> bool:
        if self.machine.state is not LinkPhase.CONNECTING:
            return False
        self.attempts.append(self.now)
        if self.mute:
            self.machine.not_opened(
                client_error("NETWORK_ERROR", "nobody is there"), self.now, self.random.random()
            )
        else:
            self.joined.clear()
            self.to_client.clear()
            self.machine.opened("token", float("inf"), self.now)
        return True

    def _to_server(self) -> bool:
        out = self.machine.out
        if not out.frames:
            return False
        text, ticket = out.next_frame()
        if ticket is not None and ticket.when == "sent":
            out.settle(ticket)
        frame = json.loads(text)
        self.sent.append(frame)
        if not self.mute:
            self._serve(frame)
        return True

    def _from_server(self) -> bool:
        if not self.to_client or self.machine.state is not LinkPhase.OPEN:
            return False
        self.machine.receive(self.to_client.popleft(), self.now)
        return True

    # --- the server's side --------------------------------------------------------------

    def say(self, frame: Any) -> None:
        self.to_client.append(frame if isinstance(frame, str) else json.dumps(frame))

    def _serve(self, frame: dict[str, Any]) -> None:
        kind, name = frame["type"], frame.get("channel")
        if kind == "subscribe":
            self._join(frame, str(name))
        elif kind == "unsubscribe":
            self.joined.pop(str(name), None)
            self.say({"type": "unsubscribed", "channel": name})
        elif kind == "heartbeat":
            sure = self.seq if self.dropped is None else self.dropped - 1
            self.say({"type": "heartbeat", "ref": frame["ref"], "seq": sure})
        elif kind == "auth":
            self.say({"type": "system", "event": "auth", "status": "ok", "ref": frame["ref"]})
        elif kind == "broadcast" and "ref" in frame:
            ack = {"type": "broadcast_ack", "channel": name, "ref": frame["ref"]}
            self.say({**ack, "payload": {"subscribers_notified": 3}})

    def _join(self, frame: dict[str, Any], name: str) -> None:
        asked = frame.get("config", {}).get("resume")
        resume, replay = "none", []
        if asked is not None and self.resumes:
            whole = asked["epoch"] == self.epoch and asked["since"] >= self.forgotten
            resume = "ok" if whole else "gap"
            replay = [seq for seq in self.log if seq > asked["since"]] if whole else []
        self.joined[name] = 0
        answer: dict[str, Any] = {"type": "subscribed", "channel": name, "ref": frame.get("ref")}
        if self.resumes:
            answer |= {"epoch": self.epoch, "seq": self.seq, "resume": resume}
        self.say({key: value for key, value in answer.items() if value is not None})
        for seq in replay:
            self._event(name, seq)

    def _event(self, name: str, seq: int) -> None:
        n = self.joined[name] = self.joined[name] + 1
        if self.drop_next > 0:
            self.drop_next -= 1
            self.dropped = self.dropped or seq  # a heartbeat must not speak of what was dropped
            return
        self.dropped = None
        change = {"type": "INSERT", "schema": "public", "table": name, "new": {"id": seq}}
        self.say({"type": "event", "channel": name, "payload": change, "seq": seq, "n": n})

    def change(self) -> None:
        """A row is inserted; other tables make the sequence look gappy."""
        self.seq += self.random.choice((1, 1, 1, 2, 5))
        if len(self.log) == self.log.maxlen:
            self.forgotten = self.log[0]
        self.log.append(self.seq)
        if self.machine.state is LinkPhase.OPEN:
            for name in self.joined:
                self._event(name, self.seq)

    def kill(self, code: int = 1006) -> None:
        """The connection ends; what was on its way is lost with it."""
        self.to_client.clear()
        self.joined.clear()
        self.dropped = None
        self.machine.lost(code, "", self.now, self.random.random())
        self.carry()

    def restart(self) -> None:
        """The server starts without its history."""
        self.epoch += "'"
        self.log.clear()
        self.seq = self.forgotten = 0
        self.kill(1012)

    def pass_time(self, seconds: float) -> None:
        """Let so much time go by, deadline by deadline."""
        until = self.now + seconds
        for _ in range(100_000):
            if self.machine.deadline > until:
                break
            self.now = max(self.now, self.machine.deadline)
            self.machine.tick(self.now, self.random.random())
            self.carry()
        else:
            raise AssertionError("the machine's deadlines do not move")
        self.now = until
        self.carry()


def drained(inbox: Inbox) -> list[ChannelEvent]:
    """All that waits in an inbox."""
    found: list[ChannelEvent] = []
    while items := inbox.take(64):
        found += items
    return found
