"""What is shipped: the wheel is built, installed in an environment of its own, and used."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.xdist_group("packaging")]


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), cwd=ROOT)
    assert list(folder.glob("*.tar.gz"))
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {t for t in tops if not t.endswith(".dist-info")} == {"aerodb"}
    assert "aerodb/py.typed" in names
    assert "aerodb/sync/client.py" in names
    assert "aerodb/aio/client.py" in names
    assert not [n for n in names if n.endswith((".pyc", ".pth"))]


def test_the_wheel_works_with_its_core_dependencies_alone(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    python = str(tmp_path / "env" / "bin" / "python")
    run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", str(wheel),
        cwd=tmp_path)  # fmt: skip
    code = (
        "import aerodb, aerodb.aio, aerodb.sync\n"
        "with aerodb.AeroDBClient('http://127.0.0.1:9', 'k') as client:\n"
        "    response = client.from_('t').select('*').execute()\n"
        "print(response.error.code, aerodb.__file__)\n"
    )
    out = run(python, "-W", "error", "-c", code, cwd=tmp_path)
    assert out.startswith("NETWORK_ERROR ")
    assert str(tmp_path) in out
    message = subprocess.run(
        [python, "-m", "aerodb.local"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert message.returncode != 0
    assert "aerodb[local]" in message.stderr
