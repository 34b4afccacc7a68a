"""What the planner hands to the request handler: one SQL statement and what its answer means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aerodb.local.rest.ast import Name
from aerodb.local.rest.catalog import Routine, Table

StatementKind = Literal["read", "create", "update", "put", "delete", "call", "info"]
"""`info` is an OPTIONS on a function: `routine` is set, `sql` is empty."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One request, planned: everything that status and headers need besides the request itself.

    `sql` has `%s` placeholders (a literal percent is doubled) and, unless `is_explain`, gives one
    row with the columns

    - `total_result_set`: bigint or NULL, the exact count without limit and offset;
    - `page_total`: bigint, the rows of this page, or the rows written;
    - `header`: text[], `key=eq.value` pairs for `Location`, empty otherwise;
    - `body`: text for the built-in media types, any type (bytea, text, xml, json ...) for a custom
      handler, whose bytes are the body as they are; NULL is an empty body;
    - `response_headers`, `response_status`: text or NULL, the `response.*` settings;
    - `response_inserted`: text or NULL, how many rows an upsert inserted, if `counts_inserted`;
      NULL when no row came so far.

    A `str` parameter must reach the server with an unknown type, `bytes` as bytea and
    `list[str]` as text[]: psycopg's defaults.
    """

    kind: StatementKind
    sql: str
    params: tuple[object, ...]
    read_only: bool
    target: Name
    """The relation or function of the request, as asked for (`Content-Location`, `Location`)."""
    media_type: str
    """The resolved media type without charset, `application/json` for `*/*`."""
    content_type: str
    """The value of the `Content-Type` header."""
    isolation: str | None = None
    """Isolation level asked for by the function, None: the role's or the default."""
    settings: tuple[tuple[str, str], ...] = ()
    """Hoisted settings of the function, for `set_config(name, value, true)` before the call."""
    singular: bool = False
    """Exactly one row is required: otherwise roll back, 406 PGRST116 (`page_total` counts)."""
    is_explain: bool = False
    """The media type is an execution plan: one column (text or json), the body is all rows, each
    with a line feed after it; status 200, no range and no further checks."""
    explain_sql: str | None = None
    """`EXPLAIN (FORMAT JSON)` of the count query (count=planned or estimated): the total is
    `[0]["Plan"]["Plan Rows"]`; for estimated only if `total_result_set` exceeds max-rows, and then
    the larger of both."""
    explain_params: tuple[object, ...] = ()
    table: Table | None = None
    """The relation, also for a function that returns rows of one."""
    routine: Routine | None = None
    returns_void: bool = False
    """204 without a body."""
    counts_inserted: bool = False
    """`response_inserted` is meaningful (PUT, or POST with merge-duplicates)."""
    resolution_applies: bool = False
    """`Preference-Applied` may name `resolution`: there is a primary key or `on_conflict`."""
    max_affected: int | None = None
    """More `page_total` rows than this: roll back, 400 PGRST124. Only set under strict handling
    and where the preference applies."""
    legacy_names: tuple[tuple[str, str], ...] = ()
    """Names of relations that were used in place of an alias, and the alias (for `Warning`)."""
    unfiltered: bool = False
    """An update or delete of all rows (for the safe-update setting)."""
