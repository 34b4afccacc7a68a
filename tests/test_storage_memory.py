"""What a transfer holds (reliability S1), in both colours, each in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.depot import depot
from tests.support.soak import many
from tests.support.storage_child import LITTLE
from tests.test_storage_crashes import child, ended

MIB = 1024 * 1024
SIZE = many(64, 256) * MIB

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="only Linux forgets a peak"
)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with depot() as found:
        yield found


@pytest.mark.parametrize("colour", ["aio", "sync"])
@pytest.mark.parametrize("way", ["path", "iterator", "form", "file", "stream", "bytes"])
def test_a_transfer_holds_a_block_at_a_time(
    port: int, tmp_path: Path, way: str, colour: str
) -> None:
    """All but the content itself, where that is the answer."""
    file = tmp_path / "f.bin"
    with file.open("wb") as sparse:
        sparse.truncate(SIZE)
    file.with_suffix(".small").write_bytes(bytes(LITTLE))
    code, printed = ended(child(colour, f"memory-{way}", port, file))
    assert code == 0
    grown = int(printed)
    print(f"{way}, {colour}: {SIZE // MIB} MiB, {grown / MIB:.1f} MiB more")
    assert grown <= (1.05 * SIZE if way == "bytes" else 4 * MIB)
