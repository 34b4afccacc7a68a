"""The data folder: who may have it, and what is said if it cannot be had."""

from __future__ import annotations

from pathlib import Path

import pytest

from aerodb.local.errors import LocalError
from aerodb.local.folder import DataFolder


@pytest.mark.parametrize("name", ["", "deeper/still"])
def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / name
    with pytest.raises(LocalError, match=r"data folder .*file.* cannot be used"):
        DataFolder(path)


def test_files_in_it_that_cannot_be_opened_are_told(tmp_path: Path) -> None:
    (tmp_path / "instance.lock").mkdir()
    with pytest.raises(LocalError, match=r"cannot be used: .*instance\.lock"):
        DataFolder(tmp_path)


def test_blanks_in_its_name_do_no_harm(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "my data")
    with pytest.raises(LocalError, match="Another AeroDB"):
        DataFolder(tmp_path / "my data")
    folder.close()
    DataFolder(tmp_path / "my data").close()
