"""What both sides of the shim share and what decides nothing by waiting: tables."""

from __future__ import annotations

import gzip
import random
import socket
import ssl
import zlib
from itertools import pairwise

import h11
import httpcore
import pytest
from h11._headers import normalize_and_validate
from hypothesis import example, given
from hypothesis import strategies as st

from aerodb._core.http import Origin, Request, TransportError
from aerodb._core.http_settings import HttpSettings
from aerodb._io.addresses import in_order, known_addresses
from aerodb._io.bodies import PIECE, Collector, Inflater
from aerodb._io.exchange import h11_headers
from aerodb._io.heads import complete_headers, content_codings, declared_length
from aerodb._io.proxies import bypassed, proxy_for
from aerodb._io.sources import FileSource, open_blocking
from aerodb._io.tls import context_for

HOST = Origin("https", "api.example.com", 443)


@pytest.mark.parametrize(
    ("no_proxy", "host", "port", "expected"),
    [
        ("", "a.test", 80, False),
        ("*", "a.test", 80, True),
        ("a.test", "a.test", 80, True),
        ("A.TEST", "a.test", 80, True),
        ("a.test", "b.a.test", 80, True),
        (".a.test", "b.a.test", 80, True),
        ("*.a.test", "b.a.test", 80, True),
        ("a.test", "ba.test", 80, False),
        ("a.test", "a.test.evil", 80, False),
        ("x.test, a.test", "a.test", 80, True),
        ("x.test a.test", "a.test", 80, True),
        ("a.test:80", "a.test", 80, True),
        ("a.test:81", "a.test", 80, False),
        ("127.0.0.1", "127.0.0.1", 80, True),
        ("127.0.0.0/8", "127.3.2.1", 80, True),
        ("10.0.0.0/8", "127.3.2.1", 80, False),
        ("10.0.0.0/8", "a.test", 80, False),
        ("nonsense/8", "127.0.0.1", 80, False),
        ("::1", "::1", 80, True),
        ("[::1]", "::1", 80, True),
        ("[::1]:80", "::1", 80, True),
        ("[::1]:81", "::1", 80, False),
        ("::/0", "::1", 80, True),
        (",", "a.test", 80, False),
        (".", "a.test", 80, False),
    ],
)
def test_no_proxy(no_proxy: str, host: str, port: int, expected: bool) -> None:
    assert bypassed(Origin("http", host, port), no_proxy) is expected


@pytest.mark.parametrize(
    ("environment", "settings", "expected"),
    [
        ({}, {}, None),
        ({"https_proxy": "http://p:1"}, {}, "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1"}, {}, "http://p:1"),
        ({"https_proxy": "p:1"}, {}, "http://p:1"),
        ({"http_proxy": "http://p:1"}, {}, None),
        ({"all_proxy": "http://p:1"}, {}, "http://p:1"),
        ({"https_proxy": "http://p:1", "ALL_PROXY": "http://q:1"}, {}, "http://p:1"),
        ({"https_proxy": "", "HTTPS_PROXY": "http://p:1"}, {}, None),
        ({"https_proxy": "http://p:1", "no_proxy": "example.com"}, {}, None),
        ({"https_proxy": "http://p:1"}, {"trust_env": False}, None),
        ({"https_proxy": "http://p:1"}, {"proxy": "http://q:2"}, "http://q:2"),
        ({"no_proxy": "*"}, {"proxy": "http://q:2"}, "http://q:2"),
    ],
)
def test_which_proxy(
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    settings: dict[str, str | bool],
    expected: str | None,
) -> None:
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_PROXY".upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(HOST, HttpSettings(**settings)) == expected  # type: ignore[arg-type]


def test_a_visitors_header_names_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("http_proxy", raising=False)
    monkeypatch.delenv("all_proxy", raising=False)
    monkeypatch.delenv("ALL_PROXY", raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://evil:1")
    monkeypatch.setenv("REQUEST_METHOD", "GET")
    assert proxy_for(Origin("http", "a.test", 80), HttpSettings()) is None


@given(
    data=st.binary(max_size=5000),
    coding=st.sampled_from([b"gzip", b"deflate", b"raw"]),
    cuts=st.lists(st.integers(0, 5000), max_size=8),
)
def test_a_body_may_be_cut_anywhere(data: bytes, coding: bytes, cuts: list[int]) -> None:
    if coding == b"gzip":
        wire = gzip.compress(data)
    elif coding == b"deflate":
        wire = zlib.compress(data)
    else:
        engine = zlib.compressobj(wbits=-15)
        wire = engine.compress(data) + engine.flush()
        # RFC 1950 §2.2: a zlib header has 8 in its low four bits, which raw deflate can have too
        if wire[:1] and wire[0] & 0x0F == 8:
            return
    edges = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    pieces = [wire[start:end] for start, end in pairwise(edges)]
    name = b"gzip" if coding == b"gzip" else b"deflate"
    body = Collector([(b"Content-Encoding", name)], 10_000, True)
    for piece in pieces:
        body.add(piece)
    assert body.result() == data
    short = Collector([(b"Content-Encoding", name)], 10_000, True)
    with pytest.raises(TransportError):
        for piece in (wire[:-1], b""):
            short.add(piece)
        short.result()


def test_pieces_are_of_bounded_size() -> None:
    inflater = Inflater(b"gzip")
    sizes = [len(piece) for piece in inflater.feed(gzip.compress(bytes(10_000_000)))]
    inflater.finish()
    assert sum(sizes) == 10_000_000
    assert max(sizes) <= PIECE


def test_the_limit_stops_before_more_is_inflated() -> None:
    wire = gzip.compress(bytes(200_000_000), 1)
    body = Collector([(b"content-encoding", b"gzip")], 1000, True)
    with pytest.raises(TransportError) as caught:
        body.add(wire)
    assert caught.value.kind == "too_large"
    assert body._size <= 1000 + PIECE


@pytest.mark.parametrize(
    ("value", "expected"),
    [(b"", []), (b"identity", []), (b" GZip ", [b"gzip"]), (b"gzip, br", [b"gzip", b"br"])],
)
def test_content_codings(value: bytes, expected: list[bytes]) -> None:
    assert content_codings([(b"CONTENT-Encoding", value)]) == expected


def test_declared_length() -> None:
    assert declared_length([(b"content-length", b"12")]) == 12
    assert declared_length([(b"content-length", b"-1")]) is None
    assert declared_length([]) is None


def test_the_host_header_names_a_port_only_if_it_must() -> None:
    def host(origin: Origin) -> bytes:
        return complete_headers(Request("GET", origin, "/", [], None))[0][1]

    assert host(HOST) == b"api.example.com"
    assert host(Origin("http", "api.example.com", 443)) == b"api.example.com:443"
    assert host(Origin("http", "::1", 8000)) == b"[::1]:8000"


NAMES = st.sampled_from([b"Accept", b"X-A", b"x-a", b"Content-Length", b"Host", b"Bad Name", b""])
VALUES = st.binary(max_size=4) | st.sampled_from(
    [b"a b", b" a", b"a ", b"a\t", b"\ta", b"a\nb", b"a\r\nX: y", b"a\x01", b"\x7f", b"\xff", b"\n"]
)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=4), st.sampled_from([None, b"", b"abc"]))
@example([(b"X-A", b"a\n")], None)
@example([(b"X-A", b""), (b"X-A", b"\n")], None)
def test_headers_are_those_that_h11_would_make(
    own: list[tuple[bytes, bytes]], body: bytes | None
) -> None:
    request = Request("POST", HOST, "/", own, body)
    try:
        expected = normalize_and_validate(complete_headers(request))._full_items
    except h11.LocalProtocolError:
        for _ in range(2):
            with pytest.raises(httpcore.LocalProtocolError):
                h11_headers(request)
        return
    for _ in range(2):  # names that are new, names that are known
        assert h11_headers(request)._full_items == expected


def test_addresses_of_both_families_take_turns() -> None:
    four = [(socket.AF_INET, 1, 6, "", (f"127.0.0.{n}", 80)) for n in (1, 2, 3, 1)]
    six = [(socket.AF_INET6, 1, 6, "", ("::1", 80, 0, 0))]
    assert [address[0] for _, address in in_order([*six, *four])] == [
        "::1",
        "127.0.0.1",
        "127.0.0.2",
        "127.0.0.3",
    ]


@pytest.mark.parametrize("host", ["example.com", "example1", "a1.b2", "999.1.1.1"])
def test_names_need_the_resolver(host: str) -> None:
    assert known_addresses(host, 80) is None


def test_a_context_is_made_once() -> None:
    one = context_for(HttpSettings())
    assert one is context_for(HttpSettings(verify=True))
    assert one is context_for(HttpSettings(max_connections=1))
    assert one.verify_mode == ssl.CERT_REQUIRED
    assert one.check_hostname
    assert one is not context_for(HttpSettings(verify=False))
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    assert context_for(HttpSettings(verify=own)) is own


# What is uploaded


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["now", "read", "seek"]), st.integers(0, 300)), max_size=12
    )
)
def test_a_file_is_read_in_order_whichever_way(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    """`read_now` does not move the file, `read` does: neither may miss what the other has read."""
    data = bytes(random.Random(1).randbytes(1000))
    path = tmp_path_factory.mktemp("read") / "f"
    path.write_bytes(data)
    source = open_blocking(path)
    assert isinstance(source, FileSource)
    at = 0
    for way, size in steps:
        if way == "seek":
            source.seek(at := size)
            continue
        block = source.read_now(size) if way == "now" else source.read(size)
        if block is not None:
            assert block == data[at : at + size]
            at += len(block)
    source.close()


def test_a_device_that_stands_nowhere_is_read() -> None:
    with open("/dev/zero", "rb", buffering=0) as zeros:
        source = FileSource(zeros, None)
        source.seek(0)
        assert [source.read(4), source.read(4)] == [bytes(4)] * 2
