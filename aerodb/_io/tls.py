"""SSL contexts: made at the first https request, shared by all clients of the process.

Loading the certificate bundle takes some 20 ms, most of what constructing a client would cost
(performance §1.7).
"""

from __future__ import annotations

import os
import ssl
import sys
from typing import cast

from aerodb._core.http import TransportError
from aerodb._core.http_settings import HttpSettings
from aerodb._io import forks

_made: dict[tuple[object, ...], ssl.SSLContext] = {}


def context_for(settings: HttpSettings) -> ssl.SSLContext:
    """The context for these settings. A caller's own context is used as it is."""
    verify, trust_env = settings.verify, settings.trust_env
    if isinstance(verify, ssl.SSLContext):
        return verify
    file = os.environ.get("SSL_CERT_FILE") if trust_env else None
    folder = os.environ.get("SSL_CERT_DIR") if trust_env else None
    # httpcore sets the protocols to offer on the context itself, so HTTP/2 has one of its own
    key = (True if verify is None else verify, file, folder, trust_env, settings.http2)
    context = _made.get(key)
    if context is None:
        try:
            context = _made.setdefault(
                key, _make(cast("bool | str | None", verify), file, folder, trust_env)
            )
        except OSError as error:  # includes ssl.SSLError
            reason = error.strerror or "not readable"
            message = f"the CA certificates cannot be loaded: {reason}"
            raise TransportError("connect", message, sent=False) from None
    return context


def _make(
    verify: bool | str | None, file: str | None, folder: str | None, trust_env: bool
) -> ssl.SSLContext:
    if isinstance(verify, str):
        is_folder = os.path.isdir(verify)
        context = ssl.create_default_context(
            cafile=None if is_folder else verify, capath=verify if is_folder else None
        )
    elif verify is False:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif file or folder:
        context = ssl.create_default_context(cafile=file, capath=folder)
    else:
        context = _system_context(trust_env)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _system_context(trust_env: bool) -> ssl.SSLContext:
    """What the system trusts, and certifi's bundle, which httpx brings along."""
    with forks.loading():
        import certifi

    # OpenSSL reads SSL_CERT_FILE by itself when it loads the system's paths; where the
    # environment must not count, the bundle alone is used.
    if not trust_env and sys.platform != "win32":
        return ssl.create_default_context(cafile=certifi.where())
    context = ssl.create_default_context()
    context.load_verify_locations(cafile=certifi.where())
    return context


def handshake_failed(host: str, error: ssl.SSLError) -> TransportError:
    """The error for a TLS handshake that failed; no request byte was sent."""
    if isinstance(error, ssl.SSLCertVerificationError):
        message = f"the TLS certificate of {host} is not trusted: {error.verify_message}"
    else:
        message = f"TLS handshake with {host} failed: {error.reason or 'connection closed'}"
    return TransportError("connect", message, sent=False)
