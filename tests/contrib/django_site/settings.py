"""Settings of the project; where AeroDB is comes from the environment."""

from __future__ import annotations

import os

SECRET_KEY = "only for tests"
DEBUG = os.environ.get("SITE_DEBUG") == "1"
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "tests.contrib.django_site.urls"
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "aerodb.contrib.django",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "aerodb.contrib.django.AeroDBMiddleware",
]
if os.environ.get("SITE_MIDDLEWARE") == "wrong way round":
    MIDDLEWARE.reverse()
if os.environ.get("SITE_MIDDLEWARE") == "none":
    MIDDLEWARE.pop()
if os.environ.get("SITE_APP") == "none":
    INSTALLED_APPS.pop()
AUTHENTICATION_BACKENDS = ["aerodb.contrib.django.AeroDBBackend"]
SESSION_ENGINE = os.environ.get("SITE_SESSIONS", "django.contrib.sessions.backends.db")
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["SITE_DATABASE"],
        "OPTIONS": {"timeout": 30},
    }
}
if "SITE_FILES" in os.environ:
    STORAGES = {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
        "files": {
            "BACKEND": "aerodb.contrib.django.AeroDBStorage",
            "OPTIONS": {os.environ["SITE_FILES"]: "media"},
        },
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
AERODB = {"OPTIONS": {"timeout": 30.0}, "ERRORS": os.environ.get("SITE_ERRORS") != "0"}
AERODB |= {
    name: os.environ[f"SITE_{name}"] for name in ("URL", "KEY") if f"SITE_{name}" in os.environ
}
