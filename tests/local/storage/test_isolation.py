"""Nobody reaches what the policies keep from them (wire contract §5.1, reliability C8)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from aerodb.local import LocalServer
from tests.local.storage.conftest import Desk, Person, new_name, opened, said

RUN_SQL = """
create function run_sql(statement text) returns text language plpgsql as
    $$ begin execute statement; return 'done'; end $$;
create function ask(statement text) returns json language plpgsql as
    $$ declare found json; begin execute statement into found; return found; end $$;
"""


def everything(person: Person, bucket: str, other: str) -> dict[str, tuple[int, str]]:
    """Try all that can be done with the object `bucket`/k, and say what came of it."""
    move = {"bucketId": bucket, "sourceKey": "k", "destinationBucket": other}
    signed = {"expiresIn": 60}
    upsert = {"x-upsert": "true"}
    answers = {
        "get": person.get(f"/object/{bucket}/k"),
        "range": person.get(f"/object/{bucket}/k", headers={"range": "bytes=0-0"}),
        "info": person.get(f"/object/info/{bucket}/k"),
        "list": person.get(f"/object/list/{bucket}"),
        "list-v2": person.post(f"/object/list-v2/{bucket}", {}),
        "sign": person.post(f"/object/sign/{bucket}/k", signed),
        "create": person.post(f"/object/{bucket}/k", content=b"evil"),
        "new": person.post(f"/object/{bucket}/new", content=b"evil"),
        "put": person.call("PUT", f"/object/{bucket}/k", content=b"evil"),
        "upsert": person.post(f"/object/{bucket}/k", content=b"evil", headers=upsert),
        "delete": person.delete(f"/object/{bucket}/k"),
        "move": person.post("/object/move", {**move, "destinationKey": "stolen"}),
        "copy": person.post("/object/copy", {**move, "destinationKey": "stolen"}),
        "sign upload": person.post(f"/object/upload/sign/{bucket}/k", headers=upsert),
        "empty": person.post(f"/bucket/{bucket}/empty"),
    }
    return {what: said(answer) for what, answer in answers.items()}


def test_what_is_private_is_as_good_as_not_there(desk: Desk, alice: Person, bob: Person) -> None:
    bucket, mine = alice.bucket(), bob.bucket()
    alice.upload(bucket, "k", b"secret")
    before = alice.get(f"/object/info/{bucket}/k").json()
    hidden = everything(bob, bucket, mine)
    missing = everything(bob, new_name(), mine)
    assert hidden == missing
    assert {code for _, code in hidden.values()} == {"object_not_found", "bucket_not_found"}
    anonymous = everything(desk.nobody, bucket, mine)
    assert anonymous == everything(desk.nobody, new_name(), mine)
    many = bob.delete(f"/object/{bucket}", json={"prefixes": ["k"]})
    assert (many.status_code, many.json()) == (200, [])
    assert alice.get(f"/object/info/{bucket}/k").json() == before
    assert alice.content(bucket, "k") == b"secret"
    assert alice.keys(bucket) == ["k"]
    assert bob.keys(mine) == []


def test_nothing_is_moved_into_a_bucket_of_somebody_else(
    desk: Desk, alice: Person, bob: Person
) -> None:
    private, public, mine = alice.bucket(), alice.bucket("public"), bob.bucket()
    alice.upload(public, "theirs")
    bob.upload(mine, "k")
    for target, refusal in [
        (private, (404, "bucket_not_found")),
        (public, (403, "access_denied")),
        (new_name(), (404, "bucket_not_found")),
    ]:
        for what in ("move", "copy"):
            for key in ("k", "theirs"):
                body = {"bucketId": mine, "sourceKey": "k", "destinationKey": key}
                answer = bob.post(f"/object/{what}", {**body, "destinationBucket": target})
                assert said(answer) == refusal
                answer = bob.post(
                    f"/object/{what}",
                    {**body, "destinationBucket": target},
                    headers={"x-upsert": "true"},
                )
                assert said(answer) == refusal
    assert alice.keys(public) == ["theirs"]
    assert bob.keys(mine) == ["k"]


def test_who_may_do_what_by_default(desk: Desk, alice: Person, bob: Person) -> None:
    service = desk.service
    for policy, person, allowed in [
        ("public", alice, "rwd"),
        ("public", bob, "r"),
        ("public", desk.nobody, "r"),
        ("public", service, "rwd"),
        ("authenticated", alice, "rwd"),
        ("authenticated", bob, "rw"),
        ("authenticated", desk.nobody, ""),
        ("authenticated", service, "rwd"),
        ("private", alice, "rwd"),
        ("private", bob, ""),
        ("private", desk.nobody, ""),
        ("private", service, "rwd"),
    ]:
        bucket = alice.bucket(policy)
        alice.upload(bucket, "k")
        read = person.get(f"/object/{bucket}/k").status_code == 200
        listed = person.get(f"/object/list/{bucket}").status_code == 200
        assert read == listed == ("r" in allowed), (policy, person)
        wrote = person.call("PUT", f"/object/{bucket}/k", content=b"y").status_code == 200
        made = person.post(f"/object/{bucket}/new", content=b"y").status_code == 201
        assert wrote == made == ("w" in allowed), (policy, person)
        deleted = person.delete(f"/object/{bucket}/k").status_code == 204
        assert deleted == ("d" in allowed), (policy, person)


def test_in_a_shared_bucket_one_deletes_what_is_ones_own(
    desk: Desk, alice: Person, bob: Person
) -> None:
    bucket = alice.bucket("authenticated")
    carol = desk.person()
    bob.upload(bucket, "bobs")
    assert said(carol.delete(f"/object/{bucket}/bobs")) == (403, "access_denied")
    replaced = carol.call("PUT", f"/object/{bucket}/bobs", content=b"carol")
    assert replaced.status_code == 200
    assert said(carol.delete(f"/object/{bucket}/bobs")) == (403, "access_denied")
    assert carol.delete(f"/object/{bucket}", json={"prefixes": ["bobs"]}).json() == []
    assert bob.delete(f"/object/{bucket}/bobs").status_code == 204
    bob.upload(bucket, "bobs")
    assert alice.delete(f"/object/{bucket}/bobs").status_code == 204


# --- policies of one's own ------------------------------------------------------------------------

FOLDERS = """
create policy "own folder" on storage.objects
    using ((storage.foldername(name))[1] = auth.uid()::text)
    with check ((storage.foldername(name))[1] = auth.uid()::text);
create policy "letter box" on storage.objects for insert to anon
    with check (bucket_id = 'letters' and storage.extension(name) = 'txt');
"""


@pytest.fixture(scope="module")
def own_policies() -> Iterator[Desk]:
    with LocalServer(schema=[RUN_SQL, FOLDERS]) as server:
        yield from opened(server)


def test_policies_of_ones_own_replace_the_default(own_policies: Desk) -> None:
    alice, bob = own_policies.person(), own_policies.person()
    bucket = alice.bucket()
    assert said(alice.post(f"/object/{bucket}/k", content=b"x")) == (403, "access_denied")
    alice.upload(bucket, f"{alice.id}/k", b"hers")
    bob.upload(bucket, f"{bob.id}/k", b"his")
    assert alice.keys(bucket) == [f"{alice.id}/k"]
    assert bob.keys(bucket) == [f"{bob.id}/k"]
    assert said(bob.get(f"/object/{bucket}/{alice.id}/k")) == (404, "object_not_found")
    move = {"bucketId": bucket, "sourceKey": f"{bob.id}/k", "destinationKey": f"{alice.id}/x"}
    assert said(bob.post("/object/move", move)) == (404, "bucket_not_found")
    assert said(alice.post("/object/move", {**move, "destinationKey": f"{alice.id}/x"})) == (
        404,
        "object_not_found",
    )


def test_a_letter_box_takes_what_its_senders_cannot_read(own_policies: Desk) -> None:
    own_policies.service.post("/bucket", {"name": "letters"})
    nobody = own_policies.nobody
    sent = nobody.post("/object/letters/a.txt", content=b"dear all")
    assert (sent.status_code, sent.json()["size"]) == (201, 8)
    assert said(nobody.post("/object/letters/a.txt", content=b"x")) == (
        409,
        "object_already_exists",
    )
    assert said(nobody.post("/object/letters/b.exe", content=b"x")) == (404, "bucket_not_found")
    assert said(nobody.get("/object/letters/a.txt")) == (404, "object_not_found")
    assert own_policies.service.content("letters", "a.txt") == b"dear all"


def test_without_ones_own_policies_the_default_holds_again() -> None:
    with LocalServer(schema=[RUN_SQL, FOLDERS]) as server:
        for desk in opened(server):
            alice = desk.person()
            bucket = alice.bucket()
            desk.sql('alter policy "own folder" on storage.objects rename to renamed')
            refused = alice.post(f"/object/{bucket}/k", content=b"x")
            assert said(refused) == (403, "access_denied")
            desk.sql("drop policy renamed on storage.objects")
            desk.sql('drop policy "letter box" on storage.objects')
            desk.sql(
                "create policy narrow on storage.objects as restrictive using (name <> 'never')"
            )
            alice.upload(bucket, "k")
            refused = alice.post(f"/object/{bucket}/never", content=b"x")
            assert said(refused) == (403, "access_denied")


# --- SQL that runs for a request ------------------------------------------------------------------


@pytest.fixture(scope="module")
def with_sql() -> Iterator[Desk]:
    with LocalServer(schema=[RUN_SQL]) as server:
        yield from opened(server)


def test_no_sql_of_a_request_reaches_the_tables_behind(with_sql: Desk) -> None:
    alice, bob = with_sql.person(), with_sql.person()
    bucket = alice.bucket()
    alice.upload(bucket, "k", b"secret")
    shared = alice.bucket("authenticated")
    alice.upload(shared, "k", b"shared")

    def sql(person: Person, statement: str, function: str = "run_sql") -> Any:
        return person.http.post(
            f"/rest/v1/rpc/{function}", json={"statement": statement}, headers=person.headers
        )

    for statement in (
        "select * from storage.contents",
        "update storage.contents set doomed_at = now()",
        "delete from storage.uploads",
        "select * from storage.upload_parts",
        "select * from storage.signing_keys",
        "set role aerodb_storage",
        "reset role; set role aerodb_storage",
        "select storage.on_object_written()",
        "alter table storage.objects disable row level security",
        "drop policy aerodb_default_read on storage.objects",
        f"update storage.objects set owner = auth.uid() where bucket_id = '{shared}'",
        f"update storage.buckets set owner = auth.uid() where id = '{shared}'",
        "insert into storage.objects (bucket_id, name, owner, content_id) values "
        f"('{bucket}', 'x', auth.uid(), gen_random_uuid())",
    ):
        assert sql(bob, statement).status_code in (400, 401, 403, 404), statement
    count = (
        f"select json_build_object('n', count(*)) from storage.objects where bucket_id = '{bucket}'"
    )
    assert sql(bob, count, "ask").json() == {"n": 0}
    assert sql(alice, count, "ask").json() == {"n": 1}
    forged = f"update storage.objects set content_type = 'a/b' where bucket_id = '{bucket}'"
    assert sql(alice, forged).status_code == 200
    with_sql.sql("update storage.objects set size = 99, etag = 'x' where bucket_id = %s", bucket)
    info = alice.get(f"/object/info/{bucket}/k").json()
    assert (info["size"], info["content_type"]) == (6, "a/b")
    assert alice.content(bucket, "k") == b"secret"


def test_rows_that_sql_removes_take_their_bytes_along(with_sql: Desk) -> None:
    alice = with_sql.person()
    bucket = alice.bucket()
    for key in ("a", "b", "c"):
        alice.upload(bucket, key, key.encode())
    with_sql.sql("delete from storage.objects where bucket_id = %s and name = 'a'", bucket)
    alice.upload(bucket, "d")
    assert alice.delete(f"/object/{bucket}/d").status_code == 204  # wakes the sweeper
    with_sql.settle()
    with_sql.sql("truncate storage.objects, storage.upload_parts")
    alice.upload(bucket, "e", b"e")
    assert alice.delete(f"/object/{bucket}/e").status_code == 204
    with_sql.settle()
    assert with_sql.files() == []


def test_requests_of_many_people_at_once_do_not_mix(desk: Desk) -> None:
    people = [desk.person() for _ in range(4)]
    buckets = [person.bucket() for person in people]
    for person, bucket in zip(people, buckets, strict=True):
        person.upload(bucket, "k", str(person.id).encode())
    shuffler = random.Random(3)
    jobs = [(shuffler.randrange(4), shuffler.randrange(4)) for _ in range(400)]

    def look(job: tuple[int, int]) -> None:
        who, where = job
        answer = people[who].get(f"/object/{buckets[where]}/k")
        if who == where:
            assert answer.content == str(people[who].id).encode()
        else:
            assert said(answer) == (404, "object_not_found")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(look, jobs))
