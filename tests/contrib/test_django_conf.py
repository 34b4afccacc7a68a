"""The setting `AERODB`: what cannot be meant is named."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from aerodb.contrib.django import conf


@pytest.fixture(autouse=True)
def configured() -> None:
    if not settings.configured:
        settings.configure()


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("http://127.0.0.1:1", "AERODB must be a dict like .*, not str"),
        ({"url": "http://127.0.0.1:1"}, "AERODB has no 'url'; its names are URL"),
        ({"URL": "http://127.0.0.1:1", "OPTIONS": {"timout": 3}}, "has no 'timout'; .* timeout"),
        ({"URL": "http://127.0.0.1:1", "OPTIONS": 3}, "OPTIONS.* must be a dict"),
    ],
)
def test_what_cannot_be_meant_is_named(setting: object, text: str) -> None:
    with override_settings(AERODB=setting), pytest.raises(ImproperlyConfigured, match=text):
        conf.arguments()


def test_nobody_becomes_the_user_of_the_process_unless_the_project_says_so() -> None:
    given = {"URL": "http://127.0.0.1:1"}
    with override_settings(AERODB=given):
        assert conf.arguments()["options"].adopt_sessions is False
    with override_settings(AERODB={**given, "OPTIONS": {"adopt_sessions": True}}):
        assert conf.arguments()["options"].adopt_sessions is True
