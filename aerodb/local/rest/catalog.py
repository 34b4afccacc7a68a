"""What the database offers, as values: tables, keys, relationships, functions.

Made once from the system catalog by `catalog_load` and replaced as a whole on reload, so a
request sees one consistent picture. Nothing here does I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from aerodb.local.rest.ast import Name


@dataclass(frozen=True, slots=True)
class Column:
    """`type` is the type below any domain, as `format_type` prints it ("character varying"),
    `nominal_type` the declared one (a domain's own name)."""

    name: str
    type: str
    nominal_type: str
    nullable: bool = True
    default: str | None = None
    max_length: int | None = None
    enum: tuple[str, ...] = ()
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table, view, materialised view, foreign table or partitioned table of an exposed schema.

    The three flags tell what the relation can do, not what a role may do.
    """

    name: Name
    columns: dict[str, Column]
    primary_key: tuple[str, ...] = ()
    is_view: bool = False
    insertable: bool = True
    updatable: bool = True
    deletable: bool = True
    description: str | None = None


# --- relationships ----------------------------------------------------------------------------

ColumnPairs = tuple[tuple[str, str], ...]
"""(column of the source table, column of the foreign table)."""


@dataclass(frozen=True, slots=True)
class Junction:
    table: Name
    constraint1: str
    constraint2: str
    source_columns: ColumnPairs  # (source column, junction column)
    target_columns: ColumnPairs  # (target column, junction column)


@dataclass(frozen=True, slots=True)
class Relationship:
    """From `table` to `foreign_table`. `columns` is empty and `junction` set for many-to-many.

    `is_parent` only says something for one-to-one: whether the foreign key points at `table`.
    """

    table: Name
    foreign_table: Name
    kind: Literal["m2o", "o2m", "o2o", "m2m"]
    constraint: str = ""
    columns: ColumnPairs = ()
    junction: Junction | None = None
    is_self: bool = False
    is_parent: bool = False
    table_is_view: bool = False
    foreign_table_is_view: bool = False

    @property
    def to_one(self) -> bool:
        return self.kind in ("m2o", "o2o")


@dataclass(frozen=True, slots=True)
class ComputedRelationship:
    """A function that takes a row of `table` and returns (a set of) rows of `foreign_table`."""

    function: Name
    table: Name
    foreign_table: Name
    table_alias: Name
    to_one: bool
    is_self: bool = False


AnyRelationship = Relationship | ComputedRelationship


# --- functions --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    type: str
    type_max_length: str  # the type that a text parameter may be cast to without truncation
    required: bool = True
    variadic: bool = False


@dataclass(frozen=True, slots=True)
class ReturnType:
    """`composite` covers tables, views, composite types and OUT/TABLE parameters (`record`)."""

    type: Name
    set_of: bool = False
    composite: bool = False
    composite_alias: bool = False  # a domain over a composite

    @property
    def void(self) -> bool:
        return not self.set_of and self.type == Name("pg_catalog", "void")


@dataclass(frozen=True, slots=True)
class Routine:
    name: Name
    parameters: tuple[Parameter, ...]
    returns: ReturnType
    volatility: Literal["volatile", "stable", "immutable"] = "volatile"
    has_variadic: bool = False
    isolation_level: str | None = None
    settings: tuple[
        tuple[str, str], ...
    ] = ()  # `SET` clauses that are hoisted (db-hoisted-tx-settings)
    description: str | None = None


# --- representations, media handlers ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Representation:
    """A cast that formats or parses a domain: (source, target) -> function."""

    source_type: str
    target_type: str
    function: Name


@dataclass(frozen=True, slots=True)
class MediaHandler:
    """An aggregate or function that renders a media type, for one relation or any (`target` None).

    `is_scalar`: `target` is a function that returns the media type's domain, and `function` is
    that domain. `resolved_media_type` is what a `*/*` handler's answer is labelled with.
    """

    media_type: str
    function: Name
    target: Name | None
    is_scalar: bool = False
    resolved_media_type: str = ""


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything a plan is made from. Keys of `relationships`: (source table, foreign schema)."""

    tables: dict[Name, Table] = field(default_factory=dict[Name, Table])
    relationships: dict[tuple[Name, str], tuple[AnyRelationship, ...]] = field(
        default_factory=dict[tuple[Name, str], tuple[AnyRelationship, ...]]
    )
    routines: dict[Name, tuple[Routine, ...]] = field(
        default_factory=dict[Name, tuple[Routine, ...]]
    )
    representations: dict[tuple[str, str], Representation] = field(
        default_factory=dict[tuple[str, str], Representation]
    )
    media_handlers: tuple[MediaHandler, ...] = ()
    timezones: frozenset[str] = frozenset()
    server_version: int = 0
