"""The functions part of an instance: Python files that answer HTTP requests (wire contract §6).

`registry.py` knows the files, `pool.py` and `process.py` the worker processes that run them,
`service.py` the HTTP side. On the other side of a socket pair (`frames.py`) is `worker.py`, which
turns what a handler returns into an answer (`answers.py`). `guard.py` outlives all of them.

What a file of functions may import is here, and costs nothing more than the standard library:

from aerodb.local.functions import Request, Response, event
"""

from __future__ import annotations

from aerodb.local.functions.request import BadBody, Request, Response, event

__all__ = ["BadBody", "Request", "Response", "event"]
