"""`manage.py aerodb_check`: ask AeroDB whether the settings are right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import storages
from django.core.management.base import BaseCommand, CommandError
from django.utils.module_loading import import_string

from aerodb import AeroDBResponse
from aerodb.contrib.django.clients import get_client
from aerodb.contrib.django.storage import AeroDBStorage


class Command(BaseCommand):
    """Reach the server, have it look at the key, and ask for the buckets of `STORAGES`."""

    help = "Asks AeroDB whether it is there, takes the key and has the buckets of the settings."

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
        for alias, storage in self._storages():
            self._unwrapped(storage.find_bucket())
            self.stdout.write(self.style.SUCCESS(f"{storage!r} of {alias!r} is there"))

    def _storages(self) -> Iterator[tuple[str, AeroDBStorage]]:
        """Those of ours; others are not made, as that may need what is not there."""
        backends: Any = storages.backends  # the stubs take them for what is made of them
        for alias, made_of in backends.items():
            kind = import_string(made_of["BACKEND"])
            if isinstance(kind, type) and issubclass(kind, AeroDBStorage):
                yield alias, cast("AeroDBStorage", storages[alias])

    def _unwrapped(self, response: AeroDBResponse[Any]) -> Any:
        if response.error is not None:
            raise CommandError(str(response.error))
        return response.data
