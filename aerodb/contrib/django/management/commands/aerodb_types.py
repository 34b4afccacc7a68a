"""`manage.py aerodb_types`: Python classes for the rows of the database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from aerodb._codegen import STYLES, module_source
from aerodb.contrib.django.clients import get_client


class Command(BaseCommand):
    """What `aerodb types` writes, by the settings of the project."""

    help = "Writes Python classes for the rows of the AeroDB of the settings."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Where to, and what a row is."""
        parser.add_argument("--output", metavar="FILE.py", help="write here; to stdout if unsaid")
        parser.add_argument("--style", choices=STYLES, default="typeddict", help="what a row is")

    def handle(self, *args: Any, **options: Any) -> None:
        """Ask for the tables, and write."""
        try:
            response = get_client().tables()
        except (ImproperlyConfigured, ValueError, TypeError) as problem:
            raise CommandError(str(problem)) from None
        if response.error is not None:
            raise CommandError(str(response.error))
        found = response.data or []
        source = module_source(found, options["style"])
        if options["output"] is None:
            self.stdout.write(source, ending="")
            return
        try:
            Path(options["output"]).write_text(source, encoding="utf-8")
        except OSError as problem:
            raise CommandError(f"{options['output']} cannot be written: {problem}") from None
        self.stderr.write(f"{options['output']}: {len(found)} tables")
