"""`manage.py aerodb_check`: ask AeroDB whether the settings are right."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from aerodb import AeroDBResponse
from aerodb.contrib.django.clients import get_client


class Command(BaseCommand):
    """Reach the server, and have it look at the key."""

    help = "Asks AeroDB whether it is there and takes the key of the settings."

    def handle(self, *args: Any, **options: Any) -> None:
        """Print how the server is; end with 1 if something is wrong."""
        try:
            client = get_client()
        except (ImproperlyConfigured, ValueError, TypeError) as problem:
            raise CommandError(str(problem)) from None
        status = self._unwrapped(client.health())
        self.stdout.write(f"{client!r}: {status.status}, version {status.version}")
        answer = client.rpc("aerodb_check_that_is_not_there").execute()
        if answer.error is not None and answer.error.status in (401, 403):
            self._unwrapped(answer)
        self.stdout.write(self.style.SUCCESS("the key is taken"))

    def _unwrapped(self, response: AeroDBResponse[Any]) -> Any:
        if response.error is not None:
            raise CommandError(str(response.error))
        return response.data
