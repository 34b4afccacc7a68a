"""Reads the forms that uploads are, with a parser that is not ours."""

from __future__ import annotations

import io
from typing import Any, NamedTuple

from python_multipart.multipart import parse_form

from tests.support.scripted import Seen


class Uploaded(NamedTuple):
    """The file of a form, and its small fields."""

    content: bytes
    file_name: str
    fields: dict[str, bytes]


def uploaded(seen: Seen) -> Uploaded:
    """The form of a request."""
    fields: dict[str, bytes] = {}
    files: list[Any] = []

    def on_field(field: Any) -> None:
        fields[field.field_name.decode()] = field.value

    headers = {"Content-Type": (seen.header("content-type") or "").encode()}
    parse_form(headers, io.BytesIO(seen.body), on_field, files.append)
    (file,) = files
    file.file_object.seek(0)
    with file.file_object as stored:
        return Uploaded(stored.read(), file.file_name.decode(), fields)
