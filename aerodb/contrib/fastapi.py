"""AeroDB in FastAPI: one client for the program, the caller's own view for each request.

    app = FastAPI(lifespan=aerodb_lifespan())
    install_error_handlers(app)

    @app.get("/todos")
    async def todos(db: UserDB) -> list[Todo]:
        return (await db.from_("todos", Todo)).unwrap()

`DB` acts by the program's key, `UserDB` as whoever sent the bearer token, so that row-level
security sees the caller. Both share one pool of connections. Needs `pip install aerodb[fastapi]`.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any

from aerodb import AeroDBAPIError, AsyncAeroDBClient, ClientOptions, User
from aerodb.contrib._callers import CallerCache, caller_cache, is_key
from aerodb.contrib._extras import needs
from aerodb.contrib._logging import integration_logger
from aerodb.contrib._statuses import answer_of, challenge, status_of

try:
    from fastapi import Depends, FastAPI, HTTPException, Security
    from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
    from fastapi.security.utils import get_authorization_scheme_param
    from starlette.requests import HTTPConnection, Request
    from starlette.responses import JSONResponse, StreamingResponse

    from aerodb.contrib._streaming import ChannelAnswer, ObjectAnswer
except ModuleNotFoundError as problem:
    raise needs("fastapi", problem) from None

__all__ = [
    "DB",
    "CurrentUser",
    "OptionalUserDB",
    "UserDB",
    "aerodb_bearer",
    "aerodb_lifespan",
    "channel_events",
    "get_current_user",
    "get_db",
    "get_optional_user_db",
    "get_user_db",
    "install_error_handlers",
    "stream_object",
]

_logger = integration_logger("fastapi")

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[dict[str, Any]]]

aerodb_bearer = HTTPBearer(
    scheme_name="AeroDB",
    bearerFormat="JWT",
    description="The access token of an AeroDB session.",
    auto_error=False,
)
"""The scheme behind the "Authorize" button of `/docs`."""

Credentials = Annotated[HTTPAuthorizationCredentials | None, Security(aerodb_bearer)]


def aerodb_lifespan(url: str | None = None, key: str | None = None, **options: Any) -> Lifespan:
    """A lifespan that makes the program's client and closes it at the end.

    Without `url` the client comes from the environment (`AERODB_URL`, `AERODB_KEY`), when the
    program starts. `options` are further arguments of `AsyncAeroDBClient`. In a lifespan of your
    own, yield the client as `{"aerodb": client}`: that is where `DB` looks.

    All callers share the client, so nobody becomes its user: `sign_in` gives the tokens alone.

    Raises:
        ValueError: at the start of the program, if neither an argument nor the environment says
            where AeroDB is.
    """
    shared: Any = options.pop("options", None) or ClientOptions()
    if isinstance(shared, ClientOptions):  # the client refuses anything else
        shared = shared.replace(adopt_sessions=False)
    given: dict[str, Any] = {"url": url, "key": key, "options": shared, **options}
    arguments = {name: value for name, value in given.items() if value is not None}

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[dict[str, Any]]:
        async with AsyncAeroDBClient.from_env(**arguments) as client:
            yield {"aerodb": client}

    return lifespan


def get_db(connection: HTTPConnection) -> AsyncAeroDBClient:
    """The program's client. Tests put another in place with `app.dependency_overrides[get_db]`."""
    client = getattr(connection.state, "aerodb", None)
    if not isinstance(client, AsyncAeroDBClient):
        raise RuntimeError(
            "there is no AeroDB client: make the app with FastAPI(lifespan=aerodb_lifespan()), "
            'or yield {"aerodb": client} from your own lifespan'
        )
    return client


DB = Annotated[AsyncAeroDBClient, Depends(get_db)]


def get_user_db(db: DB, credentials: Credentials) -> AsyncAeroDBClient:
    """A client that acts as the caller; 401 if the request has no bearer token, or an API key.

    The token is not looked at here: AeroDB does, with the first query.
    """
    if credentials is None:
        raise _unauthorized("This needs the access token of a signed-in user.")
    return _as_caller(db, credentials)


def get_optional_user_db(db: DB, credentials: Credentials) -> AsyncAeroDBClient:
    """A client that acts as the caller if there is a token, and by the program's key if not."""
    return db if credentials is None else _as_caller(db, credentials)


UserDB = Annotated[AsyncAeroDBClient, Depends(get_user_db)]
OptionalUserDB = Annotated[AsyncAeroDBClient, Depends(get_optional_user_db)]


async def get_current_user(db: DB, user_db: UserDB, credentials: Credentials) -> User:
    """Who the caller is, as AeroDB says; 401 if the token is no good.

    The answer is remembered for up to a minute, never beyond the token's own end: a session that
    was revoked may go on for so long here. Queries by `UserDB` are checked each time anyhow.
    """
    assert credentials is not None  # UserDB has refused otherwise
    cache: CallerCache = caller_cache(db)
    known = cache.get(credentials.credentials)
    if known is not None:
        return known
    response = await user_db.auth.get_user()
    if response.data is None:
        if response.error is not None and status_of(response.error) in (401, 403, 404):
            raise _unauthorized("The access token is not, or no longer, valid.", invalid=True)
        response.unwrap()
        raise _unauthorized("The access token belongs to nobody.", invalid=True)
    cache.put(credentials.credentials, response.data)
    return response.data


CurrentUser = Annotated[User, Depends(get_current_user)]


def install_error_handlers(app: FastAPI) -> None:
    """Answer what `unwrap()` raises in a handler: what the caller can do something about as 400 to
    429, one row that is not there as 404, an AeroDB that cannot be reached as 503, or 504, and what
    the program does wrong as 500.

    The body is `{"detail": ..., "code": ...}`, and names nothing of the database. The error itself
    is logged by `aerodb.contrib.fastapi`: at level ERROR if the caller did not cause it, at INFO
    else.
    """
    app.add_exception_handler(AeroDBAPIError, _answer)
    app.add_exception_handler(_Unauthorized, _refuse)


async def _answer(request: Request, problem: Exception) -> JSONResponse:
    assert isinstance(problem, AeroDBAPIError)
    has_token = _bearer_of(request) is not None
    status, body, headers = answer_of(problem.error, has_token=has_token)
    _log(request, problem, status)
    return JSONResponse(body, status, headers)


async def _refuse(request: Request, problem: Exception) -> JSONResponse:
    assert isinstance(problem, _Unauthorized)
    body = {"detail": problem.detail, "code": problem.code}
    return JSONResponse(body, problem.status_code, problem.headers)


def _log(request: HTTPConnection, problem: AeroDBAPIError, status: int) -> None:
    """The route and not the path, which may have values in it."""
    _logger.log(
        logging.ERROR if status >= 500 else logging.INFO,
        "%s %s: %d, for %s",
        request.scope.get("method", "WebSocket"),
        getattr(request.scope.get("route"), "path", request.scope["path"]),
        status,
        problem.error,
        exc_info=problem if status == 500 else None,  # where in the program it comes from
        extra={"aerodb_error": problem.code, "aerodb_status": problem.status},
    )


def _bearer_of(request: HTTPConnection) -> str | None:
    scheme, token = get_authorization_scheme_param(request.headers.get("Authorization"))
    return token if scheme.lower() == "bearer" and token else None


def channel_events(
    channel: Any, *, heartbeat: float = 15.0, prepare: Callable[[Any], Any] | None = None
) -> StreamingResponse:
    """The events of a realtime channel as server-sent events, until the caller leaves.

        @app.get("/events")
        async def events(db: UserDB) -> StreamingResponse:
            return channel_events(db.channel("todos"))

    `event` is the event's type (`INSERT`, `BROADCAST`, `GAP`, ...), `id` its position in the
    server's log if it has one, `data` its members as JSON. A first comment says that the
    subscription stands. Answers of one channel share its subscription, and the last to leave ends
    it. If AeroDB refuses the channel, `AeroDBAPIError` is raised before the answer begins, and sent
    as an event `error` later on.

    Args:
        channel: Of an `AsyncAeroDBClient`; row-level security sees whom that client acts as.
        heartbeat: After so many seconds without an event a comment is sent.
        prepare: Makes of an event what is sent as JSON; its members by default.

    Raises:
        ValueError: `heartbeat` is not above 0.
    """
    return ChannelAnswer(channel, heartbeat=heartbeat, prepare=prepare)


def stream_object(
    bucket: Any, path: str, *, headers: dict[str, str] | None = None
) -> StreamingResponse:
    """An object's bytes, passed on as they come: no more than a piece of it is held.

        @app.get("/files/{path:path}")
        async def file(db: UserDB, path: str) -> StreamingResponse:
            return stream_object(db.storage.from_("files"), path)

    It has the object's content type, length and ETag. One range that the caller asks for (`Range:
    bytes=0-99`) is asked of AeroDB: 206. The download ends when the caller leaves. If AeroDB
    refuses it, `AeroDBAPIError` is raised before the answer begins; what breaks later breaks off
    the answer.

    Args:
        bucket: `client.storage.from_(name)` of an `AsyncAeroDBClient`.
        path: The object's name.
        headers: Further ones, such as `Cache-Control`; they win.
    """
    return ObjectAnswer(bucket, path, headers)


def _as_caller(
    db: AsyncAeroDBClient, credentials: HTTPAuthorizationCredentials
) -> AsyncAeroDBClient:
    if is_key(credentials.credentials):
        raise _unauthorized("This needs an access token; an API key is nobody.", invalid=True)
    try:
        return db.as_user(credentials.credentials)
    except ValueError:
        raise _unauthorized("The access token cannot be one.", invalid=True) from None


class _Unauthorized(HTTPException):
    """A 401 of ours, with the `code` that `install_error_handlers` puts into its body."""

    code = "NOT_AUTHENTICATED"


def _unauthorized(detail: str, *, invalid: bool = False) -> HTTPException:
    made = _Unauthorized(401, detail, {"WWW-Authenticate": challenge(invalid=invalid)})
    if invalid:
        made.code = "invalid_token"
    return made
