"""The list with folders and a cursor (wire contract §5.2)."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.local.storage.conftest import Desk, Person, said

KEYS = sorted(
    ["a", "a-b", "a/1", "a/2", "a/b/3", "a0", "b%/x", "b%", "b_/y", "bc/z", "c/d/e/f", "z"]
)


@pytest.fixture(scope="module")
def owner(desk: Desk) -> Person:
    return desk.person()


@pytest.fixture(scope="module")
def bucket(owner: Person) -> str:
    name = owner.bucket()
    for key in KEYS:
        owner.upload(name, key.replace("%", "%25"))
    return name


def pages(person: Person, bucket: str, **body: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        answer = person.post(f"/object/list-v2/{bucket}", body)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found.append(page)
        assert page["hasNext"] == ("nextCursor" in page)
        assert len(page["objects"]) + len(page["folders"]) <= body.get("limit", 100)
        if not page["hasNext"]:
            return found
        body = {**body, "cursor": page["nextCursor"]}


def listed(found: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    folders = [folder for page in found for folder in page["folders"]]
    assert all(folder == {"name": folder["name"], "id": None} for folder in folders)
    objects = [entry["path"] for page in found for entry in page["objects"]]
    return [folder["name"] for folder in folders], objects


def expected(prefix: str, delimited: bool) -> tuple[list[str], list[str]]:
    """What the list must be, from its definition."""
    keys = [key for key in KEYS if key.startswith(prefix)]
    if not delimited:
        return [], keys
    below = {key: key[len(prefix) :].partition("/") for key in keys}
    folders = sorted({prefix + head + "/" for head, slash, _ in below.values() if slash})
    return folders, [key for key, (_, slash, _) in below.items() if not slash]


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
@pytest.mark.parametrize("delimited", [False, True])
@pytest.mark.parametrize("prefix", ["", "a", "a/", "b", "b%", "b_", "c/d/", "c/d/e", "none"])
def test_every_page_size_gives_the_same_list(
    owner: Person, bucket: str, prefix: str, delimited: bool, limit: int
) -> None:
    body = {"prefix": prefix, "with_delimiter": delimited, "limit": limit}
    found = pages(owner, bucket, **body)
    assert listed(found) == expected(prefix, delimited)
    sizes = [len(page["objects"]) + len(page["folders"]) for page in found]
    assert all(size == limit for size in sizes[:-1])
    backwards = pages(owner, bucket, **body, sortBy={"column": "name", "order": "desc"})
    folders, objects = listed(backwards)
    assert (folders[::-1], objects[::-1]) == expected(prefix, delimited)


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("column", ["created_at", "updated_at"])
@pytest.mark.parametrize("delimited", [False, True])
def test_lists_by_time(
    owner: Person, bucket: str, delimited: bool, column: str, order: str, limit: int
) -> None:
    sort = {"column": column, "order": order}
    found = pages(owner, bucket, with_delimiter=delimited, limit=limit, sortBy=sort)
    folders, objects = listed(found)
    right_folders, right_objects = expected("", delimited)
    assert folders == right_folders
    assert sorted(objects) == right_objects
    times = [entry[column] for page in found for entry in page["objects"]]
    assert times == sorted(times, reverse=order == "desc")


def test_a_cursor_goes_on_after_what_was_removed_meanwhile(alice: Person) -> None:
    bucket = alice.bucket()
    for key in "abcd":
        alice.upload(bucket, key)
    first = alice.post(f"/object/list-v2/{bucket}", {"limit": 2}).json()
    assert alice.delete(f"/object/{bucket}/b").status_code == 204
    alice.upload(bucket, "aa")
    rest = pages(alice, bucket, cursor=first["nextCursor"])
    assert listed(rest) == ([], ["c", "d"])


def test_cursors_that_are_none(owner: Person, bucket: str) -> None:
    good = owner.post(f"/object/list-v2/{bucket}", {"limit": 1}).json()["nextCursor"]
    timed = {"column": "created_at", "order": "asc"}

    def made(*entries: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(entries).encode()).decode()

    for body in (
        {"cursor": "x"},
        {"cursor": 3},
        {"cursor": good[:-4]},
        {"cursor": good, "prefix": "a"},
        {"cursor": good, "with_delimiter": True},
        {"cursor": good, "sortBy": {"column": "name", "order": "desc"}},
        {"cursor": made("", False, "name", "asc")},
        {"cursor": made("", False, "name", "asc", "a", "b")},
        {"cursor": made("", False, "name", "asc", 1)},
        {"cursor": made("", False, "name", "asc", "a\0")},
        {"cursor": made("", False, "name", "asc", "\ud800")},
        {"cursor": made("", False, "created_at", "asc", "no time", "x"), "sortBy": timed},
        {"cursor": made("", False, "created_at", "asc", "x"), "sortBy": timed},
        {"cursor": "A" * 10_000},
        {"cursor": base64.urlsafe_b64encode(b"[" * 5000).decode()},
    ):
        answer = owner.post(f"/object/list-v2/{bucket}", body)
        assert said(answer) == (400, "invalid_cursor"), body


def test_requests_that_are_none(owner: Person, bucket: str) -> None:
    for body in (
        {"limit": 0},
        {"limit": "x"},
        {"with_delimiter": "yes"},
        {"sortBy": "name"},
        {"sortBy": {"column": "owner"}},
        {"sortBy": {"order": "up"}},
    ):
        answer = owner.post(f"/object/list-v2/{bucket}", body)
        assert said(answer) == (400, "validation_failed"), body
    bad = owner.post(f"/object/list-v2/{bucket}", {"prefix": "../"})
    assert said(bad) == (400, "invalid_path")


def test_others_see_no_list(desk: Desk, bucket: str, bob: Person) -> None:
    for person in (bob, desk.nobody):
        answer = person.post(f"/object/list-v2/{bucket}", {})
        assert said(answer) == (404, "bucket_not_found")
