"""What a request says, as values: the abstract syntax of PostgREST's query dialect.

The parser (`query_params`, `preferences`, `payload`, ...) makes these out of bytes, the planner
(`plan`) resolves them against the catalog. Nothing here knows a table, a role or a connection.
Names follow PostgREST's own vocabulary, so that its documentation can be read beside the code.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Literal


@dataclass(frozen=True, slots=True)
class Name:
    """A schema-qualified identifier. `schema` may be empty for things found by search path."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name


# --- fields -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class JsonStep:
    """One `->key`, `->>key`, `->0` or `->>0`. `as_text` is the double arrow."""

    operand: str
    is_index: bool
    as_text: bool


@dataclass(frozen=True, slots=True)
class Field:
    """A column with an optional JSON path below it."""

    name: str
    path: tuple[JsonStep, ...] = ()


# --- select -----------------------------------------------------------------------------------

Aggregate = Literal["sum", "avg", "max", "min", "count"]
JoinType = Literal["inner", "left"]


@dataclass(frozen=True, slots=True)
class SelectField:
    """`alias:field::cast.aggregate()::aggregate_cast`. `*` is a field of that name."""

    field: Field
    alias: str | None = None
    cast: str | None = None
    aggregate: Aggregate | None = None
    aggregate_cast: str | None = None


@dataclass(frozen=True, slots=True)
class SelectRelation:
    """`alias:relation!hint!inner(children)`, or `...relation(children)` when `spread`."""

    relation: str
    alias: str | None = None
    hint: str | None = None
    join: JoinType | None = None
    spread: bool = False
    children: tuple[SelectItem, ...] = ()


SelectItem = SelectField | SelectRelation


# --- filters ----------------------------------------------------------------------------------

Quantifier = Literal["any", "all"]
IsValue = Literal["null", "not_null", "true", "false", "unknown"]


@dataclass(frozen=True, slots=True)
class Op:
    """Every operator with one literal: neq cs cd ov sl sr nxr nxl adj, and the quantifiable
    eq gte gt lte lt like ilike match imatch. `name` is the operator as it stands in the URL."""

    name: str
    value: str
    quantifier: Quantifier | None = None


@dataclass(frozen=True, slots=True)
class In:
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Is:
    value: IsValue


@dataclass(frozen=True, slots=True)
class IsDistinct:
    value: str


@dataclass(frozen=True, slots=True)
class Fts:
    name: Literal["fts", "plfts", "phfts", "wfts"]
    language: str | None
    value: str


Operation = Op | In | Is | IsDistinct | Fts


@dataclass(frozen=True, slots=True)
class Filter:
    """`field=[not.]operation`."""

    field: Field
    operation: Operation
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Logic:
    """`[not.]and(...)` or `[not.]or(...)`."""

    operator: Literal["and", "or"]
    children: tuple[LogicTree, ...]
    negated: bool = False


LogicTree = Logic | Filter

EmbedPath = tuple[str, ...]
"""`("clients", "projects")` for `clients.projects.name=eq.x`: names or aliases of embeds."""


# --- order, range -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OrderTerm:
    """`field.asc.nullslast`, or `relation(field).desc` when `relation` is given."""

    field: Field
    direction: Literal["asc", "desc"] | None = None
    nulls: Literal["first", "last"] | None = None
    relation: str | None = None


@dataclass(frozen=True, slots=True)
class Range:
    """`offset` rows are passed over, then at most `limit` (None: no bound) are taken."""

    offset: int = 0
    limit: int | None = None


# --- query string -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class QueryParams:
    """The parsed query string.

    `canonical` is the query string with its pairs sorted, as PostgREST makes it for
    `Content-Location`. `filters` holds every filter with its embed path, `filters_root` those of
    the root in order, `filters_not_root` the others, `filter_fields` the raw keys of all (PUT needs
    them). `params` are the pairs of a GET rpc whose value has no operator: the arguments.
    `ranges` has no entry for the root, see `Request.top_range`.
    """

    canonical: str = ""
    params: tuple[tuple[str, str], ...] = ()
    ranges: dict[EmbedPath, Range] = field(default_factory=dict[EmbedPath, Range])
    order: tuple[tuple[EmbedPath, tuple[OrderTerm, ...]], ...] = ()
    logic: tuple[tuple[EmbedPath, LogicTree], ...] = ()
    columns: frozenset[str] | None = None
    select: tuple[SelectItem, ...] = (SelectField(Field("*")),)
    filters: tuple[tuple[EmbedPath, Filter], ...] = ()
    filters_root: tuple[Filter, ...] = ()
    filters_not_root: tuple[tuple[EmbedPath, Filter], ...] = ()
    filter_fields: frozenset[str] = frozenset()
    on_conflict: tuple[str, ...] | None = None


# --- preferences ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Preferences:
    """The `Prefer` headers, first occurrence of each preference wins. None: not stated."""

    resolution: Literal["merge-duplicates", "ignore-duplicates"] | None = None
    representation: Literal["representation", "headers-only", "minimal"] | None = None
    count: Literal["exact", "planned", "estimated"] | None = None
    transaction: Literal["commit", "rollback"] | None = None
    missing: Literal["default", "null"] | None = None
    handling: Literal["strict", "lenient"] | None = None
    timezone: str | None = None
    max_affected: int | None = None
    invalid: tuple[str, ...] = ()


# --- payload ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Payload:
    """The body of a write or of an rpc POST.

    `json`: `raw` is JSON text whose keys are `keys` (`is_array` tells object from array).
    `raw_json`: JSON text that was not read, since `columns` names the keys. `urlencoded`: the
    pairs, as given. `raw`: bytes for a single unnamed parameter, whose type the content type tells.
    """

    kind: Literal["json", "raw_json", "urlencoded", "raw"]
    raw: bytes = b""
    keys: frozenset[str] = frozenset()
    is_array: bool = False
    pairs: tuple[tuple[str, str], ...] = ()


# --- the request ------------------------------------------------------------------------------


class Action(Enum):
    """What is asked for; the same split as PostgREST's Action."""

    READ = "read"  # GET, HEAD on a relation
    CREATE = "create"  # POST
    UPDATE = "update"  # PATCH
    UPSERT = "upsert"  # PUT
    DELETE = "delete"  # DELETE
    CALL = "call"  # POST rpc
    CALL_READ = "call_read"  # GET, HEAD rpc
    ROOT = "root"  # GET, HEAD /
    INFO_RELATION = "info_relation"  # OPTIONS
    INFO_ROUTINE = "info_routine"
    INFO_ROOT = "info_root"


@dataclass(frozen=True, slots=True)
class Request:
    """One request, parsed and not yet resolved. `target` is empty for ROOT and INFO_ROOT."""

    action: Action
    target: Name
    headers_only: bool  # HEAD
    method: str
    path: str
    query: QueryParams
    preferences: Preferences
    accept: tuple[str, ...]  # media types by preference, parameters kept, lower case
    content_type: str
    schema: str
    negotiated_by_profile: bool
    top_range: Range
    headers: tuple[tuple[str, str], ...]
    cookies: tuple[tuple[str, str], ...] = ()
    payload: Payload | None = None
    payload_columns: frozenset[str] = frozenset()
