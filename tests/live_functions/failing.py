"""Fails in the way that its path says."""

import os
import signal
import sys
from typing import Any

from aerodb.local.functions import Request

METHODS = ["GET", "POST"]


def handler(request: Request) -> Any:
    if request.path == "exit":
        sys.exit(3)
    if request.path == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if request.path == "json":
        return request.json()
    if request.path == "unsendable":
        return object()
    raise ValueError("s3cr3t of the function")
