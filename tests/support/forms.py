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
    """The form of a request with one file."""
    fields, ((_, file_name, content),) = form_of(seen)
    return Uploaded(content, file_name, fields)


def form_of(seen: Seen) -> tuple[dict[str, bytes], list[tuple[str, str, bytes]]]:
    """The fields of a form, and its files: name, file name, content."""
    fields: dict[str, bytes] = {}
    files: list[tuple[str, str, bytes]] = []

    def on_field(field: Any) -> None:
        fields[field.field_name.decode()] = field.value

    def on_file(file: Any) -> None:
        file.file_object.seek(0)
        with file.file_object as stored:
            files.append((file.field_name.decode(), file.file_name.decode(), stored.read()))

    headers = {"Content-Type": (seen.header("content-type") or "").encode()}
    parse_form(headers, io.BytesIO(seen.body), on_field, on_file)
    return fields, files
