"""The endpoints about objects that move no bytes: info and deletion (wire contract §5.2)."""

from __future__ import annotations

from typing import Any

from psycopg import sql

from aerodb.local.storage.errors import invalid, no_object
from aerodb.local.storage.http import Reply, Request
from aerodb.local.storage.names import object_key
from aerodb.local.storage.parts import Parts
from aerodb.local.storage.rows import OBJECT_COLUMNS, file_object, find_object, still_there
from aerodb.local.storage.store import every, one

MOST_KEYS = 1000
_DELETE_MANY = sql.SQL(
    "delete from storage.objects where bucket_id = %s and name = any(%s) returning {}"
).format(OBJECT_COLUMNS)

# Both halves see the same moment: what is uploaded between two statements is not what was refused.
_DELETE = """
with gone as (delete from storage.objects where bucket_id = %s and name = %s returning id)
select id, exists (select from gone) as gone from storage.objects
where bucket_id = %s and name = %s
"""


class Objects:
    """Looking at objects, and removing them."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._store = parts.store

    async def info(self, request: Request, bucket: str, key: str) -> Reply:
        """GET /object/info/{bucket}/{path}."""
        caller = self._parts.callers.of(request)
        async with self._store.as_caller(caller) as connection:
            return Reply(200, file_object(await find_object(connection, bucket, key)))

    async def public_info(self, request: Request, bucket: str, key: str) -> Reply:
        """GET /object/info/public/{bucket}/{path}."""
        async with self._store.as_service() as connection:
            return Reply(200, file_object(await find_object(connection, bucket, key, public=True)))

    async def delete(self, request: Request, bucket: str, key: str) -> Reply:
        """DELETE /object/{bucket}/{path}."""
        caller = self._parts.callers.of(request)
        async with self._store.as_caller(caller) as connection:
            row = await one(connection, _DELETE, bucket, key, bucket, key)
            if row is None:
                raise no_object()
            if not row["gone"]:
                await still_there(connection, row["id"], bucket, key)
                raise caller.denied()
        self._parts.sweeper.wake()
        return Reply(204)

    async def delete_many(self, request: Request, bucket: str) -> Reply:
        """DELETE /object/{bucket}: the keys that `prefixes` lists, as far as they can be."""
        caller = self._parts.callers.of(request)
        keys = listed_keys(await request.json(), "prefixes")
        async with self._store.as_caller(caller) as connection:
            rows = await every(connection, _DELETE_MANY, bucket, sorted(set(keys)))
        self._parts.sweeper.wake()
        found = {row["name"]: row for row in rows}
        return Reply(200, [file_object(found[key]) for key in dict.fromkeys(keys) if key in found])


def listed_keys(body: dict[str, Any], name: str) -> list[str]:
    """Return a member that lists keys, 1000 at most."""
    keys = body.get(name)
    if not isinstance(keys, list) or len(keys) > MOST_KEYS:
        raise invalid(f"{name} must be a list of {MOST_KEYS} paths at most")
    return [object_key(key) for key in keys]
