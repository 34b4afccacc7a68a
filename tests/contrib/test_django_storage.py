"""`AeroDBStorage`, as Django uses a storage, over a real AeroDB."""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import django
import httpx
import pytest
from django.conf import settings
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db.migrations.writer import MigrationWriter
from django.test import override_settings

from aerodb import AeroDBAPIError, AeroDBClient
from aerodb.contrib.django import AeroDBStorage
from aerodb.contrib.django.management.commands.aerodb_check import Command
from aerodb.local import LocalServer


@pytest.fixture(scope="module", autouse=True)
def site(aerodb_server: LocalServer) -> Iterator[None]:
    if not settings.configured:
        settings.configure()
        django.setup()
    with (
        AeroDBClient(aerodb_server.url, aerodb_server.service_key) as client,
        override_settings(AERODB={"URL": aerodb_server.url, "KEY": aerodb_server.anon_key}),
    ):
        client.storage.create_bucket("open", public=True).unwrap()
        client.storage.create_bucket("media").unwrap()
        yield


@pytest.fixture
def make(aerodb_server: LocalServer) -> Any:
    """A storage in a folder of its own."""

    def storage(**options: Any) -> AeroDBStorage:
        options = {"key": aerodb_server.service_key, "location": str(uuid4()), **options}
        return AeroDBStorage(**options)

    return storage


def read(storage: AeroDBStorage, name: str) -> bytes:
    with storage.open(name) as file:
        content: bytes = file.read()
        return content


def test_what_is_saved_can_be_read(make: Any) -> None:
    storage, content = make(), os.urandom(3_000_000)
    assert storage.save("a/ü ?.bin", ContentFile(content)) == "a/ü ?.bin"
    with storage.open("a/ü ?.bin") as file:
        assert file.read(10) == content[:10]
        file.seek(0)
        assert b"".join(file.chunks()) == content
        assert file.size == len(content)
    assert storage.size("a/ü ?.bin") == len(content)
    assert read(storage, storage.save("t.txt", ContentFile("täxt"))) == "täxt".encode()
    assert read(storage, storage.save("empty", ContentFile(b""))) == b""
    assert abs(storage.get_modified_time("t.txt") - datetime.now(UTC)) < timedelta(hours=1)


def test_a_name_that_is_taken_gets_another(make: Any) -> None:
    storage = make()
    names = [storage.save("a.txt", ContentFile(text)) for text in (b"one", b"two")]
    assert names[0] == "a.txt"
    assert names[1] != "a.txt"
    assert [read(storage, name) for name in names] == [b"one", b"two"]
    replacing = make(overwrite=True)
    assert [replacing.save("a.txt", ContentFile(text)) for text in (b"1", b"2")] == ["a.txt"] * 2
    assert read(replacing, "a.txt") == b"2"


def test_listdir_exists_and_delete(make: Any) -> None:
    storage = make()
    for name in ("a.txt", "dir/b.txt", "dir/deep/c.txt"):
        storage.save(name, ContentFile(b"."))
    assert storage.listdir("") == (["dir"], ["a.txt"])
    assert storage.listdir("dir") == storage.listdir("dir/") == (["deep"], ["b.txt"])
    assert storage.exists("dir/b.txt")
    storage.delete("dir/b.txt")
    storage.delete("dir/b.txt")
    assert not storage.exists("dir/b.txt")
    for ask in (storage.open, storage.size, storage.url, storage.get_modified_time):
        with pytest.raises(FileNotFoundError):
            ask("dir/b.txt")


def test_urls_are_signed_or_public(make: Any) -> None:
    signed = make(expires_in=60)
    signed.save("a.txt", SimpleUploadedFile("a.txt", b"mine", "text/x-mine"))
    answer = httpx.get(signed.url("a.txt"))
    assert (answer.content, answer.headers["content-type"]) == (b"mine", "text/x-mine")
    public = make(bucket="open", signed=False)
    public.save("a.txt", ContentFile(b"ours"))
    assert "?" not in public.url("a.txt")
    assert httpx.get(public.url("a.txt")).content == b"ours"


@pytest.mark.parametrize("name", ["../a", "a/../../b", "/etc/passwd", "..\\a"])
def test_no_name_leads_out_of_the_location(make: Any, name: str) -> None:
    storage = make()
    for ask in (storage.open, storage.exists, storage.delete, storage.url):
        with pytest.raises(SuspiciousFileOperation):
            ask(name)


def test_it_acts_by_the_key_of_the_settings_unless_it_has_one(make: Any) -> None:
    with pytest.raises(AeroDBAPIError) as caught:
        make(key=None).save("a.txt", ContentFile(b"."))
    assert caught.value.error.code == "bucket_not_found"  # for who may not see it


def test_django_finds_it_and_can_write_it_into_migrations(aerodb_server: LocalServer) -> None:
    options = {"bucket": "media", "key": aerodb_server.service_key, "location": "x"}
    backend = {"BACKEND": "aerodb.contrib.django.AeroDBStorage", "OPTIONS": options}
    with override_settings(STORAGES={**settings.STORAGES, "default": backend}):
        assert isinstance(storages["default"], AeroDBStorage)
    storage = AeroDBStorage("media", signed=False)
    text, _ = MigrationWriter.serialize(storage)
    assert text == "aerodb.contrib.django.AeroDBStorage('media', signed=False)"
    assert aerodb_server.service_key not in repr(AeroDBStorage(**options))
    assert repr(pickle.loads(pickle.dumps(storage))) == repr(storage)


@pytest.mark.parametrize(("bucket", "found"), [("media", True), ("nowhere", False)])
def test_aerodb_check_asks_for_the_bucket(
    aerodb_server: LocalServer, bucket: str, found: bool
) -> None:
    """Without it the first upload of a visitor is a 404."""
    options = {"bucket": bucket, "key": aerodb_server.service_key}
    backend = {"BACKEND": "aerodb.contrib.django.AeroDBStorage", "OPTIONS": options}
    said = io.StringIO()
    with (
        override_settings(STORAGES={**settings.STORAGES, "default": backend}),
        nullcontext() if found else pytest.raises(CommandError, match=r"bucket_not_found.*nowhere"),
    ):
        call_command(Command(), stdout=said)
    assert ("<AeroDBStorage 'media'> of 'default' is there" in said.getvalue()) is found
