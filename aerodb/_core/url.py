"""Reads the base URL strictly, and puts names into paths (wire-contract §1.1, §1.9 S1, S9).

Parsed here, not by a library: parsers differ about backslashes, `127.1` and dot segments, and
the host that was checked must be the host that is dialled. So what two of them could read
differently is refused, not repaired.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, NoReturn

from aerodb._core.http import Origin
from aerodb._core.redact import redact_url

_HEAD = r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^?#]*)(.*)"
_HOST_AND_PORT = r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{1,5}))?"
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_PREFIX = r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+)*"
_LONGEST_ROOT = len("https://[]:65535/") + 253  # see `_read_authority`
_SERVICE = r"/(?:rest|auth|storage|functions|realtime)/v1$"
_SOCKET_NAMES = frozenset({"realtime", "ws", "websocket"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_QUOTED = [chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in range(256)]

Scheme = Literal["http", "https"]
_HTTP_SCHEMES: dict[str, Scheme] = {"http": "http", "https": "https"}
_SOCKET_SCHEMES: dict[str, Scheme] = {**_HTTP_SCHEMES, "ws": "http", "wss": "https"}


class BaseUrl(NamedTuple):
    """A checked base URL: where to connect, and the path prefix ('' or '/like/this')."""

    origin: Origin
    prefix: str

    def target(self, path: str) -> str:
        """Return the request target of a `Call.path`."""
        return f"{self.prefix}{path}" if path.startswith("/") else f"{self.prefix}/{path}"

    def url(self, path: str = "") -> str:
        """Return the whole URL as text; the default port is left out."""
        root = f"{self.origin.scheme}://{self.origin.authority}"
        return root + (self.target(path) if path else self.prefix)


def parse_base_url(url: str, *, allow_insecure: bool = False, what: str = "url") -> BaseUrl:
    """Check a base URL. Raises TypeError or ValueError; the text holds no userinfo.

    Plain http to another machine: a ValueError whose text starts with `INSECURE_URL:`.
    """
    return _parse(url, _HTTP_SCHEMES, allow_insecure, what)


def server_url(url: str, *, allow_insecure: bool = False) -> BaseUrl:
    """As `parse_base_url`, for the address of a whole AeroDB: not that of one of its services."""
    base = parse_base_url(url, allow_insecure=allow_insecure)
    end = re.search(_SERVICE, base.prefix)
    if end is not None:
        root = base._replace(prefix=base.prefix[: end.start()]).url()
        _refuse(url, "url", f"must not end in {end[0]}, which the client adds itself: use {root!r}")
    return base


def websocket_url(
    base: BaseUrl, realtime_url: str | None = None, *, allow_insecure: bool = False
) -> str:
    """Return the ws:// or wss:// URL of realtime (wire-contract §1.1). Raises as above."""
    if realtime_url is not None:
        base = _parse(realtime_url, _SOCKET_SCHEMES, allow_insecure, "realtime_url")
    scheme = "wss" if base.origin.scheme == "https" else "ws"
    last = base.prefix.rpartition("/")[2]
    path = base.prefix if last in _SOCKET_NAMES else f"{base.prefix}/realtime"
    return f"{scheme}://{base.origin.authority}{path}"


def socket_address(url: str) -> tuple[Origin, str]:
    """Return where the URL of a WebSocket leads: origin and request target. Raises as above.

    Whether it may be plain `ws://` was decided when it was made.
    """
    base = _parse(url, _SOCKET_SCHEMES, True, "the WebSocket URL")
    return base.origin, base.prefix or "/"


def _parse(url: str, schemes: dict[str, Scheme], allow_insecure: bool, what: str) -> BaseUrl:
    if not isinstance(url, str):
        raise TypeError(f"{what} must be a str like 'https://db.example.com', not {_kind(url)}")
    if not url.isascii():
        _refuse(url, what, "has a character outside ASCII; write the host in its xn-- form")
    if "\\" in url or any(ch <= " " or ch == "\x7f" for ch in url):
        _refuse(url, what, "has a backslash, a space or a control character")
    match = re.fullmatch(_HEAD, url)
    scheme = schemes.get(match[1].lower()) if match else None
    if match is None or scheme is None:
        _refuse(url, what, f"must start with {' or '.join(f'{name}://' for name in schemes)}")
    if match[4]:
        _refuse(url, what, "must have no query and no fragment")
    host, port = _read_authority(url, match[2], scheme, what)
    if scheme == "http" and not allow_insecure and not is_loopback(host):
        raise ValueError(
            f"INSECURE_URL: {what} {redact_url(url)!r} would send credentials unencrypted to "
            "another machine: use https; in a network you trust, ClientOptions(allow_insecure=True)"
        )
    return BaseUrl(Origin(scheme, host, port), _read_prefix(url, match[3], what))


def _read_authority(url: str, authority: str, scheme: Scheme, what: str) -> tuple[str, int]:
    if "@" in authority:
        _refuse(url, what, "must have no user name and password; pass the key as `key`")
    match = re.fullmatch(_HOST_AND_PORT, authority)
    if match is None:
        _refuse(url, what, "has no valid host and port")
    port = int(match[3]) if match[3] else (443 if scheme == "https" else 80)
    if not 1 <= port <= 65535:
        _refuse(url, what, "has a port outside 1-65535")
    if match[1]:
        if parse_ipv6(match[1]) is None:
            _refuse(url, what, "has an invalid IPv6 address")
        return match[1].lower(), port
    host = match[2].lower()
    labels = host.split(".")
    if len(host) > 253 or not all(re.fullmatch(_LABEL, label) for label in labels):
        _refuse(url, what, "has an invalid host name")
    # A last label that is a number makes it an IPv4 address for some parsers (127.1, 0x7f.1).
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]) and parse_ipv4(host) is None:
        _refuse(url, what, "has an IPv4 address that is not written as four decimal numbers")
    return host, port


def _read_prefix(url: str, path: str, what: str) -> str:
    prefix = path.rstrip("/")
    segments = prefix.replace("%2e", ".").replace("%2E", ".").split("/")
    if not re.fullmatch(_PREFIX, prefix) or "." in segments or ".." in segments:
        _refuse(url, what, "has a path that is empty in a segment, relative or not percent-encoded")
    return prefix


def _refuse(url: str, what: str, problem: str) -> NoReturn:
    raise ValueError(f"{what} {_shown(url)} {problem}")


def _shown(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if "@" in url:  # what cannot be parsed may hold a password anywhere before an @
        known = scheme.lower() in {"http", "https", "ws", "wss"}
        tail = (rest if separator else scheme).rpartition("@")[2]
        return ascii(redact_url(f"{scheme + separator if known else ''}***@{tail}")[:200])
    return ascii(redact_url(url)[:200])


def _kind(value: object) -> str:
    return type(value).__name__


def is_loopback(host: str) -> bool:
    """Whether a checked host is this machine, by its text alone: no name is looked up (S1)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    if ":" not in host:
        return (parse_ipv4(host) or b"\0")[0] == 127
    address = parse_ipv6(host) or bytes(16)
    mapped = address[:12] == b"\0" * 10 + b"\xff\xff"
    return address == b"\0" * 15 + b"\x01" or (mapped and address[12] == 127)


def parse_ipv4(text: str) -> bytes | None:
    """Read four decimal numbers without leading zeros; None for anything else."""
    parts = text.split(".")
    if len(parts) != 4 or not all(re.fullmatch(r"0|[1-9][0-9]{0,2}", part) for part in parts):
        return None
    numbers = [int(part) for part in parts]
    return bytes(numbers) if max(numbers) <= 255 else None


def parse_ipv6(text: str) -> bytes | None:
    """Read an IPv6 address (RFC 4291 §2.2) into 16 bytes; None if it is none."""
    head, gap, tail = text.partition("::")
    if gap and "::" in tail:
        return None
    left, right = _ipv6_part(head, last=not gap), _ipv6_part(tail, last=True)
    if left is None or right is None:
        return None
    missing = 16 - len(left) - len(right)
    if (missing < 2) if gap else (missing != 0):
        return None
    return left + bytes(missing) + right


def _ipv6_part(text: str, *, last: bool) -> bytes | None:
    found = b""
    groups = text.split(":") if text else []
    for index, group in enumerate(groups):
        if "." in group and last and index == len(groups) - 1:
            address = parse_ipv4(group)
            if address is None:
                return None
            found += address
        elif re.fullmatch(r"[0-9A-Fa-f]{1,4}", group):
            found += int(group, 16).to_bytes(2, "big")
        else:
            return None
    return found


def quote_segment(name: str) -> str:
    """Percent-encode one path segment: everything but `A-Za-z0-9-._~` (wire-contract S9)."""
    raw = name.encode("utf-8", "surrogatepass")
    return "".join([_QUOTED[byte] for byte in raw])


def segment_problem(name: object, what: str) -> str | None:
    """Say what is wrong with a table, function or bucket name; None if it can be sent."""
    if not isinstance(name, str):
        return f"{what} must be a str, not {_kind(name)}"
    if not name:
        return f"{what} must not be empty"
    if name in {".", ".."}:
        return f"{what} must not be {name!r}: it would name another path"
    if not name.isprintable() and re.search(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", name):
        return f"{what} {name[:80]!a} has a control character or a lone surrogate"
    return None


def url_problem(base: BaseUrl, path: str, *, limit: int) -> str | None:
    """Say if the URL is longer than `limit` bytes (wire-contract §1.7), else None."""
    if len(path) + len(base.prefix) + _LONGEST_ROOT <= limit:
        return None  # nearly all of them, at a fifth of the cost
    size = len(base.url(path))
    if size <= limit:
        return None
    return (
        f"the URL has {size} bytes, more than {limit}: use fewer or shorter filters, "
        "or an rpc() function that takes the values in its body"
    )


def redirect_target(
    base: BaseUrl, method: str, status: int, target: str, location: str | None
) -> str | None:
    """Return the target to follow, or None if the redirect must not be (wire-contract S2).

    Only GET and HEAD, only on the same origin and under the same prefix; the caller counts up
    to three hops. `target` is the one that was asked for.
    """
    if status not in _REDIRECTS or method not in {"GET", "HEAD"} or not location:
        return None
    found = own_target(base, location)
    return None if found == target else found


def own_target(base: BaseUrl, location: str) -> str | None:
    """Read a `Location`: the request target if it is on the same origin and under the same
    prefix, else None (wire-contract S3)."""
    if any(ch <= " " or ch >= "\x7f" or ch == "\\" for ch in location):
        return None
    location = location.partition("#")[0]
    path, mark, query = location.partition("?")
    if "://" in path:
        try:
            found = parse_base_url(path, allow_insecure=True)
        except ValueError:
            return None
        if found.origin != base.origin:
            return None
        path = found.prefix + ("/" if path.endswith("/") else "")
    if not path.startswith("/") or path.startswith("//"):
        return None  # relative ones would need dot segments resolved; no server here sends them
    segments = path.lower().replace("%2e", ".").split("/")
    if "." in segments or ".." in segments or not f"{path}/".startswith(f"{base.prefix}/"):
        return None
    return f"{path}{mark}{query}"
