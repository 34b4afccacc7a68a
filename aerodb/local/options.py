"""PostgREST's settings by PostgREST's names: one table for flags, environment and database.

A setting `db-max-rows` is the flag `--db-max-rows`, the variable `PGRST_DB_MAX_ROWS`, the
in-database setting `pgrst.db_max_rows` and the keyword `db_max_rows` of `LocalServer`. The spelling
of values is PostgREST's too (its documentation, "Configuration").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aerodb.local.errors import LocalError
from aerodb.local.settings import PoolSettings, RestSettings

Parser = Callable[[str], Any]
APP_SETTINGS_VARIABLE = "PGRST_APP_SETTINGS_"
APP_SETTINGS_PREFIX = "app.settings."
_FORBIDDEN_SCHEMAS = ("pg_catalog", "information_schema")


def parse_list(text: str) -> tuple[str, ...]:
    """`a, b` -> `("a", "b")`; an empty text is an empty list."""
    return tuple(part.strip() for part in text.split(",")) if text else ()


def parse_schemas(text: str) -> tuple[str, ...]:
    """A list without the schemas that must not be exposed."""
    schemas = parse_list(text)
    for name in _FORBIDDEN_SCHEMAS:
        if name in schemas:
            raise ValueError(f"db-schemas does not allow schema: '{name}'")
    return schemas


def parse_bool(text: str) -> bool:
    """Anything that reads as true, or a number above zero; the rest is false."""
    letters = re.sub(r"[^A-Za-z]", "", text).lower()
    if letters in ("true", "false"):
        return letters == "true"
    try:
        return int(text) > 0
    except ValueError:
        raise ValueError(f"{text!r} is neither true nor false") from None


def parse_int(text: str) -> int:
    """A whole number."""
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a whole number") from None


def parse_text(text: str) -> str:
    """The text itself."""
    return text


def parse_audience(text: str) -> str:
    """A plain word, or a URI if it has a colon."""
    if ":" in text:
        parts = urlsplit(text)
        bad_escape = re.search(r"%(?![0-9A-Fa-f]{2})", text)
        if not parts.scheme or bad_escape or re.search(r"[\s<>\"{}|\\^`]", text):
            raise ValueError("jwt-aud should be a string or a valid URI")
    return text


def parse_proxy_uri(text: str) -> str:
    """An absolute http or https URI without user, query or fragment."""
    parts = urlsplit(text)
    try:
        well_formed = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        well_formed = False
    if not well_formed or parts.query or parts.username is not None:
        raise ValueError(
            "Malformed proxy uri, a correct example: https://example.com:8443/basePath"
        )
    return text


def parse_secret(text: str) -> str:
    """The secret itself, or `@FILE`: what stands in the file, without a final line end."""
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as problem:
        raise ValueError(f"the file {text[1:]} cannot be read: {problem}") from None


def one_of(*choices: str) -> Parser:
    """Return a parser that takes one of `choices`."""

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"{text!r} is none of {', '.join(choices)}")
        return text

    return parse


@dataclass(frozen=True, slots=True)
class Option:
    """One setting. `field` is its name in `RestSettings` or `PoolSettings`."""

    field: str
    parse: Parser
    help: str
    aliases: tuple[str, ...] = ()
    in_database: bool = True
    empty_means_empty: bool = False

    @property
    def flag(self) -> str:
        """The command-line flag."""
        return "--" + self.field.replace("_", "-")

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables, the proper one first."""
        return tuple(f"PGRST_{name.upper()}" for name in (self.field, *self.aliases))


_TX_END = one_of("commit", "commit-allow-override", "rollback", "rollback-allow-override")
_OPENAPI_MODE = one_of("follow-privileges", "ignore-privileges", "disabled")

OPTIONS: tuple[Option, ...] = (
    Option("db_schemas", parse_schemas, "Schemas to expose, comma-separated.", ("db_schema",)),
    Option("db_anon_role", parse_text, "Role of requests without a token."),
    Option(
        "db_extra_search_path",
        parse_list,
        "Schemas that are added to the search path of every request.",
        empty_means_empty=True,
    ),
    Option("db_max_rows", parse_int, "Most rows that one answer holds.", ("max_rows",)),
    Option("db_pre_request", parse_text, "Function to call before each request.", ("pre_request",)),
    Option("db_root_spec", parse_text, "Function that answers at the root.", ("root_spec",)),
    Option("db_tx_end", _TX_END, "How transactions end."),
    Option("db_aggregates_enabled", parse_bool, "Allow aggregate functions in select."),
    Option("db_plan_enabled", parse_bool, "Answer execution plans."),
    Option("db_prepared_statements", parse_bool, "Prepare statements on the server."),
    Option("db_hoisted_tx_settings", parse_list, "Function settings applied before the call."),
    Option("db_timezone_enabled", parse_bool, "Honour Prefer: timezone.", in_database=False),
    Option("db_channel", parse_text, "Channel that reload notices come on.", in_database=False),
    Option("db_channel_enabled", parse_bool, "Listen for reload notices.", in_database=False),
    Option("db_pool", parse_int, "Most connections to the database.", in_database=False),
    Option(
        "db_pool_acquisition_timeout",
        parse_int,
        "Seconds that a request waits for a connection.",
        in_database=False,
    ),
    Option(
        "db_pool_max_lifetime", parse_int, "Seconds that a connection lives.", in_database=False
    ),
    Option(
        "db_pool_max_idletime",
        parse_int,
        "Seconds that an unused connection is kept.",
        ("db_pool_timeout",),
        in_database=False,
    ),
    Option("jwt_secret", parse_secret, "Secret, JWK or JWKS that tokens are checked with; @FILE."),
    Option("jwt_secret_is_base64", parse_bool, "The secret is base64.", ("secret_is_base64",)),
    Option("jwt_aud", parse_audience, "Audience that tokens must be for."),
    Option(
        "jwt_role_claim_key", parse_text, "JSON path of the role in a token.", ("role_claim_key",)
    ),
    Option("openapi_mode", _OPENAPI_MODE, "What the OpenAPI description shows."),
    Option("openapi_security_active", parse_bool, "Describe authentication in OpenAPI."),
    Option("openapi_server_proxy_uri", parse_proxy_uri, "Base URL that OpenAPI states."),
    Option("server_cors_allowed_origins", parse_list, "Origins of web pages that may call."),
    Option("server_trace_header", parse_text, "Request header that is echoed."),
    Option("server_timing_enabled", parse_bool, "Send Server-Timing."),
    Option("client_error_verbosity", one_of("verbose", "minimal"), "Detail of error bodies."),
    Option("url_use_legacy_target_names", parse_bool, "Allow relation names despite an alias."),
)
"""Every PostgREST setting that the dialect, or the pool below it, depends on."""

BY_FIELD: Mapping[str, Option] = {option.field: option for option in OPTIONS}
IN_DATABASE: tuple[str, ...] = tuple(option.field for option in OPTIONS if option.in_database)
REST_FIELDS = frozenset(entry.name for entry in fields(RestSettings))
POOL_FIELDS = frozenset(entry.name for entry in fields(PoolSettings))


def parse_texts(texts: Mapping[str, str], where: str = "") -> dict[str, Any]:
    """Return field -> value for field -> text; unset (empty) ones are left out."""
    values: dict[str, Any] = {}
    for name, text in texts.items():
        option = BY_FIELD[name]
        if text == "" and not option.empty_means_empty:
            continue
        try:
            values[name] = option.parse(text)
        except ValueError as problem:
            raise LocalError(f"{where or option.flag}: {problem}") from None
    return values


def from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings that the PGRST_* variables of `environment` make."""
    values: dict[str, Any] = {}
    for option in OPTIONS:
        for variable in option.variables:
            text = environment.get(variable)
            if text is not None:
                values |= parse_texts({option.field: text}, variable)
                break
    app = [
        (APP_SETTINGS_PREFIX + name.removeprefix(APP_SETTINGS_VARIABLE), text)
        for name, text in sorted(environment.items())
        if name.startswith(APP_SETTINGS_VARIABLE)
    ]
    return values | ({"app_settings": tuple(app)} if app else {})


def parse_app_settings(pairs: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """`("name=value", ...)` of the flag `--app-settings` as (whole GUC name, value)."""
    found: list[tuple[str, str]] = []
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise LocalError(f"--app-settings: {pair!r} is not of the form KEY=VALUE")
        found.append((APP_SETTINGS_PREFIX + name.removeprefix(APP_SETTINGS_PREFIX), value))
    return tuple(found)


def from_keywords(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of Python keywords: texts are parsed, lists become tuples."""
    values: dict[str, Any] = {}
    for name, value in keywords.items():
        if name not in REST_FIELDS | POOL_FIELDS:
            raise TypeError(f"LocalServer() got an unexpected setting {name!r}")
        if isinstance(value, str) and name in BY_FIELD:
            values |= parse_texts({name: value}, name)
        elif isinstance(value, Mapping):
            values[name] = tuple((APP_SETTINGS_PREFIX + k, str(v)) for k, v in value.items())
        else:
            values[name] = tuple(value) if isinstance(value, list) else value
    return values
