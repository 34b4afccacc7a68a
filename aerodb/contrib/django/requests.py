"""`request.aerodb`: AeroDB as whoever sent the request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.http import HttpRequest

from aerodb import AeroDBClient, AsyncAeroDBClient, Session
from aerodb.contrib.django.clients import get_aclient, get_client

if TYPE_CHECKING:

    class RequestClient(AeroDBClient):
        """The blocking client of a request; `aio` is the async one."""

        @property
        def aio(self) -> AsyncAeroDBClient: ...

    class AeroDBHttpRequest(HttpRequest):
        """What a view behind `AeroDBMiddleware` is given, for annotations."""

        aerodb: RequestClient

else:

    class RequestClient:
        """The blocking client of a request; `aio` is the async one. Both act as the caller.

        Who that is, is found out when it is first used. Without a token they act by the key.
        """

        __slots__ = ("_aio", "_find", "_session", "_sync")

        def __init__(self, find: Any) -> None:
            self._find = find
            self._session: Session | None = None
            self._sync = self._aio = None

        @property
        def aio(self) -> AsyncAeroDBClient:
            """The same caller, to be awaited."""
            if self._aio is None:
                self._aio = self._as_caller(get_aclient())
            return self._aio

        def __getattr__(self, name: str) -> Any:
            if self._sync is None:
                self._sync = self._as_caller(get_client())
            return getattr(self._sync, name)

        def find(self) -> None:
            """Find out who the caller is, unless that is known."""
            if self._find is not None:
                self._session, self._find = self._find(), None

        @property
        def has_token(self) -> bool:
            """Whether requests have gone out as somebody, by a token."""
            return self._session is not None

        def _as_caller(self, client: Any) -> Any:
            self.find()
            return client if self._session is None else client.as_user(self._session.access_token)

        def __repr__(self) -> str:
            return "<RequestClient>"

    AeroDBHttpRequest = HttpRequest
