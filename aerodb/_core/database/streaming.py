"""A streamed response as rows of the caller's type, and its failures as errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aerodb._core import json
from aerodb._core.answer import placed
from aerodb._core.database.decode import Decoder
from aerodb._core.database.rows import DecodeFailure
from aerodb._core.database.stream import RowDecoder, pieces
from aerodb._core.errors import Exchange, error_from_transport
from aerodb._core.http import Prepared, TransportError
from aerodb.types import AeroDBAPIError, AeroDBError, AeroDBResponse

__all__ = ["StreamReader"]

_NOWHERE = Exchange("", "")


class StreamReader:
    """Bytes in, typed rows out. Raises `AeroDBAPIError` where the bytes or a row do not fit."""

    __slots__ = ("_convert", "_decoder", "_exchange", "_seen", "_status", "_target")

    def __init__(
        self,
        prepared: Prepared[Any],
        exchange: Exchange = _NOWHERE,
        status: int | None = None,
    ) -> None:
        self._decoder = RowDecoder()
        self._exchange = exchange
        self._status = status
        self._seen = 0
        self._convert = None
        self._target = ""
        if not isinstance(prepared, AeroDBResponse) and isinstance(prepared.decode, Decoder):
            self._convert = prepared.decode.convert
            self._target = prepared.decode.target

    def feed(self, chunk: bytes) -> Iterator[list[Any]]:
        """Take a chunk of the body; give the rows that it completes, some at a time."""
        for piece in pieces(chunk):
            try:
                rows = self._decoder.feed(piece)
            except json.BadJSON as error:
                raise self._failed(error) from None
            if rows:
                yield self._typed(rows)

    def finish(self) -> list[Any]:
        """The body is complete: the last rows."""
        try:
            return self._typed(self._decoder.finish())
        except json.BadJSON as error:
            raise self._failed(error) from None

    def _typed(self, rows: list[Any]) -> list[Any]:
        convert = self._convert
        before = self._seen
        self._seen += len(rows)
        if convert is None:
            return rows
        typed: list[Any] = []
        try:
            for row in rows:
                typed.append(convert(row))  # typed counts how far it got
        except Exception as error:  # noqa: BLE001  # the caller's own type; see rows.py
            failure = DecodeFailure.of(error, before + len(typed), self._target)
            raise AeroDBAPIError(placed(failure.error, self._exchange, self._status)) from None
        return typed

    def _failed(self, error: json.BadJSON) -> AeroDBAPIError:
        message = f"after {self._seen} rows the answer is not JSON: {error}"
        found = AeroDBError(message, code="INVALID_RESPONSE")
        return AeroDBAPIError(placed(found, self._exchange, self._status))

    def broken(self, failure: TransportError) -> AeroDBError:
        """The connection broke in mid-stream."""
        return error_from_transport(failure, self._exchange)
