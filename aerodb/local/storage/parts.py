"""What the endpoints work with."""

from __future__ import annotations

from dataclasses import dataclass

from aerodb.local.storage.blobs import BlobStore
from aerodb.local.storage.callers import Callers
from aerodb.local.storage.intake import Intake
from aerodb.local.storage.signatures import Signer
from aerodb.local.storage.store import Store
from aerodb.local.storage.sweeper import Sweeper
from aerodb.local.storage.writing import ObjectWriter


@dataclass(frozen=True, slots=True)
class Parts:
    """One of each; `maximum` is the largest object, in bytes, that any bucket takes."""

    store: Store
    blobs: BlobStore
    callers: Callers
    sweeper: Sweeper
    intake: Intake
    writer: ObjectWriter
    signer: Signer
    maximum: int
