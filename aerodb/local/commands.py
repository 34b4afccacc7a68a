"""The command line: `python -m aerodb.local` and `aerodb dev`."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import click

from aerodb.local.errors import LocalError
from aerodb.local.extra import needed
from aerodb.local.hosts import is_loopback
from aerodb.local.options import (
    OPTIONS,
    Option,
    from_environment,
    parse_app_settings,
    parse_secret,
    parse_texts,
)
from aerodb.local.settings import SERVICES

if TYPE_CHECKING:
    from aerodb.local.server import LocalServer

PREFERRED_PORT = 54321
INTERRUPTED = 128 + signal.SIGINT
_WATCH_SECONDS = 0.5
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _setting(option: Option) -> Decorator:
    """Return the flag of one PostgREST setting; a true/false one needs no value."""
    extra: dict[str, Any] = {}
    if option.parse.__name__ == "parse_bool":
        extra = {"is_flag": False, "flag_value": "true", "metavar": "[true|false]"}
    return click.option(
        option.flag,
        option.field,
        default=None,
        help=f"{option.help}  [env: {', '.join(option.variables)}]",
        **extra,
    )


def _settings(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(OPTIONS):
        function = _setting(option)(function)
    return function


_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command(context_settings={"show_default": True, "max_content_width": 100})
@click.option("--data", type=_FOLDER, default=".aerodb", envvar="AERODB_DATA", help="Data folder.")
@click.option("--temporary", is_flag=True, help="Keep nothing: a data folder for this run only.")
@click.option(
    "--database-url",
    default=None,
    help="Serve this PostgreSQL (>= 14) instead of an embedded one; @FILE reads it from a file.  "
    "[env: AERODB_DATABASE_URL, PGRST_DB_URI]",
)
@click.option(
    "--services",
    default=None,
    help="Serve only these, comma-separated: rest, auth, realtime, storage, functions.",
)
@click.option("--schema", multiple=True, metavar="FILE.sql", help="Apply once; repeatable.")
@click.option("--migrations", type=_FOLDER, default=None, help="Apply this folder's *.sql, once.")
@click.option("--install", is_flag=True, help="Apply them to a foreign database too.")
@click.option(
    "--host", "--server-host", default=None, help="Address to listen on.  [env: PGRST_SERVER_HOST]"
)
@click.option(
    "--port",
    "--server-port",
    type=click.IntRange(0, 65535),
    default=None,
    help=f"Port; 0: any free one. Default: {PREFERRED_PORT} if free.  [env: PGRST_SERVER_PORT]",
)
@click.option("--allow-remote", is_flag=True, help="Allow a host that other machines can reach.")
@click.option("--allow-host", "allow_hosts", multiple=True, help="Answer to this name too.")
@click.option("--rest-path", default="/rest/v1", help="Where the REST part is; / for the root.")
@click.option("--require-apikey", is_flag=True, help="Refuse requests without key and token.")
@click.option(
    "--auth-confirm-email", is_flag=True, help="No sign-in before the address is confirmed."
)
@click.option("--auth-rate-limits", is_flag=True, help="Limit sign-ins, sign-ups and mails.")
@click.option(
    "--auth-access-token-ttl",
    type=click.IntRange(min=1),
    default=900,
    help="Seconds that an access token lives.",
)
@click.option(
    "--auth-refresh-token-ttl",
    type=click.IntRange(min=1),
    default=30 * 24 * 3600,
    help="Seconds that a session lives without a refresh.",
)
@click.option("--log", is_flag=True, help="Print a line for each request, not only from 500 on.")
@click.option("--functions", type=_FOLDER, default=None, help="Serve this folder's *.py.")
@click.option(
    "--functions-timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    help="Seconds until the answer of a function has to begin.",
)
@click.option(
    "--functions-workers",
    type=click.IntRange(min=1),
    default=16,
    help="Most processes that run functions.",
)
@click.option(
    "--functions-env",
    multiple=True,
    metavar="NAME",
    help="Let functions have this environment variable; repeatable.",
)
@click.option(
    "--storage-url",
    default=None,
    envvar="AERODB_STORAGE_URL",
    help="Where objects are kept: s3://BUCKET/PREFIX or file:///FOLDER. Default: the data folder.",
)
@click.option(
    "--storage-max-file-size",
    type=click.IntRange(min=1),
    default=5 * 1024**3,
    help="Bytes that an object may have, whatever its bucket says.",
)
@click.option(
    "--realtime-connections-per-address",
    type=click.IntRange(min=1),
    default=100,
    help="WebSockets that one address may have.",
)
@click.option(
    "--realtime-query-credentials",
    type=bool,
    default=True,
    help="Take apikey and token from the URL of a WebSocket too.",
)
@click.option(
    "--db-config",
    "db_config",
    default=None,
    is_flag=False,
    flag_value="true",
    help="Read settings from the database.  [env: PGRST_DB_CONFIG]",
)
@click.option(
    "--db-pre-config",
    default=None,
    help="Function that makes settings.  [env: PGRST_DB_PRE_CONFIG]",
)
@click.option(
    "--app-settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Setting app.settings.KEY of every request.  [env: PGRST_APP_SETTINGS_KEY]",
)
@_settings
def serve(**options: Any) -> None:
    """Run an AeroDB on this machine, for development and tests.

    It listens on a loopback port, keeps its data in one folder and prints what a client needs.
    """
    try:
        server = make_server(options, os.environ)
        chose_port = _is_port_chosen(options["port"], os.environ)
        run(server, chose_port=chose_port, log_requests=options["log"])
    except LocalError as problem:
        raise click.ClickException(str(problem)) from None


def make_server(options: Mapping[str, Any], environment: Mapping[str, str]) -> LocalServer:
    """Return the server that the flags and the environment describe, not started yet."""
    with needed():
        from aerodb.local.server import LocalServer
    _warn_of_secrets(options)
    host = options["host"] or environment.get("PGRST_SERVER_HOST") or "127.0.0.1"
    return LocalServer(
        schema=files_of(options["schema"]),
        data=None if options["temporary"] else options["data"],
        migrations=options["migrations"],
        database_url=chosen_database(options["database_url"], environment),
        host=host,
        port=_port(options["port"], environment, host),
        allow_remote=options["allow_remote"],
        allow_hosts=options["allow_hosts"],
        rest_path=options["rest_path"],
        require_apikey=options["require_apikey"],
        services=_services(options["services"]),
        auth_confirm_email=options["auth_confirm_email"],
        auth_rate_limits=options["auth_rate_limits"],
        auth_access_token_ttl=options["auth_access_token_ttl"],
        auth_refresh_token_ttl=options["auth_refresh_token_ttl"],
        storage_url=options["storage_url"],
        storage_max_file_size=options["storage_max_file_size"],
        functions=options["functions"],
        functions_timeout=options["functions_timeout"],
        functions_workers=options["functions_workers"],
        functions_env=options["functions_env"],
        realtime_connections_per_address=options["realtime_connections_per_address"],
        realtime_query_credentials=options["realtime_query_credentials"],
        install=options["install"],
        db_config=_db_config(options["db_config"] or environment.get("PGRST_DB_CONFIG")),
        db_pre_config=options["db_pre_config"] or environment.get("PGRST_DB_PRE_CONFIG") or None,
        environment=from_environment(environment),
        **_explicit(options),
    )


def _explicit(options: Mapping[str, Any]) -> dict[str, Any]:
    """What PostgREST's settings were given by flags."""
    given = {option.field: options[option.field] for option in OPTIONS}
    found = parse_texts({name: text for name, text in given.items() if text is not None})
    if options["app_settings"]:
        found["app_settings"] = parse_app_settings(options["app_settings"])
    return found


def files_of(schema: Sequence[str]) -> list[Path]:
    """What `--schema` names, which is never SQL itself."""
    return [Path(name).expanduser() for name in schema]


def _services(text: str | None) -> tuple[str, ...] | None:
    names = tuple(name.strip() for name in (text or "").split(",") if name.strip())
    for name in names:
        if name not in SERVICES:
            raise LocalError(f"--services: {name!r} is none of {', '.join(SERVICES)}")
    return names or None


def _db_config(text: str | None) -> bool:
    return text is None or text.strip().lower() not in ("false", "0", "no", "off")


def chosen_database(flag: str | None, environment: Mapping[str, str]) -> str | None:
    """Return the PostgreSQL that the flag or the environment names; None for an embedded one."""
    url = flag or environment.get("AERODB_DATABASE_URL") or environment.get("PGRST_DB_URI")
    try:
        return parse_secret(url).strip() if url else None
    except ValueError as problem:
        raise LocalError(f"--database-url: {problem}") from None


def _port(flag: int | None, environment: Mapping[str, str], host: str) -> int:
    if flag is not None:
        return flag
    text = environment.get("PGRST_SERVER_PORT")
    if text:
        if not text.isdigit() or int(text) > 65535:
            raise LocalError(f"PGRST_SERVER_PORT: {text!r} is not a port")
        return int(text)
    if _is_free(host, PREFERRED_PORT):
        return PREFERRED_PORT
    return 0


def _is_port_chosen(flag: int | None, environment: Mapping[str, str]) -> bool:
    return flag is not None or bool(environment.get("PGRST_SERVER_PORT"))


def _is_free(host: str, port: int) -> bool:
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError:
        return False
    return True


def _warn_of_secrets(options: Mapping[str, Any]) -> None:
    """Arguments can be read by every user of the machine; say so (reliability C10)."""
    secret = options["jwt_secret"]
    if secret and not secret.startswith("@"):
        click.secho(
            "Warning: --jwt-secret can be read by every user of this machine while the server "
            "runs. Use PGRST_JWT_SECRET or --jwt-secret @FILE.",
            fg="yellow",
            err=True,
        )


# --- running ----------------------------------------------------------------------------------


def run(server: LocalServer, *, chose_port: bool = True, log_requests: bool = False) -> NoReturn:
    """Run `server` until a signal comes, then stop it and leave with the status for that signal."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    signal.signal(signal.SIGINT, _interrupt)
    _show_log("aerodb.local.functions", logging.INFO)
    _show_log("aerodb.local.requests", logging.INFO if log_requests else logging.ERROR)
    for number in (signal.SIGUSR1, signal.SIGUSR2):  # PostgREST's own
        signal.signal(number, lambda *_: server.reload())
    try:
        server.start()
        _announce(server, chose_port=chose_port)
        while server.alive:
            time.sleep(_WATCH_SECONDS)
        raise LocalError("The database or the HTTP server has stopped by itself.")
    finally:
        # From here on nothing must cut the clean-up short; the watchdog would do the rest.
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        server.close()


def _show_log(name: str, level: int) -> None:
    """What functions print, and what became of requests, is for whoever writes them."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    log = logging.getLogger(name)
    log.addHandler(handler)
    log.setLevel(level)
    log.propagate = False


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(0)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(INTERRUPTED)


def _announce(server: LocalServer, *, chose_port: bool) -> None:
    """Print what a client needs. The keys are printed here on purpose, and nowhere else."""
    database = server.database
    lines = ["AeroDB local: a development instance, not for production.", ""]
    lines.append(f"  URL              {server.url}")
    if database.keys is not None:
        lines += [
            f"  publishable key  {server.anon_key}",
            f"  secret key       {server.service_key}",
            f"  database         {server.database_url}",
            "",
            f"  export AERODB_URL={server.url} AERODB_KEY={server.anon_key}",
            "",
            "  then, for a first look:  aerodb tables",
        ]
    if database.applied:
        lines += ["", f"  applied: {', '.join(database.applied)}"]
    if not chose_port and not server.url.endswith(f":{PREFERRED_PORT}"):
        click.echo(f"Port {PREFERRED_PORT} is taken; a free one is used.\n", err=True)
    click.echo("\n".join(lines))
    warn_of_unprotected(database.unprotected)
    _warn_of_exposure(server)
    click.echo("\nPress Ctrl-C to stop.")
    sys.stdout.flush()


def warn_of_unprotected(tables: Sequence[str]) -> None:
    """Say on stderr which tables every caller may read and write (reliability C8)."""
    if not tables:
        return
    click.secho(
        "\nWarning: without row-level security everybody may read and write " + listed(tables),
        fg="yellow",
        err=True,
    )


def listed(names: Sequence[str]) -> str:
    """The first ten names, and how many more there are."""
    more = len(names) - 10
    return ", ".join(names[:10]) + (f" and {more} more" if more > 0 else "")


def _warn_of_exposure(server: LocalServer) -> None:
    host = server.listening_host
    if not is_loopback(host):
        click.secho(
            f"\nWarning: listening on {host}, other machines can reach this development server.",
            fg="yellow",
            err=True,
        )
