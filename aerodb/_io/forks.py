"""What a forked child does with the clients it inherits; and what the end of a process does.

The sockets belong to the parent: two processes reading one connection get each other's answers
(reliability X4). A child lets go of them without a byte, makes its own locks and starts with
nothing in flight. `os.register_at_fork` does that at once; `HttpClient` looks at the process
number as well, for forks that do not pass through Python.

At its end a process looks for clients that nobody has closed. Python takes apart what is left by
then in any order, and as a rule would tell of their sockets, which say nothing of whose they are.

Modules that are loaded late are loaded under `loading()`, and a fork waits for that: a child that
is made while another thread loads a module would wait for that thread, which it does not have.
"""

from __future__ import annotations

import atexit
import importlib
import os
import threading
import weakref
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Protocol


class Inherited(Protocol):
    """Something that can be made safe to use in a child."""

    def reset_after_fork(self) -> None:
        """Forget all that the parent owns."""


class Client(Inherited, Protocol):
    """What has connections of its own."""

    def let_go(self) -> None:
        """Warn if any are open, and close them."""


_alive: weakref.WeakSet[Inherited] = weakref.WeakSet()
_clients: weakref.WeakSet[Client] = weakref.WeakSet()
graveyard: list[object] = []
"""The parent's objects in a child. Kept, so that no finalizer touches what the parent uses."""
_loading = threading.RLock()
_forks_wait = False


def watch(client: Inherited) -> None:
    """Have `client.reset_after_fork()` called in every child."""
    _alive.add(client)


def watch_client(client: Client) -> None:
    """Have `client.let_go()` called at the end of the process as well."""
    _alive.add(client)
    _clients.add(client)


@contextmanager
def loading() -> Generator[None, None, None]:
    """Load modules in here; no fork happens meanwhile."""
    with _loading:
        _let_forks_wait()
        yield


def _let_forks_wait() -> None:
    """Once, before anything is loaded.

    `logging` locks itself before a fork too, and modules that are loaded ask it for loggers. The
    hook that was set last runs first: so ours comes after its, and waits before that lock is held.
    """
    global _forks_wait
    if not _forks_wait and hasattr(os, "register_at_fork"):
        importlib.import_module("logging")
        os.register_at_fork(before=_before, after_in_parent=_in_parent)
        _forks_wait = True


def _before() -> None:
    _loading.acquire()


def _in_parent() -> None:
    with suppress(RuntimeError):  # the hooks were set while the fork was under way
        _loading.release()


def _in_child() -> None:
    global _loading
    _loading = threading.RLock()
    for client in list(_alive):
        client.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


@atexit.register
def _at_the_end() -> None:
    for client in list(_clients):
        client.let_go()
