"""The base URL is read strictly (wire-contract §1.1, §1.9 S1, S2, S9; reliability H4, X25)."""

from __future__ import annotations

import ipaddress
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb._core.http import Origin
from aerodb._core.url import (
    BaseUrl,
    is_loopback,
    parse_base_url,
    parse_ipv4,
    parse_ipv6,
    quote_segment,
    redirect_target,
    segment_problem,
    url_problem,
    websocket_url,
)


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port", "prefix"),
    [
        ("https://db.example.com", "https", "db.example.com", 443, ""),
        ("https://db.example.com/", "https", "db.example.com", 443, ""),
        ("HTTPS://DB.Example.com:8443/x/y//", "https", "db.example.com", 8443, "/x/y"),
        ("https://h/a%20b/c-d.e_f~", "https", "h", 443, "/a%20b/c-d.e_f~"),
        ("http://localhost:54321", "http", "localhost", 54321, ""),
        ("http://api.localhost", "http", "api.localhost", 80, ""),
        ("http://127.0.0.1:1", "http", "127.0.0.1", 1, ""),
        ("http://127.255.255.254", "http", "127.255.255.254", 80, ""),
        ("http://[::1]:8000", "http", "::1", 8000, ""),
        ("http://[::ffff:127.0.0.1]", "http", "::ffff:127.0.0.1", 80, ""),
        ("https://[2001:DB8::1]", "https", "2001:db8::1", 443, ""),
        ("https://xn--bcher-kva.example", "https", "xn--bcher-kva.example", 443, ""),
        ("https://my_service:65535", "https", "my_service", 65535, ""),
        ("https://8.8.8.8", "https", "8.8.8.8", 443, ""),
    ],
)
def test_good_urls(url: str, scheme: str, host: str, port: int, prefix: str) -> None:
    assert parse_base_url(url) == BaseUrl(Origin(scheme, host, port), prefix)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "db.example.com",
        "//db.example.com",
        "ftp://h",
        "file:///etc/passwd",
        "ws://localhost",
        "https://",
        "https:///x",
        "https://:80",
        "https://h:",
        "https://h:0",
        "https://h:65536",
        "https://h:+1",
        "https://h:1:2",
        "https://h?x=1",
        "https://h?",
        "https://h#x",
        "https://h#",
        "http://h#@x",
        "http://127.0.0.1\\@evil.com/",
        "https://u:p@h",
        "https://u@h",
        "https://@h",
        "https://h/a b",
        " https://h",
        "https://h\n",
        "https://h\r\nX: y",
        "https://h\t",
        "https://h\x00",
        "https://h\x7f",
        "https://h.",
        "http://localhost./",
        "https://.h",
        "https://a..b",
        "https://-a.b",
        "https://a-.b",
        "https://" + "a" * 64,
        "https://" + ".".join(["a" * 60] * 5),
        "https://b\u00fccher.example",
        "https://\u0430pple.com",
        "http://\uff4cocalhost",
        "https://h\u3002x",
        "https://ex%61mple.com",
        "http://127.1",
        "http://0x7f.1",
        "http://0x7f000001",
        "http://2130706433",
        "http://0177.0.0.1",
        "http://127.0.0.01",
        "http://127.0.0.256",
        "https://1.2.3.4.5",
        "https://[::1",
        "https://[::1]x",
        "https://[fe80::1%eth0]",
        "https://[::g]",
        "https://[1:2:3:4:5:6:7]",
        "https://[1::2::3]",
        "https://[v1.x]",
        "https://::1",
        "https://h/../x",
        "https://h/a/./b",
        "https://h/%2e%2E/x",
        "https://h/a//b",
        "https://h/%zz",
        "https://h/%2",
        'https://h/"',
    ],
)
def test_bad_urls_raise_even_where_insecure_ones_may_pass(url: str) -> None:
    with pytest.raises(ValueError, match=r"^url ") as caught:
        parse_base_url(url, allow_insecure=True)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("url", [None, b"https://h", 5])
def test_what_is_no_text_is_a_type_error(url: object) -> None:
    with pytest.raises(TypeError, match=type(url).__name__):
        parse_base_url(url)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "url",
    [
        "https://user:s3cr3t-pw@h",
        "user:s3cr3t-pw@h",
        "ftp://user:s3cr3t-pw@h",
        "s3cr3t-pw://x@h/\\",
        "http://user:p/s3cr3t-pw@h",
        "https://h?token=s3cr3t-pw",
        "aero_sk_s3cr3t-pw",
        "http://h\\?apikey=s3cr3t-pw",
    ],
)
def test_errors_never_show_a_secret(url: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_base_url(url)
    assert "s3cr3t-pw" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://db.example.com",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "http://[::]",
        "http://[::2]",
        "http://[::ffff:10.0.0.1]",
        "http://[64:ff9b::127.0.0.1]",
        "http://localhost.example.com",
        "http://notlocalhost",
        "http://128.0.0.1",
    ],
)
def test_plain_http_stays_on_this_machine_unless_allowed(url: str) -> None:
    with pytest.raises(ValueError, match=r"^INSECURE_URL: .*allow_insecure=True"):
        parse_base_url(url)
    assert parse_base_url(url, allow_insecure=True).origin.scheme == "http"


@given(st.binary(min_size=16, max_size=16), st.booleans())
def test_ipv6_is_read_as_the_standard_library_reads_it(raw: bytes, exploded: bool) -> None:
    address = ipaddress.IPv6Address(raw)
    assert parse_ipv6(address.exploded if exploded else address.compressed) == raw


@given(st.text("0123456789abcdefg:.", max_size=24))
def test_no_text_is_an_ipv6_address_to_us_alone(text: str) -> None:
    try:
        expected = ipaddress.IPv6Address(text).packed
    except ValueError:
        expected = None
    assert parse_ipv6(text) == expected


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("::", True),
        ("1::", True),
        ("::8", True),
        ("1:2:3:4:5:6:7:8", True),
        ("1:2:3::5:6:7:8", True),
        ("1:2:3:4:5:6:1.2.3.4", True),
        ("1:2:3:4::5:6:7:8", False),
        ("1:2:3:4:5:6:7:8::", False),
        ("1:2:3:4:5:6:7:8:9", False),
        ("1:2:3:4:5:6:7", False),
        ("1:2:3:4:5:6:7:1.2.3.4", False),
        ("1.2.3.4::", False),
        (":1::", False),
        ("1::2:", False),
        (":::", False),
        ("12345::", False),
    ],
)
def test_ipv6_texts(text: str, valid: bool) -> None:
    assert (parse_ipv6(text) is not None) is valid
    try:
        assert parse_ipv6(text) == ipaddress.IPv6Address(text).packed
    except ValueError:
        assert not valid


@given(st.text("0123456789.", max_size=16))
def test_no_text_is_an_ipv4_address_to_us_alone(text: str) -> None:
    try:
        expected = ipaddress.IPv4Address(text).packed
    except ValueError:
        expected = None
    assert parse_ipv4(text) == expected


@given(st.ip_addresses())
def test_loopback_is_decided_on_the_address(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    inner = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    assert is_loopback(str(address)) is (inner or address).is_loopback


def test_targets_and_urls() -> None:
    base = parse_base_url("https://h:8443/p/")
    assert base.target("/rest/v1/t?x=1") == "/p/rest/v1/t?x=1"
    assert base.target("health") == "/p/health"
    assert base.url() == "https://h:8443/p"
    assert base.url("/health") == "https://h:8443/p/health"
    assert parse_base_url("http://[::1]").url("/health") == "http://[::1]/health"


@pytest.mark.parametrize(
    ("url", "realtime_url", "expected"),
    [
        ("https://h", None, "wss://h/realtime"),
        ("http://localhost:1/p/", None, "ws://localhost:1/p/realtime"),
        ("https://h", "wss://rt.h", "wss://rt.h/realtime"),
        ("https://h", "https://rt.h/x/", "wss://rt.h/x/realtime"),
        ("https://h", "https://rt.h/realtime", "wss://rt.h/realtime"),
        ("https://h", "https://rt.h/realtime/", "wss://rt.h/realtime"),
        ("https://h", "ws://127.0.0.1:9/realtime/ws", "ws://127.0.0.1:9/realtime/ws"),
        ("https://h", "wss://rt.h/realtime/v1/websocket", "wss://rt.h/realtime/v1/websocket"),
        ("https://h", "wss://rt.h/realtime/v1", "wss://rt.h/realtime/v1/realtime"),
        ("https://h", "wss://[::1]:9", "wss://[::1]:9/realtime"),
    ],
)
def test_the_realtime_url(url: str, realtime_url: str | None, expected: str) -> None:
    assert websocket_url(parse_base_url(url), realtime_url) == expected


def test_an_insecure_realtime_url_is_refused_too() -> None:
    base = parse_base_url("https://h")
    with pytest.raises(ValueError, match=r"^INSECURE_URL: realtime_url"):
        websocket_url(base, "ws://h")
    with pytest.raises(ValueError, match=r"^realtime_url "):
        websocket_url(base, "wss://h?token=x")
    assert websocket_url(base, "ws://h", allow_insecure=True) == "ws://h/realtime"


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_quoting_is_one_segment_and_can_be_undone(name: str) -> None:
    quoted = quote_segment(name)
    assert unquote(quoted) == name
    assert quoted.isascii()
    assert not set(quoted) & set("/?#\\ &=+:@;,'\"")


def test_quoting_does_not_raise_for_a_lone_surrogate() -> None:
    assert quote_segment("\ud800").startswith("%")


@pytest.mark.parametrize("name", ["t", "a/b", "a b", "%2e%2e", "...", "\u00e9", "a?b#c", "a" * 300])
def test_names_that_can_be_sent(name: str) -> None:
    assert segment_problem(name, "table") is None


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a\n", "\x00", "a\x7f", "a\x85b", "\ud800", None, 5, b"t"]
)
def test_names_that_cannot(name: object) -> None:
    problem = segment_problem(name, "table name")
    assert problem is not None
    assert problem.startswith("table name ")
    assert problem.isprintable()


def test_the_length_of_a_url_is_limited() -> None:
    base = parse_base_url("https://h")
    assert url_problem(base, "/" + "a" * 90, limit=100) is None
    assert "101 bytes, more than 100" in (url_problem(base, "/" + "a" * 91, limit=100) or "")


BASE = parse_base_url("https://h:8443/p")


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/p/new?x=1#f", "/p/new?x=1"),
        ("https://h:8443/p/new/", "/p/new/"),
        ("https://h:8443/p/new?y", "/p/new?y"),
        ("HTTPS://H:8443/p/new", "/p/new"),
        ("http://h:8443/p/new", None),
        ("https://h/p/new", None),
        ("https://evil/p/new", None),
        ("https://h:8443@evil/p", None),
        ("//evil/p", None),
        ("/other", None),
        ("/pp/x", None),
        ("/p/../x", None),
        ("/p/%2e%2E/x", None),
        ("new", None),
        ("file:///p", None),
        ("/p/a\\b", None),
        ("/p/a\r\nX: y", None),
        ("/p/\u00e9", None),
        ("/p/old", None),
        ("", None),
        (None, None),
    ],
)
def test_redirects_stay_on_the_origin(location: str | None, expected: str | None) -> None:
    for status in (301, 302, 303, 307, 308):
        assert redirect_target(BASE, "GET", status, "/p/old", location) == expected
    assert redirect_target(BASE, "POST", 307, "/p/old", location) is None
    assert redirect_target(BASE, "GET", 300, "/p/old", location) is None


def test_a_redirect_without_a_scheme_is_another_origin() -> None:
    base = parse_base_url("https://h")
    assert redirect_target(base, "GET", 302, "/old", "//evil/new") is None
    assert redirect_target(base, "GET", 302, "/old", "/new") == "/new"
    assert redirect_target(base, "HEAD", 302, "/old", "https://h/") == "/"


@given(st.text())
def test_no_location_raises(location: str) -> None:
    redirect_target(BASE, "GET", 302, "/p/old", location)


@given(st.text())
def test_only_value_errors_come_out(url: str) -> None:
    for text in (url, f"https://{url}", f"https://h/{url}"):
        try:
            parsed = parse_base_url(text)
        except ValueError:
            continue
        assert parse_base_url(parsed.url()) == parsed
