"""Checking JSON Web Tokens the way PostgREST does (PostgREST documentation, "JWT").

The secret is a text (HS256), a JWK or a JWKS. The algorithms that a key may be used with follow
from the key, never from the token (reliability J1); headers such as `jku` or `jwk` are not looked
at (J2). Signatures are PyJWT's business; RSA, EC and Ed keys need `cryptography` to be installed.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jwt

from aerodb.local.errors import LocalError
from aerodb.local.json_bodies import is_too_deep
from aerodb.local.rest.errors import RestError

SKEW_SECONDS = 30
MINIMUM_SECRET_BYTES = 32
REMEMBERED_TOKENS = 1000
_FAMILIES = {
    "oct": ("HS256", "HS384", "HS512"),
    "RSA": ("RS256", "RS384", "RS512"),
    "EC": ("ES256", "ES384", "ES512"),
    "OKP": ("EdDSA",),
}
_KNOWN = frozenset(name for family in _FAMILIES.values() for name in family)
_NO_KEY = "No suitable key was found to decode the JWT"
_WRONG_KEYS = "None of the keys was able to decode the JWT"
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*")
_UNSECURED = "JWT is unsecured but expected 'alg' was not 'none'"


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key, what it may verify, and its id (None: tokens that name an id do not match)."""

    material: Any = field(repr=False)
    algorithms: tuple[str, ...]
    key_id: str | None = None


def load_keys(secret: str, *, is_base64: bool = False) -> tuple[VerificationKey, ...]:
    """Return the keys that the setting `jwt-secret` stands for."""
    raw = _decode_secret(secret) if is_base64 else secret.encode("utf-8", "surrogateescape")
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict) and isinstance(document.get("keys"), list):
        return tuple(key for entry in document["keys"] for key in _jwk(entry))
    if isinstance(document, dict) and "kty" in document:
        return _jwk(document)
    if len(raw) < MINIMUM_SECRET_BYTES:
        raise LocalError("The JWT secret must be at least 32 characters long.")
    return (VerificationKey(raw, ("HS256",)),)


def _decode_secret(secret: str) -> bytes:
    text = secret.strip().replace("-", "+").replace("_", "/").replace(".", "=")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise LocalError("The JWT secret is not valid base64.") from None


def _jwk(entry: Any) -> tuple[VerificationKey, ...]:
    """Return the key of one JWK; nothing for a kind that cannot verify anything here."""
    if not isinstance(entry, dict) or entry.get("use") == "enc":
        return ()
    algorithms = _FAMILIES.get(str(entry.get("kty")), ())
    if entry.get("alg") is not None:
        algorithms = tuple(name for name in algorithms if name == entry["alg"])
    if not algorithms:
        return ()
    try:
        material = jwt.PyJWK(entry, algorithm=algorithms[0]).key
    except jwt.exceptions.MissingCryptographyError:
        raise LocalError(
            "A JWK of this kind needs the package `cryptography`: pip install cryptography"
        ) from None
    except (jwt.PyJWTError, ValueError, KeyError) as problem:
        raise LocalError(f"The JWK in the JWT secret cannot be used: {problem}") from None
    key_id = entry.get("kid")
    return (VerificationKey(material, algorithms, key_id if isinstance(key_id, str) else None),)


# --- verification -----------------------------------------------------------------------------


def _invalid(code: str, message: str, details: str | None = None) -> RestError:
    challenge = f'Bearer error="invalid_token", error_description="{message}"'
    return RestError(401, code, message, details, None, (("WWW-Authenticate", challenge),))


def decode(token: str, keys: Sequence[VerificationKey]) -> dict[str, Any]:
    """Return the claims of `token` if one of `keys` made its signature, else raise RestError."""
    if token == "":
        raise _invalid("PGRST301", "Empty JWT is sent in Authorization header")
    parts = token.split(".")
    if len(parts) != 3:
        raise _invalid("PGRST301", f"Expected 3 parts in JWT; got {len(parts)}")
    if not _BASE64URL.fullmatch(token):
        raise _invalid("PGRST301", "JWT cryptographic operation failed")
    payload = _verified_payload(token, _header(parts[0]), keys)
    claims = _object(payload)
    if claims is None:
        raise _invalid("PGRST303", "Parsing claims failed")
    return claims


def _object(raw: bytes) -> dict[str, Any] | None:
    """The JSON object that `raw` is in UTF-8, None for all else, and for what is nested too deep.

    A name that stands twice is refused: who reads the first and who reads the last of them would
    see different tokens (reliability J5, RFC 7519 §4).
    """
    try:
        value = json.loads(
            raw.decode("utf-8"),
            parse_constant=_refuse_constant,
            parse_float=_finite,
            object_pairs_hook=_unambiguous,
        )
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and not is_too_deep(value) else None


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text} does not fit")
    return value


def _header(part: str) -> dict[str, Any]:
    try:
        raw = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raw = b""
    header = _object(raw)
    if header is None:
        raise _invalid("PGRST301", "JWT cryptographic operation failed")
    algorithm = header.get("alg")
    if algorithm == "none":
        message = "Wrong or unsupported encoding algorithm"
        raise _invalid("PGRST301", message, _UNSECURED)
    if not isinstance(algorithm, str) or algorithm not in _KNOWN:
        raise _invalid("PGRST301", "JWT cryptographic operation failed")
    return header


def _verified_payload(token: str, header: dict[str, Any], keys: Sequence[VerificationKey]) -> bytes:
    algorithm, key_id = header["alg"], header.get("kid")
    suitable = [
        key
        for key in keys
        if algorithm in key.algorithms and (key_id is None or key_id == key.key_id)
    ]
    if not suitable:
        raise _invalid("PGRST301", "No suitable key or wrong key type", _NO_KEY)
    for key in suitable:
        try:
            complete = jwt.api_jws.decode_complete(token, key.material, algorithms=[algorithm])
        except jwt.PyJWTError:
            continue
        return bytes(complete["payload"])
    raise _invalid("PGRST301", "No suitable key or wrong key type", _WRONG_KEYS)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


class TokenReader:
    """Decodes tokens with a set of keys, and remembers those whose signature was right.

    Only the signature is remembered; whether a token holds now is asked each time.
    """

    def __init__(self, keys: Sequence[VerificationKey]) -> None:
        self._keys = tuple(keys)
        self._known: dict[str, dict[str, Any]] = {}

    def claims(self, token: str) -> dict[str, Any]:
        """Return the claims of `token`, or raise RestError."""
        known = self._known.get(token)
        if known is None:
            known = decode(token, self._keys)
            if len(self._known) >= REMEMBERED_TOKENS:
                self._known.pop(next(iter(self._known)))
            self._known[token] = known
        return dict(known)


# --- claims -----------------------------------------------------------------------------------


def check_claims(
    claims: dict[str, Any], audience: str | None, now: Callable[[], float] = time.time
) -> None:
    """Raise RestError unless exp, nbf, iat and aud allow the token now; null counts as absent."""
    seconds = int(now())
    expires = _time_claim(claims, "exp")
    if expires is not None and seconds - SKEW_SECONDS > expires:
        raise _invalid("PGRST303", "JWT expired")
    begins = _time_claim(claims, "nbf")
    if begins is not None and seconds + SKEW_SECONDS < begins:
        raise _invalid("PGRST303", "JWT not yet valid")
    issued = _time_claim(claims, "iat")
    if issued is not None and seconds + SKEW_SECONDS < issued:
        raise _invalid("PGRST303", "JWT issued at future")
    _check_audience(claims.get("aud"), audience)


def _time_claim(claims: dict[str, Any], name: str) -> int | None:
    """A number that is no whole one, or does not fit 64 bits, counts as 0 (PostgREST's rule)."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _invalid("PGRST303", f"The JWT '{name}' claim must be a number")
    if isinstance(value, float) and not value.is_integer():
        return 0
    return int(value) if -(2**63) <= value < 2**63 else 0


def _check_audience(value: Any, audience: str | None) -> None:
    if value is None:
        return
    listed = value if isinstance(value, list) else [value]
    if not all(isinstance(entry, str) for entry in listed):
        message = "The JWT 'aud' claim must be a string or an array of strings"
        raise _invalid("PGRST303", message)
    if audience is not None and listed and audience not in listed:
        raise _invalid("PGRST303", "JWT not in audience")


def check_issuer(claims: dict[str, Any], issuer: str) -> None:
    """Raise RestError if the token names another issuer (wire contract §1.4)."""
    if claims.get("iss") not in (None, issuer):
        raise _invalid("PGRST303", "JWT issuer is not accepted")
