"""`manage.py aerodb_local`: an AeroDB on this machine, as `aerodb dev` runs it."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from typing import Any

from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    """Run the local instance until Ctrl-C."""

    help = "Runs an AeroDB on this machine; options are those of `aerodb dev`."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """What Django does not know goes on to `aerodb dev`."""
        parser.add_argument("arguments", nargs="*", help="for example: -- --schema todos.sql")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run it in a process of its own, whose end is ours."""
        command = [sys.executable, "-m", "aerodb.local", *options["arguments"]]
        with subprocess.Popen(command) as process:  # noqa: S603
            while process.returncode is None:
                with suppress(KeyboardInterrupt):  # it was told too, and is about to end
                    process.wait()
        if process.returncode:
            sys.exit(process.returncode)
