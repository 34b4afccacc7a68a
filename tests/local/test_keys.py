"""The secrets of an instance: random, private, whole (wire contract §1.9 S13, reliability J12)."""

from __future__ import annotations

import os
import stat
from dataclasses import fields
from pathlib import Path

import pytest

from aerodb.local.errors import LocalError
from aerodb.local.keys import Keys, load_or_create_keys, new_keys

NAMES = [entry.name for entry in fields(Keys)]


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_file_is_made_once_and_read_ever_after(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    first = load_or_create_keys(path)
    assert load_or_create_keys(path) == first
    assert [entry.name for entry in tmp_path.iterdir()] == ["secrets.json"]


def test_the_file_is_for_its_owner_alone_even_with_an_open_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        load_or_create_keys(tmp_path / "secrets.json")
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "secrets.json") == 0o600


def test_a_file_that_others_may_read_is_closed_again(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    keys = load_or_create_keys(path)
    path.chmod(0o644)
    assert load_or_create_keys(path) == keys
    assert mode_of(path) == 0o600


def test_no_two_instances_share_a_secret() -> None:
    one, other = new_keys(), new_keys()
    assert not {getattr(one, name) for name in NAMES} & {getattr(other, name) for name in NAMES}


def test_the_keys_have_their_prefixes_and_the_secret_its_length() -> None:
    keys = new_keys()
    assert keys.publishable.startswith("aero_pk_")
    assert keys.secret.startswith("aero_sk_")
    assert len(keys.jwt_secret.encode()) >= 32


def test_no_secret_shows_in_a_repr() -> None:
    keys = new_keys()
    assert not [name for name in NAMES if getattr(keys, name) in repr(keys)]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"publishable": "aero_pk_x"}'])
def test_a_damaged_file_is_named_and_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "secrets.json"
    path.write_text(text)
    with pytest.raises(LocalError, match=r"secrets\.json is damaged"):
        load_or_create_keys(path)
    assert path.read_text() == text


def test_a_short_signing_secret_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    keys = load_or_create_keys(path)
    path.write_text(path.read_text().replace(keys.jwt_secret, "short"))
    with pytest.raises(LocalError, match="jwt_secret is shorter than 32 bytes"):
        load_or_create_keys(path)


def test_new_keys_are_not_made_up_for_a_database_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"secrets\.json is missing"):
        load_or_create_keys(tmp_path / "secrets.json", may_create=False)
    assert not list(tmp_path.iterdir())


def test_a_link_in_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.json"
    load_or_create_keys(elsewhere)
    (tmp_path / "secrets.json").symlink_to(elsewhere)
    with pytest.raises(LocalError, match="is a link"):
        load_or_create_keys(tmp_path / "secrets.json")
