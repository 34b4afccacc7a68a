"""Buckets (wire contract §5.1)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.local.storage.conftest import Desk, Person, held, new_name, said, waiting


def test_a_bucket_from_its_making_to_its_end(alice: Person) -> None:
    name = new_name()
    made = alice.post("/bucket", {"name": name})
    assert made.status_code == 201
    bucket = made.json()
    assert bucket == {
        "id": name,
        "name": name,
        "owner": alice.id,
        "public": False,
        "policy": "private",
        "file_size_limit": None,
        "allowed_mime_types": None,
        "created_at": bucket["created_at"],
        "updated_at": bucket["updated_at"],
    }
    assert said(alice.post("/bucket", {"name": name})) == (409, "bucket_already_exists")
    assert alice.get(f"/bucket/{name}").json() == bucket
    changed = alice.call(
        "PATCH", f"/bucket/{name}", json={"public": True, "allowed_mime_types": ["image/*"]}
    )
    assert changed.status_code == 200
    assert changed.json() | {"updated_at": ""} == bucket | {
        "public": True,
        "policy": "public",
        "allowed_mime_types": ["image/*"],
        "updated_at": "",
    }
    assert changed.json()["updated_at"] > bucket["updated_at"]
    gone = alice.delete(f"/bucket/{name}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert said(alice.delete(f"/bucket/{name}")) == (404, "bucket_not_found")
    assert said(alice.get(f"/bucket/{name}")) == (404, "bucket_not_found")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"file_size_limit": 12}, 12),
        ({"file_size_limit": "50MB"}, 50 * 1024**2),
        ({"file_size_limit": "1.5 kb"}, 1536),
        ({"file_size_limit": "7"}, 7),
        ({"max_file_size": "1GiB"}, 1024**3),
        ({"file_size_limit": None}, None),
    ],
)
def test_size_limits_are_numbers_or_texts(
    alice: Person, given: dict[str, Any], kept: int | None
) -> None:
    assert alice.get(f"/bucket/{alice.bucket(**given)}").json()["file_size_limit"] == kept


@pytest.mark.parametrize(
    "settings",
    [
        {"file_size_limit": "many"},
        {"file_size_limit": 0},
        {"file_size_limit": True},
        {"file_size_limit": 2**63},
        {"allowed_mime_types": "image/png"},
        {"allowed_mime_types": ["image"]},
        {"allowed_mime_types": [1]},
        {"policy": "open"},
        {"public": "yes"},
        {"public": True, "policy": "private"},
    ],
)
def test_bad_settings_are_refused(alice: Person, settings: dict[str, Any]) -> None:
    body = {"name": new_name(), **settings}
    assert said(alice.post("/bucket", body)) == (400, "validation_failed")
    name = alice.bucket()
    patched = alice.call("PUT", f"/bucket/{name}", json=settings)
    assert said(patched) == (400, "validation_failed")


@pytest.mark.parametrize(
    "name",
    [
        "ab",
        "A-B",
        "-ab",
        "ab-",
        "a b",
        "a/b",
        "..",
        "é-é",
        "x" * 64,
        "",
        None,
        3,
        "public",
        "list-v2",
    ],
)
def test_names_that_no_bucket_has(alice: Person, name: Any) -> None:
    assert said(alice.post("/bucket", {"name": name})) == (400, "invalid_bucket_name")


@pytest.mark.parametrize("name", ["a.b", "a_b", "0-9", "x" * 63])
def test_names_that_are_right(alice: Person, name: str) -> None:
    assert alice.post("/bucket", {"name": name}).status_code == 201
    assert alice.delete(f"/bucket/{name}").status_code == 204


def test_listing_searches_sorts_and_pages(alice: Person) -> None:
    names = sorted(alice.bucket() for _ in range(3))
    listed = [found["name"] for found in alice.get("/bucket").json()]
    assert listed == sorted(listed)
    assert [name for name in listed if name in names] == names
    backwards = alice.get(
        "/bucket", params={"sortColumn": "created_at", "sortOrder": "desc"}
    ).json()
    times = [found["created_at"] for found in backwards]
    assert times == sorted(times, reverse=True)
    for start in range(len(listed)):
        page = alice.get("/bucket", params={"limit": 2, "offset": start}).json()
        assert [found["name"] for found in page] == listed[start : start + 2]
    found = alice.get("/bucket", params={"search": names[2][5:].upper()}).json()
    assert [bucket["name"] for bucket in found] == names[2:]
    for query in ({"limit": "-1"}, {"sortColumn": "owner"}, {"sortOrder": "up"}, {"offset": "x"}):
        assert said(alice.get("/bucket", params=query)) == (400, "validation_failed")


def test_a_bucket_with_objects_stays_until_it_is_emptied(desk: Desk, alice: Person) -> None:
    name = alice.bucket()
    alice.upload(name, "a/b")
    alice.upload(name, "c")
    assert said(alice.delete(f"/bucket/{name}")) == (409, "bucket_not_empty")
    emptied = alice.post(f"/bucket/{name}/empty")
    assert (emptied.status_code, list(emptied.json())) == (200, ["message"])
    assert alice.keys(name) == []
    alice.upload(name, "d")
    assert alice.delete(f"/bucket/{name}?force=true").status_code == 204
    desk.settle()


def test_only_the_owner_and_the_service_change_a_bucket(
    desk: Desk, alice: Person, bob: Person
) -> None:
    for policy, refusal in [
        ("private", (404, "bucket_not_found")),
        ("authenticated", (403, "access_denied")),
        ("public", (403, "access_denied")),
    ]:
        name = alice.bucket(policy)
        assert said(bob.call("PATCH", f"/bucket/{name}", json={"public": True})) == refusal
        assert said(bob.delete(f"/bucket/{name}")) == refusal
        assert said(bob.delete(f"/bucket/{name}?force=true")) == refusal
        anonymous = (401, "authentication_required") if policy == "public" else None
        assert said(desk.nobody.delete(f"/bucket/{name}")) == (
            anonymous or (404, "bucket_not_found")
        )
        assert desk.service.call("PATCH", f"/bucket/{name}", json={"public": True}).json()["public"]


def test_who_may_delete_a_bucket_may_empty_it(desk: Desk, alice: Person, bob: Person) -> None:
    for policy, refusal in [
        ("private", (404, "bucket_not_found")),
        ("authenticated", (403, "access_denied")),
        ("public", (403, "access_denied")),
    ]:
        name = alice.bucket(policy)
        for keys in ([], ["a", "b"]):
            for key in keys:
                alice.upload(name, key)
            assert said(bob.post(f"/bucket/{name}/empty")) == refusal
            anonymous = (401, "authentication_required") if policy == "public" else None
            assert said(desk.nobody.post(f"/bucket/{name}/empty")) == (
                anonymous or (404, "bucket_not_found")
            )
            assert alice.keys(name) == keys
        for person in (alice, alice, desk.service):
            assert person.post(f"/bucket/{name}/empty").status_code == 200
            assert alice.keys(name) == []
    desk.settle()


def test_emptying_is_all_or_nothing(desk: Desk, alice: Person, bob: Person) -> None:
    name = alice.bucket("authenticated")
    bob.upload(name, "his")
    alice.upload(name, "hers")
    assert said(bob.post(f"/bucket/{name}/empty")) == (403, "access_denied")
    assert alice.keys(name) == ["hers", "his"]
    assert alice.delete(f"/object/{name}/hers").status_code == 204
    assert bob.post(f"/bucket/{name}/empty").status_code == 200
    assert alice.keys(name) == []
    desk.settle()


def test_who_sees_which_bucket(desk: Desk, alice: Person, bob: Person) -> None:
    private, shared, public = (alice.bucket(p) for p in ("private", "authenticated", "public"))
    for person, seen in [
        (alice, {private, shared, public}),
        (bob, {shared, public}),
        (desk.nobody, {public}),
        (desk.service, {private, shared, public}),
    ]:
        listed = {found["name"] for found in person.get("/bucket").json()}
        assert listed & {private, shared, public} == seen
        for name in (private, shared, public):
            assert person.get(f"/bucket/{name}").status_code == (200 if name in seen else 404)


def test_nobody_makes_a_bucket_without_signing_in(desk: Desk) -> None:
    answer = desk.nobody.post("/bucket", {"name": new_name()})
    assert said(answer) == (401, "authentication_required")
    made = desk.service.post("/bucket", {"name": new_name()})
    assert (made.status_code, made.json()["owner"]) == (201, None)


def test_a_bucket_that_comes_while_another_is_changed_is_not_refused(
    desk: Desk, alice: Person
) -> None:
    name = alice.bucket()
    with ThreadPoolExecutor() as threads, held(desk, "before update", "buckets") as connection:
        answer = threads.submit(alice.call, "PATCH", f"/bucket/{name}", json={"policy": "public"})
        waiting(desk, answer)
        assert alice.delete(f"/bucket/{name}").status_code == 204
        assert alice.post("/bucket", {"name": name}).status_code == 201
        connection.execute("select pg_advisory_unlock(4711)")
        assert said(answer.result()) == (404, "bucket_not_found")


def test_a_bucket_that_comes_while_another_is_removed_is_not_refused(
    desk: Desk, alice: Person
) -> None:
    name = new_name()
    with ThreadPoolExecutor() as threads, held(desk, "after delete", "buckets") as connection:
        answer = threads.submit(alice.delete, f"/bucket/{name}")
        waiting(desk, answer)
        assert alice.post("/bucket", {"name": name}).status_code == 201
        connection.execute("select pg_advisory_unlock(4711)")
        assert said(answer.result()) == (404, "bucket_not_found")


def test_what_comes_while_a_bucket_is_emptied_is_not_refused(desk: Desk, alice: Person) -> None:
    name = alice.bucket()
    with ThreadPoolExecutor() as threads, held(desk, "after delete") as connection:
        answer = threads.submit(alice.post, f"/bucket/{name}/empty")
        waiting(desk, answer)
        alice.upload(name, "k")
        connection.execute("select pg_advisory_unlock(4711)")
        assert answer.result().status_code == 200
    assert alice.keys(name) == []
