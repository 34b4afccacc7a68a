"""Which proxy a request goes through, by the usual environment variables.

The names are curl's and urllib's: `<scheme>_proxy`, `all_proxy` and `no_proxy`, in lower case or
upper case. Only `HTTP_PROXY` in upper case does not count inside a CGI script, where a visitor's
`Proxy:` header sets it (CVE-2016-1000110).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from aerodb._core.http import Origin
from aerodb._core.http_settings import HttpSettings

__all__ = ["bypassed", "proxy_for"]


def proxy_for(origin: Origin, settings: HttpSettings) -> str | None:
    """The proxy's URL for requests to `origin`; None to connect directly."""
    if settings.proxy is not None:
        return settings.proxy
    if not settings.trust_env:
        return None
    found = _from_environment(os.environ)
    proxy = found.get(origin.scheme) or found.get("all")
    if not proxy or bypassed(origin, found.get("no", "")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    if sys.platform in ("darwin", "win32"):
        from urllib.request import getproxies  # knows the system's settings too

        return getproxies()
    found: dict[str, str] = {}
    for name in ("http", "https", "all", "no"):
        upper = f"{name}_PROXY".upper()
        value = environ.get(f"{name}_proxy")
        if value is None and not (name == "http" and "REQUEST_METHOD" in environ):
            value = environ.get(upper)
        if value:
            found[name] = value.strip()
    return found


def bypassed(origin: Origin, no_proxy: str) -> bool:
    """Whether `no_proxy` names the origin: `*`, a host, a domain, an address or a network."""
    host = origin.host.lower().rstrip(".")
    for entry in no_proxy.lower().replace(",", " ").split():
        name, port = _split_port(entry)
        if port is not None and port != origin.port:
            continue
        name = name.removeprefix("*").lstrip(".")
        if entry == "*" or (name and (host == name or host.endswith("." + name))):
            return True
        if "/" in entry and _in_network(host, entry):
            return True
    return False


def _split_port(entry: str) -> tuple[str, int | None]:
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        return name, int(rest[1:]) if rest[1:].isdigit() else None
    name, colon, port = entry.rpartition(":")
    if colon and port.isdigit() and ":" not in name:
        return name, int(port)
    return entry, None


def _in_network(host: str, entry: str) -> bool:
    import ipaddress

    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False
