"""Every setting of the local instance, validated once.

The PostgREST ones carry PostgREST's names (`db_schemas` is `--db-schemas`, `PGRST_DB_SCHEMAS`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class RestSettings:
    """What the REST dialect depends on; defaults are PostgREST's, but `db_max_rows` and
    `db_schemas` are the instance's (wire contract §1.7)."""

    db_schemas: tuple[str, ...] = ("public",)
    db_anon_role: str | None = "anon"
    db_extra_search_path: tuple[str, ...] = ("public",)
    db_max_rows: int | None = None
    db_pre_request: str | None = None
    db_root_spec: str | None = None
    db_tx_end: Literal["commit", "commit-allow-override", "rollback", "rollback-allow-override"] = (
        "commit"
    )
    db_aggregates_enabled: bool = False
    db_plan_enabled: bool = False
    db_prepared_statements: bool = True
    db_hoisted_tx_settings: tuple[str, ...] = (
        "statement_timeout",
        "plan_filter.statement_cost_limit",
        "default_transaction_isolation",
    )
    db_timezone_enabled: bool = True
    safe_update: bool = False
    """Refuse UPDATE and DELETE without a filter for roles that do not bypass RLS."""
    hide_credentials: bool = True
    """Leave `authorization` and `apikey` out of `request.headers`: SQL has the claims."""
    jwt_secret: str | None = field(default=None, repr=False)
    jwt_secret_is_base64: bool = False
    jwt_aud: str | None = None
    jwt_role_claim_key: str = ".role"
    allowed_roles: frozenset[str] | None = None
    """Roles that a token may name; None: any that the login role may SET ROLE to."""
    app_settings: tuple[tuple[str, str], ...] = ()
    """(GUC name, value); the name is whole, `app.settings.NAME`, ready for `set_config`."""
    db_channel: str = "pgrst"
    db_channel_enabled: bool = True
    client_error_verbosity: Literal["verbose", "minimal"] = "verbose"
    url_use_legacy_target_names: bool = True
    openapi_mode: Literal["follow-privileges", "ignore-privileges", "disabled"] = (
        "follow-privileges"
    )
    openapi_security_active: bool = False
    openapi_server_proxy_uri: str | None = None
    server_cors_allowed_origins: tuple[str, ...] | None = None
    server_trace_header: str | None = None
    server_timing_enabled: bool = False
    max_body_bytes: int = 10 * 1024 * 1024
    max_url_bytes: int = 32 * 1024


INSTANCE_REST = RestSettings(db_max_rows=1000, safe_update=True, jwt_aud="aerodb")
"""The defaults over the instance's own database (wire contract §1.4, §1.7)."""

FOREIGN_REST = RestSettings(db_anon_role=None, hide_credentials=False)
"""The defaults over a database that somebody else looks after: PostgREST's own."""


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """How connections to the database are kept; PostgREST's names and defaults."""

    db_pool: int = 10
    db_pool_acquisition_timeout: int = 10
    db_pool_max_lifetime: int = 1800
    db_pool_max_idletime: int = 30


SERVICES = ("rest", "auth", "storage")


@dataclass(frozen=True, slots=True)
class InstanceSettings:
    """What one running instance is made of, besides its REST dialect.

    `data` None is a temporary folder, removed at the end. With a `database_url` there is no
    cluster, no data folder and no key: the REST part alone is served over that database.
    """

    data: Path | None = None
    database_url: str | None = field(default=None, repr=False)
    schema: tuple[str | Path, ...] = ()
    migrations: Path | None = None
    host: str = "127.0.0.1"
    port: int = 0
    allow_remote: bool = False
    allow_hosts: tuple[str, ...] = ()
    rest_path: str = "/rest/v1"
    require_apikey: bool = False
    install: bool = False
    """Apply schema files and migrations to a foreign database too."""
    db_config: bool = True
    """Read settings from the database too (`ALTER ROLE ... SET pgrst.NAME`)."""
    db_pre_config: str | None = None
    services: tuple[str, ...] | None = None
    """Which parts to serve, of `SERVICES`; None: all that the database allows."""
    auth_confirm_email: bool = False
    """Nobody signs in before the address is confirmed."""
    auth_rate_limits: bool = False
    auth_access_token_ttl: int = 900
    auth_refresh_token_ttl: int = 30 * 24 * 3600
    """Seconds (wire contract §1.4, §2.2)."""
    storage_url: str | None = None
    """Where objects are: `file:///folder`, `s3://bucket/prefix`; None: in the data folder."""
    storage_max_file_size: int = 5 * 1024**3
    """Bytes that an object may have, whatever its bucket says."""
    explicit: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    """REST and pool settings from flags or keywords: they win over all others."""
    environment: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    """Those from PGRST_* variables: they win over the defaults only."""
