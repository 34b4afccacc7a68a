"""What a forked child does with the clients it inherits.

The sockets belong to the parent: two processes reading one connection get each other's answers
(reliability X4). A child lets go of them without a byte, makes its own locks and starts with
nothing in flight. `os.register_at_fork` does that at once; `HttpClient` looks at the process
number as well, for forks that do not pass through Python.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Inherited(Protocol):
    """Something that can be made safe to use in a child."""

    def reset_after_fork(self) -> None:
        """Forget all that the parent owns."""


_alive: weakref.WeakSet[Inherited] = weakref.WeakSet()
graveyard: list[object] = []
"""The parent's objects in a child. Kept, so that no finalizer touches what the parent uses."""


def watch(client: Inherited) -> None:
    """Have `client.reset_after_fork()` called in every child."""
    _alive.add(client)


def _in_child() -> None:
    for client in list(_alive):
        client.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
