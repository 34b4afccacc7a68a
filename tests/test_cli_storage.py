"""`aerodb storage` and `aerodb listen`, run as commands against a real AeroDB."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result

from aerodb import AeroDBClient
from aerodb.cli.listen import listen
from aerodb.cli.storage import storage
from aerodb.local import LocalServer

Run = Callable[..., Result]
SCHEMA = "create table pets (id int primary key, name text not null, kind text)"


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer(schema=[SCHEMA]) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: LocalServer) -> Iterator[AeroDBClient]:
    with AeroDBClient(server.url, server.service_key) as made:
        yield made


@pytest.fixture
def bucket(client: AeroDBClient) -> str:
    name = f"b-{uuid4()}"
    client.storage.create_bucket(name).unwrap()
    return name


@pytest.fixture
def environment(server: LocalServer) -> dict[str, str]:
    known = {"AERODB_URL": server.url, "AERODB_KEY": server.service_key, "NO_COLOR": "1"}
    return {**os.environ, **known}


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The commands in this process: starting one for each would take longer than they do."""
    for name in ("AERODB_URL", "AERODB_KEY"):
        monkeypatch.setenv(name, environment[name])
    monkeypatch.chdir(tmp_path)

    def command(name: str, *words: str, code: int = 0) -> Result:
        called = {"storage": storage, "listen": listen}[name]
        done = CliRunner().invoke(called, [*words], catch_exceptions=False)
        assert done.exit_code == code, done.output
        return done

    return command


def contents(client: AeroDBClient, bucket: str) -> dict[str, bytes]:
    files = client.storage.from_(bucket)
    return {file.path: files.download(file.path).unwrap() for file in files.iter_files()}


def test_folders_go_up_and_come_back(
    run: Run, client: AeroDBClient, bucket: str, tmp_path: Path
) -> None:
    (tmp_path / "site/deep").mkdir(parents=True)
    (tmp_path / "site/a ?#%.txt").write_bytes(b"a")
    (tmp_path / "site/deep/b.bin").write_bytes(os.urandom(300_000))
    run("storage", "cp", "-r", "site", f"aero://{bucket}/v1")
    there = contents(client, bucket)
    assert sorted(there) == ["v1/a ?#%.txt", "v1/deep/b.bin"]
    run("storage", "cp", "-r", f"aero://{bucket}/v1", "back")
    for name in ("a ?#%.txt", "deep/b.bin"):
        assert (tmp_path / "back" / name).read_bytes() == (tmp_path / "site" / name).read_bytes()
        assert there[f"v1/{name}"] == (tmp_path / "site" / name).read_bytes()


def test_a_bucket_is_made(run: Run, client: AeroDBClient) -> None:
    name = f"b-{uuid4()}"
    assert run("storage", "mb", name, "--policy", "public").stdout == f"aero://{name}\n"
    assert client.storage.get_bucket(name).unwrap().policy == "public"
    assert "bucket_already_exists" in run("storage", "mb", f"aero://{name}", code=1).stderr
    limited = run("storage", "mb", f"{name}-2", "--max-size", "5", "--json").stdout
    assert json.loads(limited) == {"name": f"{name}-2", "policy": "private"}
    assert client.storage.get_bucket(f"{name}-2").unwrap().file_size_limit == 5


def test_one_file_is_called_as_said_or_as_before(
    run: Run, client: AeroDBClient, bucket: str, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_bytes(b"a")
    run("storage", "cp", "a.txt", f"aero://{bucket}")
    run("storage", "cp", "a.txt", f"aero://{bucket}/dir/")
    said = run("storage", "cp", "a.txt", f"aero://{bucket}/b", "--content-type", "text/x-b")
    assert said.stdout == f"a.txt -> aero://{bucket}/b\n"
    run("storage", "cp", f"aero://{bucket}/b", f"aero://{bucket}/dir/c")
    assert contents(client, bucket) == dict.fromkeys(["a.txt", "b", "dir/a.txt", "dir/c"], b"a")
    assert client.storage.from_(bucket).info("b").unwrap().content_type == "text/x-b"
    pairs = run("storage", "cp", f"aero://{bucket}/dir/c", ".", "--json").stdout
    assert json.loads(pairs) == [{"from": f"aero://{bucket}/dir/c", "to": "c"}]
    run("storage", "cp", f"aero://{bucket}/b", "new/")
    assert (tmp_path / "c").read_bytes() == (tmp_path / "new/b").read_bytes() == b"a"


def test_what_is_there_is_replaced_unless_that_is_refused(
    run: Run, client: AeroDBClient, bucket: str, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_bytes(b"new")
    client.storage.from_(bucket).upload("a.txt", b"old").unwrap()
    place = f"aero://{bucket}/a.txt"
    refused = run("storage", "cp", "a.txt", place, "--no-overwrite", code=1)
    assert "object_already_exists" in refused.stderr
    assert "exists already" in run("storage", "cp", place, ".", "--no-overwrite", code=1).stderr
    run("storage", "cp", "a.txt", place)
    assert contents(client, bucket) == {"a.txt": b"new"}


def test_names_of_a_server_do_not_lead_out_of_the_folder(
    run: Run, client: AeroDBClient, bucket: str, tmp_path: Path
) -> None:
    client.storage.from_(bucket).upload("out/x", b"x").unwrap()
    (tmp_path / "into").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "into/out").symlink_to(tmp_path / "outside")
    run("storage", "cp", "-r", f"aero://{bucket}", "into", code=1)
    assert [*(tmp_path / "outside").iterdir()] == []


def test_ls_and_rm(run: Run, client: AeroDBClient, bucket: str) -> None:
    files = client.storage.from_(bucket)
    for name in ("a", "dir/b", "dir/deep/c", "dirty/d", "e\u202etxt"):
        files.upload(name, b"12").unwrap()
    assert bucket in [one["name"] for one in json.loads(run("storage", "ls", "--json").stdout)]

    def names(*words: str) -> list[str]:
        return [row["name"] for row in json.loads(run("storage", "ls", *words, "--json").stdout)]

    assert names(f"aero://{bucket}") == ["dir/", "dirty/", "a", "e\u202etxt"]
    assert names("-r", f"aero://{bucket}/dir/") == ["dir/b", "dir/deep/c"]
    assert "\u202e" not in run("storage", "ls", f"aero://{bucket}").stdout
    assert "say -r" in run("storage", "rm", f"aero://{bucket}", code=2).stderr
    assert "Aborted" in run("storage", "rm", "-r", f"aero://{bucket}/dir", code=1).stderr
    removed = run("storage", "rm", "-r", "--yes", f"aero://{bucket}/dir", "--json")
    assert json.loads(removed.stdout) == [f"aero://{bucket}/dir/{n}" for n in ("b", "deep/c")]
    run("storage", "rm", f"aero://{bucket}/a")
    assert sorted(contents(client, bucket)) == ["dirty/d", "e\u202etxt"]


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["cp", "a", "b"], 2, "aero://BUCKET/PATH"),
        (["cp", "gone.txt", "aero://nowhere/a"], 1, "no file gone.txt"),
        (["cp", ".", "aero://nowhere"], 2, "say -r"),
        (["cp", "aero://nowhere/a", "."], 1, "not_found"),
        (["cp", "aero:///a", "."], 2, "aero://BUCKET/PATH"),
        (["ls", "nowhere"], 2, "aero://BUCKET/PATH"),
        (["rm", "aero://nowhere/a"], 1, "nothing at aero://nowhere/a"),
    ],
)
def test_mistakes_are_named(run: Run, words: list[str], code: int, text: str) -> None:
    assert text in run("storage", *words, code=code).stderr


def test_a_terminal_gets_a_bar(
    environment: dict[str, str], client: AeroDBClient, bucket: str, tmp_path: Path
) -> None:
    for number in range(3):
        (tmp_path / f"{number}.bin").write_bytes(bytes(100_000))
    shown, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    words = ["storage", "cp", "-r", str(tmp_path), f"aero://{bucket}"]
    with subprocess.Popen(
        [sys.executable, "-m", "aerodb.cli", *words], env=environment, stderr=terminal,
        stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        os.close(terminal)
        text = b""
        while True:
            try:
                text += (piece := os.read(shown, 4096))
            except OSError:  # Linux says so when the other side is closed
                break
            if not piece:
                break
        os.close(shown)
        assert process.wait(60) == 0
    assert b"293k/293k" in text
    assert b"100%" in text


# --- listen ------------------------------------------------------------------------------------


@pytest.fixture
def listening(environment: dict[str, str]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(*words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "aerodb.cli", "listen", *words],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        assert process.stderr is not None
        assert process.stderr.readline() == f"listening to {words[0]}; Ctrl-C ends it\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_changes_are_printed_as_they_come(
    listening: Callable[..., subprocess.Popen[str]], client: AeroDBClient
) -> None:
    process = listening("pets", "--json", "--event", "INSERT", "--event", "DELETE", "--count", "2")
    pets = client.from_("pets")
    pets.insert({"id": 1, "name": "Rex"}).execute().unwrap()
    pets.update({"name": "Max"}).eq("id", 1).execute().unwrap()
    assert process.stdout is not None
    first = json.loads(process.stdout.readline())
    assert (first["type"], first["table"], first["new"]["name"]) == ("INSERT", "pets", "Rex")
    pets.delete().eq("id", 1).execute().unwrap()
    assert json.loads(process.stdout.readline())["type"] == "DELETE"
    assert process.wait(60) == 0


def test_a_filter_is_the_servers(
    listening: Callable[..., subprocess.Popen[str]], client: AeroDBClient
) -> None:
    process = listening("some", "--table", "pets", "--filter", "kind=eq.cat", "--count", "1")
    rows = [{"id": 2, "name": "Rex", "kind": "dog"}, {"id": 3, "name": "T\x1bm", "kind": "cat"}]
    client.from_("pets").insert(rows).execute().unwrap()
    out, _ = process.communicate(timeout=60)
    assert out.startswith("INSERT public.pets ")
    assert '"id": 3' in out
    assert "\x1b" not in out


def test_it_ends_in_time_or_by_ctrl_c(listening: Callable[..., subprocess.Popen[str]]) -> None:
    process = listening("quiet", "--timeout", "3", "--count", "1")
    other = listening("quiet", "--timeout", "3")
    assert process.wait(60) == 1
    assert process.stderr is not None
    assert "0 of 1 events came" in process.stderr.read()
    assert other.wait(60) == 0
    process = listening("quiet")
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert "Traceback" not in process.stderr.read() if process.stderr else True


def test_a_timeout_includes_connecting(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AERODB_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert "within 0.5 s" in run("listen", "pets", "--timeout", "0.5", code=1).stderr


def test_a_name_that_no_table_has_is_told(
    listening: Callable[..., subprocess.Popen[str]], run: Run
) -> None:
    cases = [
        (["pest"], True),
        (["pets"], False),
        (["pest", "--event", "BROADCAST"], False),
    ]
    started = [(listening(*words, "--timeout", "6"), told) for words, told in cases]
    for process, told in started:
        _, said = process.communicate(timeout=60)
        assert ("may use no table pest" in said) is told
    assert "no table public.pest" in run("listen", "some", "--table", "pest", code=1).stderr


def test_it_tells_when_the_connection_is_lost_and_back(
    environment: dict[str, str], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    with LocalServer(data=data, schema=[SCHEMA]) as first:
        environment |= {"AERODB_URL": first.url, "AERODB_KEY": first.service_key}
        process = subprocess.Popen(
            [sys.executable, "-m", "aerodb.cli", "listen", "pets", "--count", "1"],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stderr is not None
        assert process.stderr.readline().startswith("listening to")
    try:
        assert process.stderr.readline().startswith("the connection is lost")
        port = int(first.url.rpartition(":")[2])
        with LocalServer(data=data, port=port) as second:
            assert process.stderr.readline() == "connected again\n"
            with AeroDBClient(second.url, second.service_key) as client:
                client.from_("pets").insert({"id": 1, "name": "Rex"}).execute().unwrap()
            assert "Rex" in process.communicate(timeout=60)[0]
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()


def test_a_filter_that_is_wrong_is_named(run: Run) -> None:
    said = run("listen", "pets", "--filter", "nonsense", code=2).stderr
    assert "'nonsense' is no condition" in said
