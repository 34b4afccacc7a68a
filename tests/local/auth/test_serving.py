"""Where the auth part is served, and where it is not."""

from __future__ import annotations

import httpx
import pytest

from aerodb.local import LocalError, LocalServer

from .conftest import Api

SECRET = "a secret of more than thirty-two bytes"


def test_the_rest_part_can_be_served_alone() -> None:
    with (
        LocalServer(services=["rest"]) as server,
        httpx.Client(base_url=server.url, trust_env=False) as http,
    ):
        health = http.get("/health").json()
        assert health["services"] == {"rest": "ok"}
        assert "auth.reuse-grace" not in health["features"]
        for path in ("/auth/user", "/_aerodb/outbox"):
            answer = http.get(path, headers={"apikey": server.service_key})
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_another_database_gets_the_auth_part_only_on_request(database_url: str) -> None:
    with LocalServer(database_url=database_url, jwt_secret=SECRET) as plain:
        plain.execute_sql("drop database if exists with_auth")
        plain.execute_sql("create database with_auth")
        assert httpx.get(f"{plain.url}/auth/user", trust_env=False).status_code == 404
        url = database_url.replace("/postgres?", "/with_auth?")
        with pytest.raises(LocalError, match="--install"):
            LocalServer(database_url=url, services=["rest", "auth"])
        both = {"database_url": url, "services": ["rest", "auth"], "install": True}
        with pytest.raises(LocalError, match="a secret that it can sign with"):
            LocalServer(**both).start()  # type: ignore[arg-type]
        notes = (
            "create table notes (id int primary key, owner uuid default auth.uid() "
            "references auth.users); alter table notes enable row level security; "
            "create policy own on notes using (owner = auth.uid()); "
            "grant all on notes to authenticated"
        )
        for _ in range(2):
            with (
                LocalServer(**both, jwt_secret=SECRET, schema=[notes]) as server,  # type: ignore[arg-type]
                httpx.Client(base_url=server.url, trust_env=False) as http,
            ):
                service_token = server.create_token("service_role")
                api = Api(server, http, has_keys=False)
                one, other = api.person(), api.person()
                made = one.call("POST", "/rest/v1/notes", json={"id": 1})
                assert made.status_code in (201, 409)
                assert other.call("GET", "/rest/v1/notes").json() == []
                assert api.refresh(one.refresh_token).status_code == 200
                headers = {"Authorization": f"Bearer {service_token}"}
                assert http.get("/auth/users", headers=headers).json()["total"] >= 2
        plain.execute_sql("drop database with_auth")


def test_a_secret_of_ones_own_signs_and_verifies() -> None:
    with (
        LocalServer(jwt_secret=SECRET, jwt_aud="me") as server,
        httpx.Client(base_url=server.url, trust_env=False) as http,
    ):
        person = Api(server, http).person()
        assert person.call("GET", "/auth/user").json()["id"] == person.id
        assert person.call("GET", "/rest/v1/").status_code == 200


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"services": ["mail"]}, "no service 'mail'"),
        ({"services": ["auth"]}, "cannot be left out"),
        ({"auth_access_token_ttl": 0}, "for a second at least"),
        ({"auth_refresh_token_ttl": -1}, "for a second at least"),
    ],
)
def test_wrong_settings(settings: dict[str, object], problem: str) -> None:
    with pytest.raises(LocalError, match=problem):
        LocalServer(**settings)  # type: ignore[arg-type]
