"""The resolved query: what the SQL generator reads.

`ReadNode` is one relation of the select tree. The stages of `read_tree` fill it in one after the
other, so it is the one mutable value here; everything it holds is frozen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from aerodb.local.rest.ast import Aggregate, EmbedPath, JoinType, JsonStep, Name, Operation, Range
from aerodb.local.rest.catalog import AnyRelationship


@dataclass(frozen=True, slots=True)
class ResolvedField:
    """A column or other named thing, with what is known of its type.

    `type` is empty when the name is not a column (a computed column, a function's result).
    `transform` is the function of a domain representation that applies in this place.
    """

    name: str
    path: tuple[JsonStep, ...] = ()
    to_json: bool = False
    to_tsvector: bool = False
    ts_language: str | None = None
    type: str = ""
    base_type: str = ""
    transform: Name | None = None
    default: str | None = None
    full_row: bool = False


@dataclass(frozen=True, slots=True)
class SelectColumn:
    """A selected column: `alias:field::cast.aggregate()::aggregate_cast`."""

    field: ResolvedField
    aggregate: Aggregate | None = None
    aggregate_cast: str | None = None
    cast: str | None = None
    alias: str | None = None


# --- conditions -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Condition:
    """A filter; its value is the one of that slot (`slots`)."""

    field: ResolvedField
    operation: Operation
    negated: bool
    slot: int


@dataclass(frozen=True, slots=True)
class EmbedCondition:
    """`rel=is.null` (`present` false) or `rel=not.is.null` on the embed of that aggregate alias."""

    aggregate_alias: str
    present: bool


@dataclass(frozen=True, slots=True)
class Junctor:
    """Conditions joined by AND or OR."""

    operator: Literal["and", "or"]
    children: tuple[ConditionTree, ...]
    negated: bool = False


ConditionTree = Junctor | Condition | EmbedCondition


@dataclass(frozen=True, slots=True)
class JoinCondition:
    """Equality of two columns, each with the relation it is of."""

    left: tuple[Name, str]
    right: tuple[Name, str]


# --- order ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ResolvedOrder:
    """`relation` is the aggregate alias of the embed whose column orders, None: this node's."""

    field: ResolvedField
    direction: Literal["asc", "desc"] | None = None
    nulls: Literal["first", "last"] | None = None
    relation: str | None = None


# --- what a node selects from its embeds ------------------------------------------------------


@dataclass(frozen=True, slots=True)
class JsonEmbed:
    """An embed as one column: an object when `to_one`, else an array. `empty`: only joined."""

    name: str
    node: ReadNode
    to_one: bool
    empty: bool


@dataclass(frozen=True, slots=True)
class SpreadField:
    """A column that an embed gives to its parent."""

    name: str
    aggregate: Aggregate | None = None
    aggregate_cast: str | None = None
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class SpreadEmbed:
    """An embed whose columns become columns of the parent."""

    fields: tuple[SpreadField, ...]
    node: ReadNode


EmbedSelect = JsonEmbed | SpreadEmbed


# --- the node ---------------------------------------------------------------------------------

Spread = Literal["to_one", "to_many"]
_NOWHERE = Name("", "")
_ALL_ROWS = Range()


@dataclass(eq=False, slots=True)
class ReadNode:
    """One relation of the tree.

    `source` is the relation read, `source_alias` its name in the query. `aggregate_alias` names
    the lateral subquery that the parent joins. `extra_selects` and `spread_order` carry the order
    of a to-many spread out of the subquery, to the place where its columns are aggregated: pairs of
    the embed that the column comes from (None: this node) and the column.
    """

    name: str
    source: Name
    depth: int
    alias: str | None = None
    hint: str | None = None
    join: JoinType | None = None
    spread: Spread | None = None
    source_alias: str | None = None
    aggregate_alias: str = ""
    table: Name = _NOWHERE
    """The relation whose columns these are, also when `source` is a common table expression."""
    relationship: AnyRelationship | None = None
    parent_alias: Name = _NOWHERE
    joins: tuple[JoinCondition, ...] = ()
    select: list[SelectColumn] = field(default_factory=list[SelectColumn])
    where: list[ConditionTree] = field(default_factory=list[ConditionTree])
    order: list[ResolvedOrder] = field(default_factory=list[ResolvedOrder])
    range: Range = _ALL_ROWS
    range_path: EmbedPath | None = None
    """Where the request says that range; None: nowhere, only `max_rows` bounds it."""
    max_rows: int | None = None
    children: list[ReadNode] = field(default_factory=list["ReadNode"])
    embeds: list[EmbedSelect] = field(default_factory=list[EmbedSelect])
    extra_selects: list[tuple[str | None, SelectColumn]] = field(
        default_factory=list[tuple[str | None, SelectColumn]]
    )
    spread_order: list[ResolvedOrder] = field(default_factory=list[ResolvedOrder])
    named_by_target: bool = False
    """A filter, order or limit says the relation's name, although there is an alias."""

    @property
    def shown_name(self) -> str:
        """The name under which the embed is shown, filtered and ordered by."""
        return self.alias or self.name

    @property
    def qualifier(self) -> Name:
        """How columns of this node are qualified inside its own query."""
        return Name("", self.source_alias) if self.source_alias else self.source

    def legacy_names(self) -> tuple[tuple[str, str], ...]:
        """The names that were used in place of an alias, each with the alias."""
        named = (node for node in self.walk() if node.named_by_target)
        return tuple([(node.name, node.alias or "") for node in named])

    def walk(self) -> Iterator[ReadNode]:
        """This node and all below it."""
        yield self
        for child in self.children:
            yield from child.walk()
