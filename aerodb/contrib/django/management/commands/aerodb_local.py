"""`manage.py aerodb_local`: an AeroDB on this machine, as `aerodb dev` runs it."""

from __future__ import annotations

import os
import sys
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
        """Become it, so that whoever ends this process ends the instance, by whatever signal."""
        command = [sys.executable, "-m", "aerodb.local", *options["arguments"]]
        os.execv(sys.executable, command)  # noqa: S606
