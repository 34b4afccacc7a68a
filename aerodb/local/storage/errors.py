"""The one exception of the storage part; codes and statuses of wire contract §5.3."""

from __future__ import annotations

from aerodb.local.replies import Header, platform_error_body

STATUS = {
    "invalid_path": 400,
    "invalid_bucket_name": 400,
    "invalid_cursor": 400,
    "checksum_mismatch": 400,
    "validation_failed": 400,
    "authentication_required": 401,
    "invalid_token": 401,
    "invalid_api_key": 401,
    "no_api_key": 401,
    "access_denied": 403,
    "insufficient_permissions": 403,
    "invalid_signature": 403,
    "url_expired": 403,
    "bucket_not_found": 404,
    "object_not_found": 404,
    "upload_not_found": 404,
    "not_found": 404,
    "method_not_allowed": 405,
    "bucket_already_exists": 409,
    "bucket_not_empty": 409,
    "object_already_exists": 409,
    "upload_offset_mismatch": 409,
    "precondition_failed": 412,
    "unsupported_tus_version": 412,
    "file_too_large": 413,
    "payload_too_large": 413,
    "invalid_mime_type": 415,
    "unsupported_media_type": 415,
    "range_not_satisfiable": 416,
    "upload_checksum_mismatch": 460,
    "internal_error": 500,
    "not_implemented": 501,
    "service_unavailable": 503,
    "storage_full": 507,
}


class StorageError(Exception):
    """An answer that is not a success.

    `bearer` says that a token was sent and found bad: the challenge of a 401 then says so too
    (wire contract §1.3).
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        bearer: bool = False,
        headers: tuple[Header, ...] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = STATUS[code]
        self.message = message
        self._bearer = bearer
        self._headers = headers

    def with_headers(self, *headers: Header) -> StorageError:
        """Return the same error with more headers."""
        self._headers = (*self._headers, *headers)
        return self

    def body(self) -> dict[str, object]:
        """The second shape of wire contract §1.5."""
        return platform_error_body(self.status, self.code, self.message)

    def headers(self) -> list[Header]:
        """Return what goes with the body."""
        found: list[Header] = [(b"x-aerodb-error", self.code.encode()), *self._headers]
        if self.status == 401:
            challenge = b'Bearer error="invalid_token"' if self._bearer else b"Bearer"
            found.append((b"www-authenticate", challenge))
        if self.status == 503:
            found.append((b"retry-after", b"1"))
        return found


def invalid(message: str) -> StorageError:
    """Return the error of a request that is not well-formed."""
    return StorageError("validation_failed", f"Validation error: {message}")


def no_object() -> StorageError:
    """Return the error of an object that is missing, or that the caller must not know of."""
    return StorageError("object_not_found", "Object not found")


def no_bucket() -> StorageError:
    """Return the error of a bucket that is missing, or that the caller must not know of."""
    return StorageError("bucket_not_found", "Bucket not found")
