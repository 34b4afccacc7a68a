"""What the storage part is to the instance around it."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import httpx
import pytest

from aerodb.local import LocalError, LocalServer
from aerodb.local.keys import load_or_create_keys
from tests.local.storage.conftest import Desk, Person, said


def test_health_lists_it(desk: Desk) -> None:
    health = desk.http.get("/health").json()
    assert health["services"]["storage"] == "ok"
    assert {"storage.tus", "storage.list-v2"} <= set(health["features"])


def test_it_can_be_left_out() -> None:
    with LocalServer(services=("rest",)) as server:
        health = httpx.get(f"{server.url}/health", trust_env=False).json()
        assert "storage" not in health["services"]
        assert not [name for name in health["features"] if name.startswith("storage")]
        assert httpx.get(f"{server.url}/storage/v1/bucket", trust_env=False).status_code == 404


def test_keys_of_an_older_version_get_one_for_urls(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    made = load_or_create_keys(path)
    found = json.loads(path.read_text())
    assert found.pop("storage_secret") == made.storage_secret
    path.write_text(json.dumps(found))
    path.chmod(0o600)
    first = load_or_create_keys(path)
    assert first.jwt_secret == made.jwt_secret
    assert first.storage_secret not in (made.storage_secret, "")
    assert load_or_create_keys(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_stored_outlives_the_instance(tmp_path: Path) -> None:
    owner = "5a9e2c4c-9f0e-4f4e-8a33-3a8c2f6b7d10"
    signed = bucket = ""
    for life in range(2):
        with (
            LocalServer(data=tmp_path / "data") as server,
            httpx.Client(base_url=server.url, trust_env=False) as http,
        ):
            token = server.create_token(sub=owner)
            alice = Person(http, {"Authorization": f"Bearer {token}"}, owner)
            if life == 0:
                bucket = alice.bucket()
                alice.upload(bucket, "k", b"kept")
                answer = alice.post(f"/object/sign/{bucket}/k", {"expiresIn": 600})
                signed = answer.json()["signedURL"]
            assert alice.content(bucket, "k") == b"kept"
            assert http.get(f"/storage/v1{signed}").content == b"kept"
    for path in (tmp_path / "data" / "storage").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


def test_a_folder_that_everybody_may_write_to_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "objects"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(LocalError, match="Everybody may write"):
        LocalServer(storage_url=folder.as_uri()).start()


def test_settings_of_the_instance() -> None:
    with (
        LocalServer(
            storage_max_file_size=10,
            require_apikey=True,
            openapi_server_proxy_uri="https://api.example.com/base/rest/v1",
        ) as server,
        httpx.Client(base_url=server.url, trust_env=False) as http,
    ):
        service = Person(http, {"apikey": server.service_key})
        bucket = service.bucket("public", file_size_limit="1GB")
        service.upload(bucket, "k", b"0123456789")
        assert said(service.post(f"/object/{bucket}/l", content=b"0123456789a")) == (
            413,
            "file_too_large",
        )
        nobody = Person(http, {})
        assert said(nobody.get(f"/object/{bucket}/k")) == (401, "no_api_key")
        assert nobody.get(f"/object/public/{bucket}/k").status_code == 200
        signed = service.post(f"/object/sign/{bucket}/k", {"expiresIn": 60}).json()
        base = "https://api.example.com/base/storage/v1/object/sign/"
        assert signed["signedUrl"].startswith(base)
        assert nobody.get(signed["signedURL"]).content == b"0123456789"


def test_a_policy_that_takes_too_long_is_ended() -> None:
    slow = """
        create policy slow on storage.objects for select using (pg_sleep(0.2) is not null);
        create policy free on storage.objects for insert with check (true);
        alter role anon set statement_timeout = '50ms';
    """
    with (
        LocalServer(schema=[slow]) as server,
        httpx.Client(base_url=server.url, trust_env=False) as http,
    ):
        service = Person(http, {"apikey": server.service_key})
        bucket = service.bucket("public")
        service.upload(bucket, "k")
        answer = Person(http, {}).get(f"/object/{bucket}/k")
        assert said(answer) == (503, "service_unavailable")
        assert service.content(bucket, "k") == b"x"


def test_a_trigger_may_say_no() -> None:
    trigger = """
        create function refuse() returns trigger language plpgsql as $$
        begin
            if new.name like 'no/%' then raise exception 'not here'; end if;
            return new;
        end $$;
        create trigger refuse before insert on storage.objects
            for each row execute function refuse();
    """
    with (
        LocalServer(schema=[trigger]) as server,
        httpx.Client(base_url=server.url, trust_env=False) as http,
    ):
        service = Person(http, {"apikey": server.service_key})
        bucket = service.bucket()
        service.upload(bucket, "yes/k")
        answer = service.post(f"/object/{bucket}/no/k", content=b"x")
        assert said(answer) == (400, "validation_failed")
        assert answer.json()["message"] == "Validation error: not here"


@pytest.mark.parametrize("origin", ["http://localhost:3000", "https://evil.example"])
def test_web_pages(desk: Desk, alice: Person, origin: str) -> None:
    bucket = alice.bucket()
    answer = alice.post(f"/object/{bucket}/k", content=b"x", headers={"origin": origin})
    if origin.startswith("https://evil"):
        assert said(answer) == (403, "origin_not_allowed")
        return
    assert answer.status_code == 201
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    assert {"ETag", "Content-Disposition", "Upload-Offset", "Location"} <= set(exposed)
