"""The few media types that decide how the body of an rpc call is read."""

from __future__ import annotations

JSON = "application/json"
RAW_PARAMETER_TYPES = {
    "text/plain": "text",
    "text/xml": "xml",
    "application/octet-stream": "bytea",
}
"""Media types whose whole body is the value of one unnamed parameter, and that one's type."""


def main_type(content_type: str) -> str:
    """Return a media type in lower case without its parameters; JSON if there is none."""
    return content_type.partition(";")[0].strip().lower() or JSON
