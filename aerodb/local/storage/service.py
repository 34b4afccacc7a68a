"""Putting the storage part together."""

from __future__ import annotations

from dataclasses import dataclass, field

from aerodb.local.database import Database
from aerodb.local.errors import LocalError
from aerodb.local.replies import Receive, Scope, Send
from aerodb.local.settings import InstanceSettings
from aerodb.local.storage.blobs import BlobStore
from aerodb.local.storage.callers import Authenticate, Callers
from aerodb.local.storage.files import FileStore
from aerodb.local.storage.intake import Intake
from aerodb.local.storage.location import Folder, parse_location
from aerodb.local.storage.parts import Parts
from aerodb.local.storage.routes import StorageRoutes
from aerodb.local.storage.signatures import Signer
from aerodb.local.storage.store import Store
from aerodb.local.storage.sweeper import Sweeper
from aerodb.local.storage.writing import ObjectWriter

FEATURES = ("storage.tus", "storage.list-v2")


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """How the storage part behaves. `exclusive` says that no other instance uses this database."""

    signing_key: str = field(repr=False)
    maximum: int
    exclusive: bool
    base_url: str | None = None


class StorageService:
    """The storage part over the database that `conninfo` opens, and an object store."""

    def __init__(
        self,
        conninfo: str,
        blobs: BlobStore,
        settings: StorageSettings,
        authenticate: Authenticate,
    ) -> None:
        self._store = Store(conninfo)
        self._blobs = blobs
        self._sweeper = Sweeper(self._store, blobs, exclusive=settings.exclusive)
        intake = Intake(self._store, blobs, self._sweeper)
        parts = Parts(
            store=self._store,
            blobs=blobs,
            callers=Callers(authenticate),
            sweeper=self._sweeper,
            intake=intake,
            writer=ObjectWriter(self._store, intake, settings.maximum),
            signer=Signer(settings.signing_key),
            maximum=settings.maximum,
        )
        self._routes = StorageRoutes(parts, settings.base_url)

    async def start(self) -> None:
        """Make ready; what a crash has left is removed from now on."""
        await self._store.open()
        await self._blobs.start()
        await self._sweeper.start()

    async def stop(self) -> None:
        """Stop sweeping, and close the connections."""
        await self._sweeper.stop()
        await self._blobs.stop()
        await self._store.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        await self._routes(scope, receive, send)


def make_storage_service(
    settings: InstanceSettings, database: Database, authenticate: Authenticate
) -> StorageService | None:
    """Return the storage part of an instance; None if it is not wanted, or cannot be."""
    wanted = settings.services is None or "storage" in settings.services
    if not wanted or database.storage is None or database.signing_key is None:
        return None
    chosen = StorageSettings(
        signing_key=database.signing_key,
        maximum=settings.storage_max_file_size,
        exclusive=database.folder is not None,
        base_url=_base_url(settings, database),
    )
    blobs = _blobs(settings, database)
    return StorageService(database.storage, blobs, chosen, authenticate)


def _base_url(settings: InstanceSettings, database: Database) -> str | None:
    """What clients call this server, if that is not what their Host header says."""
    proxy = database.rest.openapi_server_proxy_uri
    return None if proxy is None else proxy.rstrip("/").removesuffix(settings.rest_path)


def _blobs(settings: InstanceSettings, database: Database) -> BlobStore:
    if settings.storage_url is None:
        if database.folder is None:
            raise LocalError("The service storage needs a place for objects: set --storage-url.")
        return FileStore(database.folder.path / "storage", exclusive=True)
    location = parse_location(settings.storage_url)
    if isinstance(location, Folder):
        return FileStore(location.path, exclusive=False)
    from aerodb.local.storage.s3 import S3Store

    return S3Store(location.bucket, location.prefix, dict(location.options))
