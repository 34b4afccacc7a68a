"""What may be in a body: e-mail addresses, passwords, metadata. Bad input is a 400, never a 500."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from aerodb.local.auth.errors import AuthError, invalid

MINIMUM_PASSWORD = 8
MAXIMUM_PASSWORD_BYTES = 1024
MAXIMUM_EMAIL = 254  # RFC 5321 §4.5.3.1.3, without the angle brackets
MAXIMUM_LOCAL_PART = 64
MAXIMUM_METADATA_BYTES = 8 * 1024
"""It travels in every access token, and a request's headers end at 32 KiB (§1.7)."""
PASSWORD_POLICY = {
    "min_length": MINIMUM_PASSWORD,
    "require_uppercase": False,
    "require_lowercase": False,
    "require_number": False,
    "require_special": False,
}
_LABEL = r"[^\W_](?:[\w-]*[^\W_])?"
_EMAIL = re.compile(rf"[^\s@\"(),:;<>\[\]\\]+@{_LABEL}(?:\.{_LABEL})*")
# Letters and marks that show nothing (Unicode, Default_Ignorable_Code_Point). What else shows
# nothing is a control, format or private sign, or a space, and so not printable.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def text_field(body: Mapping[str, Any], name: str) -> str:
    """Return the text `name` of a body; it must be there."""
    value = body.get(name)
    if not isinstance(value, str):
        raise invalid(f"{name} must be a string" if name in body else f"{name} is missing")
    return value


def token_field(body: Mapping[str, Any], name: str) -> bytes:
    """Return a secret of ours as bytes: what it is made of is nobody's business but its hash's."""
    return text_field(body, name).encode()


def email_address(text: str) -> str:
    """Return an address in its one spelling: trimmed, lower case (wire contract §2.2), composed.

    RFC 6532 §3.1 asks for the last: one address must not have two accounts that look the same.
    """
    email = unicodedata.normalize("NFC", text.strip().lower())
    local = email.partition("@")[0]
    too_long = len(email.encode()) > MAXIMUM_EMAIL or len(local.encode()) > MAXIMUM_LOCAL_PART
    dots = local.startswith(".") or local.endswith(".") or ".." in local
    unseen = not email.isprintable() or _INVISIBLE.search(email) is not None
    if too_long or dots or unseen or _EMAIL.fullmatch(email) is None:
        raise invalid("email is not an e-mail address")
    return email


def email_field(body: Mapping[str, Any], name: str = "email") -> str:
    """Return the e-mail address `name` of a body, in its one spelling."""
    return email_address(text_field(body, name))


def new_password(text: str) -> bytes:
    """Return a password that may be set, as what is hashed (wire contract §1.9 S12)."""
    encoded = text.encode()
    if len(text) < MINIMUM_PASSWORD:
        problem = f"at least {MINIMUM_PASSWORD} characters"
    elif len(encoded) > MAXIMUM_PASSWORD_BYTES:
        problem = f"at most {MAXIMUM_PASSWORD_BYTES} bytes"
    else:
        return encoded
    raise AuthError("weak_password", f"Password does not meet requirements: {problem}")


def new_password_field(body: Mapping[str, Any], name: str) -> bytes:
    """Return the password `name` of a body, if it may be set."""
    return new_password(text_field(body, name))


def metadata_field(body: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """Return the JSON object `name` of a body, None if it is not there."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, dict):
        raise invalid(f"{name} must be a JSON object")
    if len(json.dumps(value, ensure_ascii=False).encode()) > MAXIMUM_METADATA_BYTES:
        raise invalid(f"{name} is larger than {MAXIMUM_METADATA_BYTES} bytes")
    return value


def identifier(text: str) -> UUID:
    """Return the UUID of a path."""
    try:
        return UUID(text)
    except ValueError:
        raise invalid("the id is not a UUID") from None
