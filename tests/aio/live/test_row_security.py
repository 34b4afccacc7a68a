# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""What anon may not see or write stays out of every way to ask (wire-contract §1.4, §10.6)."""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_DNS, uuid5

from aerodb.aio import AeroDBClient


def ids(rows: Any) -> list[int]:
    return [row["id"] for row in rows]


async def test_rows(client: AeroDBClient, anon: AeroDBClient) -> None:
    for connected, expected in ((client, [1, 2, 3, 4]), (anon, [1, 4])):
        rows = (await connected.from_("documents").select("id").order("id").execute()).unwrap()
        assert ids(rows) == expected


async def test_filters_do_not_tell(anon: AeroDBClient) -> None:
    documents = anon.from_("documents")
    assert (await documents.select("id").eq("title", "closed").execute()).unwrap() == []
    assert (await documents.eq("id", 2).exists()).unwrap() is False
    assert (await documents.get(2).maybe_single().execute()).unwrap() is None
    hidden = await documents.select("id").eq("id", 2).single().execute()
    assert hidden.error.code == "PGRST116"


async def test_counts(client: AeroDBClient, anon: AeroDBClient) -> None:
    assert (await client.from_("documents").count("exact")).unwrap() == 4
    assert (await anon.from_("documents").count("exact")).unwrap() == 2
    listed = await anon.from_("documents").select("id", count="exact").limit(1).execute()
    assert listed.count == 2


async def test_embedding(anon: AeroDBClient) -> None:
    query = (
        anon.from_("vaults")
        .select("id, documents(id)")
        .order("id")
        .order("id", foreign_table="documents")
    )
    assert (await query.execute()).unwrap() == [
        {"id": 1, "documents": [{"id": 1}, {"id": 4}]},
        {"id": 2, "documents": []},
    ]
    inner = await anon.from_("vaults").select("id, documents!inner(id)").order("id").execute()
    assert ids(inner.unwrap()) == [1]
    closed = anon.from_("vaults").select("id, documents!inner(id)").eq("documents.id", 3)
    assert (await closed.execute()).unwrap() == []


async def test_streams_and_pages(anon: AeroDBClient) -> None:
    documents = anon.from_("documents").select("id").order("id")
    assert [row["id"] async for row in documents.iterate(page_size=1)] == [1, 4]
    async with documents.stream() as rows:
        assert [row["id"] async for row in rows] == [1, 4]


async def test_writes(client: AeroDBClient, anon: AeroDBClient) -> None:
    documents = anon.from_("documents")
    row = {"id": 9, "vault_id": 1, "title": "mine", "is_public": True}
    for query in (documents.insert(row), documents.upsert(row)):
        response = await query.execute()
        assert response.data is None
        assert response.error.code == "42501"
        assert response.error.status == 401
        assert response.error.retryable is False
    assert (await documents.update({"title": "x"}).gt("id", 0).execute()).unwrap() == []
    assert (await documents.delete().gt("id", 0).execute()).unwrap() == []
    assert (await client.from_("documents").eq("title", "x").count("exact")).unwrap() == 0
    assert (await client.from_("documents").count("exact")).unwrap() == 4


async def test_a_table_that_is_not_granted(client: AeroDBClient, anon: AeroDBClient) -> None:
    assert (await client.from_("payroll").count("exact")).unwrap() == 1
    response = await anon.from_("payroll").select("*").execute()
    assert (response.error.code, response.error.status) == ("42501", 401)
    counted = await anon.from_("payroll").count("exact")
    assert counted.error.status == 401


async def test_a_key_that_nobody_issued(server: Any) -> None:
    async with AeroDBClient(server.url, "aero_pk_0000000000000000000000000000") as stranger:
        response = await stranger.from_("teams").select("id").execute()
    assert response.data is None
    assert response.error.status == 401


async def test_no_key_is_anon(server: Any) -> None:
    async with AeroDBClient(server.url) as nobody:
        rows = (await nobody.from_("documents").select("id").order("id").execute()).unwrap()
    assert ids(rows) == [1, 4]


async def test_keys_are_in_no_text(server: Any) -> None:
    async with AeroDBClient(server.url, server.service_key) as connected:
        query = connected.from_("nowhere").select("*")
        response = await query.execute()
        for value in (connected, query, response, response.error, str(response.error)):
            assert server.service_key not in repr(value)


async def test_users_see_their_own_rows_only(
    client: AeroDBClient, empty: None, server: Any
) -> None:
    """Wire-contract §10.6, with a token that the instance has signed."""
    ada, eve = (str(uuid5(NAMESPACE_DNS, name)) for name in ("ada", "eve"))
    tokens = {user: server.create_token(sub=user) for user in (ada, eve)}
    for user, token in tokens.items():
        headers = {"Authorization": f"Bearer {token}"}
        async with AeroDBClient(server.url, server.anon_key, headers=headers) as own:
            (await own.from_("diaries").insert({"entry": user}).execute()).unwrap()
            assert (await own.from_("diaries").scalars("entry")).unwrap() == [user]
            assert (await own.from_("diaries").count("exact")).unwrap() == 1
            stolen = await own.from_("diaries").insert({"owner": ada, "entry": "forged"}).execute()
            if user != ada:
                assert (stolen.error.code, stolen.error.status) == ("42501", 403)
                assert (await own.from_("diaries").delete().eq("owner", ada).execute()).data == []
    assert (await client.from_("diaries").eq("entry", "forged").count("exact")).unwrap() == 1


async def test_a_bad_token_is_no_one(server: Any) -> None:
    """Never a fallback to anon (wire-contract §1.4)."""
    expired = server.create_token(expires_in=-3600)
    forged = expired[:-4] + ("AAAA" if expired[-4:] != "AAAA" else "BBBB")
    for token, code in ((expired, "PGRST303"), (forged, "PGRST301")):
        headers = {"Authorization": f"Bearer {token}"}
        async with AeroDBClient(server.url, server.service_key, headers=headers) as somebody:
            response = await somebody.from_("teams").select("id").execute()
        assert response.data is None
        assert (response.error.status, response.error.code) == (401, code)
        assert token not in repr(response)
