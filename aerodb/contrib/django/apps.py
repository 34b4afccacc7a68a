"""The Django application: registers checks and signals, and does nothing else."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register


class AeroDBConfig(AppConfig):
    """`INSTALLED_APPS += ["aerodb.contrib.django"]`."""

    name = "aerodb.contrib.django"
    label = "aerodb"
    verbose_name = "AeroDB"

    def ready(self) -> None:
        """No client is made here: a server may fork after this."""
        from aerodb.contrib.django import signals
        from aerodb.contrib.django.checks import check_settings

        register(check_settings, "aerodb")
        signals.connect()
