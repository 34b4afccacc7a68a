# GENERATED from aerodb_async_src/storage/_resumable.py by scripts/generate.py [2c7549031cd9]: do not edit
"""Carries out a resumable upload: does what the machine of `_core/storage/tus.py` says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from aerodb._core.errors import client_error
from aerodb._core.http import SourceError
from aerodb._core.storage.calls import info_call
from aerodb._core.storage.models import FileObject
from aerodb._core.storage.paths import last_segment
from aerodb._core.storage.state import Saved, dump_state, load_state
from aerodb._core.storage.tus import Pause, Resumable, mixed_up, sum_call, upload_path
from aerodb._core.storage.upload import Upload
from aerodb._io.on_threads import apart, jitter, pause
from aerodb._io.on_threads.transfers import (
    Source,
    Span,
    drop_state,
    is_same_file,
    media_type,
    open_source,
    read_state,
    sha256_of,
    write_state,
)
from aerodb.types import AeroDBError, AeroDBResponse

from .._body import UploadBody, source_problem  # noqa: TID252  # of the same twin
from .._transport import Transport  # noqa: TID252  # of the same twin, whichever it is
from ._meter import Meter
from ._upload import send_file


class ResumableUpload:
    """One file on its way, in chunks."""

    __slots__ = ("_bucket", "_chunk", "_meter", "_path", "_sent", "_state_file", "_token",
                 "_transport", "_upload")  # fmt: skip

    def __init__(
        self,
        transport: Transport,
        bucket: str,
        path: str,
        upload: Upload,
        meter: Meter,
        *,
        chunk: int,
        state_file: Any,
        token: str | None,
    ) -> None:
        self._transport = transport
        self._bucket = bucket
        self._path = path
        self._upload = upload
        self._meter = meter
        self._chunk = chunk
        self._state_file = state_file
        self._token = token
        self._sent: UploadBody | None = None

    def run(self, file: Any, upload_url: str | None) -> AeroDBResponse[FileObject]:
        """Send it, from where it was left if that is known."""
        try:
            source = open_source(file)
        except SourceError as problem:
            return AeroDBResponse(error=source_problem(problem))
        try:
            if source.size == 0:  # tus has no chunk of nothing, and there is nothing to resume
                return send_file(
                    self._transport, self._bucket, self._path, b"", self._upload, self._meter,
                    token=self._token,
                )  # fmt: skip
            return self._run(source, upload_url)
        except SourceError as problem:
            return AeroDBResponse(error=source_problem(problem))
        finally:
            source.close()

    def _run(self, source: Source, upload_url: str | None) -> AeroDBResponse[FileObject]:
        if not source.replayable or source.size is None:
            message = "a resumable upload needs a source that can be read again: a file, or bytes"
            return AeroDBResponse(error=client_error("INVALID_ARGUMENT", message))
        if self._state_file is not None and apart(is_same_file, self._state_file, source):
            message = "state_file is the very file that is uploaded, and would take its place"
            return AeroDBResponse(error=client_error("INVALID_ARGUMENT", message))
        location = None if upload_url is None else upload_path(self._transport.base, upload_url)
        if upload_url is not None and location is None:
            message = "upload_url is no upload of this server: nothing was sent there"
            return AeroDBResponse(error=client_error("UNSAFE_LOCATION", message))
        given = location is not None
        if location is None:
            location = self._saved(source)
        self._meter.total = source.size
        machine = Resumable(
            self._transport.base,
            source.size,
            chunk=self._chunk,
            retries=self._transport.options.retries,
            location=location,
            token=self._token,
            target=(self._bucket, self._path),
        )
        machine.named = not given
        error = self._drive(machine, source)
        if error is not None:
            return AeroDBResponse(error=self._told_where(error, machine))
        self._forget()
        return self._described(source, machine)

    def _drive(self, machine: Resumable, source: Source) -> AeroDBError | None:
        """Step by step to the end; what ended it before that, if anything."""
        while machine.step != "done":
            created = machine.step == "create"
            response = self._step(machine, source)
            if response.error is None:
                heads = [(name.encode(), text.encode("latin-1"))
                         for name, text in response.meta.headers.items()]  # fmt: skip
                problem = machine.answered(heads, whole=self._sent is None or self._sent.complete)
                if problem is not None:
                    return problem
                if created:
                    self._save(machine, source)
                continue
            verdict = machine.failed(response.error, jitter())
            if not isinstance(verdict, Pause):
                return verdict
            pause(verdict.seconds)
        return None

    def _step(self, machine: Resumable, source: Source) -> AeroDBResponse[Any]:
        if machine.step == "create":
            guessed = media_type(self._path, source.name)
            call = machine.create_call(self._bucket, self._path, self._upload, guessed)
            return self._transport.execute(call)
        if machine.step == "ask":
            return self._transport.execute(machine.ask_call())
        offset, size = machine.offset, machine.part
        digest: bytes | None = None
        if self._upload.checksum:
            digest = apart(sha256_of, source, offset, size)
        self._sent = body = UploadBody(Span(source, offset, size), told=self._meter.at)
        return self._transport.execute(machine.send_call(body, digest))

    def _described(self, source: Source, machine: Resumable) -> AeroDBResponse[FileObject]:
        """The object as the server has it; who may write but not read gets what is known here."""
        known = FileObject(self._path, last_segment(self._path), self._bucket, size=source.size)
        if self._token is not None:
            return AeroDBResponse(known)
        response = self._transport.execute(info_call(self._bucket, self._path))
        if response.error is not None:
            if not machine.named and (response.error.code or "").endswith("_not_found"):
                return response  # so it was another object's upload
            return AeroDBResponse(known, meta=response.meta)
        checked = self._upload.checksum and machine.taken_over
        problem = self._compared(source) if checked else None
        if problem is None:
            return response
        return AeroDBResponse(None, replace(problem, maybe_applied=True), None, response.meta)

    def _compared(self, source: Source) -> AeroDBError | None:
        """Chunks were compared one by one, but for those that were there before."""
        said = (self._transport.execute(sum_call(self._bucket, self._path))).data
        if said is None:
            return None
        digest: bytes = apart(sha256_of, source, 0, source.size)
        return mixed_up(digest.hex(), said)

    def _told_where(self, error: AeroDBError, machine: Resumable) -> AeroDBError:
        """The error, with what it takes to go on later."""
        if machine.doubtful and error.code == "object_already_exists":
            error = replace(error, maybe_applied=True)  # by this very upload, perhaps
        if machine.location is None:
            return error
        known = {"upload_url": self._transport.base.url(machine.location),
                 "offset": machine.offset}  # fmt: skip
        if error.details is not None:
            known["server"] = error.details
        return replace(error, details=known)

    # --- the state file -------------------------------------------------------------------

    def _saved(self, source: Source) -> str | None:
        """Where an earlier process left this very upload of this very file, if it did."""
        if self._state_file is None:
            return None
        data = apart(read_state, self._state_file)
        saved = None if data is None else load_state(data)
        if saved is None or (saved.bucket, saved.path) != (self._bucket, self._path):
            return None
        if saved.fingerprint != apart(self._fingerprint, source):
            return None
        return upload_path(self._transport.base, saved.url)

    def _save(self, machine: Resumable, source: Source) -> None:
        if self._state_file is not None and machine.location is not None:
            url = self._transport.base.url(machine.location)
            fingerprint: str = apart(self._fingerprint, source)
            saved = Saved(url, self._bucket, self._path, fingerprint)
            apart(write_state, self._state_file, dump_state(saved))

    def _fingerprint(self, source: Source) -> str:
        """The file's (memory is read for it); an upload by a token needs one to be gone on with."""
        return source.fingerprint if self._token is None else f"{source.fingerprint}-signed"

    def _forget(self) -> None:
        if self._state_file is not None:
            apart(drop_state, self._state_file)
