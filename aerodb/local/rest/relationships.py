"""How tables and views are connected: from keys to relationships, and from names to one of them.

Foreign keys give many-to-one relationships (one-to-one where the referencing columns are unique).
Views inherit the keys whose columns they all select, on either side. Every relationship is then
turned round, and tables that point at two others with columns of their primary key are junctions
of many-to-many relationships. Functions from row to rows come last and win over what was found.

Pure: `catalog_keys` reads the catalog, this module draws the conclusions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

from aerodb.local.rest.ast import Name
from aerodb.local.rest.catalog import (
    AnyRelationship,
    Catalog,
    ColumnPairs,
    ComputedRelationship,
    Junction,
    Relationship,
)
from aerodb.local.rest.suggestions import relationship_ambiguous, relationship_not_found


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key constraint; `unique` if no two rows of `table` can have the same values."""

    id: int
    name: str
    table: Name
    foreign_table: Name
    columns: ColumnPairs
    unique: bool = False


KeyRole = Literal["primary", "foreign", "referenced"]


@dataclass(frozen=True, slots=True)
class ViewKey:
    """A view selects every column of a key of a table below it.

    `columns` has one entry per key column, in the key's order: the names under which the view
    shows that column, which are several if it selects the column more than once.
    """

    view: Name
    constraint: int
    role: KeyRole
    columns: tuple[tuple[str, ...], ...]

    def choices(self) -> Iterable[tuple[str, ...]]:
        """Return every way to name the key's columns."""
        return product(*self.columns)


RelationshipMap = dict[tuple[Name, str], tuple[AnyRelationship, ...]]


def relationship_map(
    foreign_keys: Iterable[ForeignKey],
    view_keys: Iterable[ViewKey],
    computed: Iterable[ComputedRelationship],
    primary_keys: Mapping[Name, Collection[str]],
    schemas: Collection[str],
) -> RelationshipMap:
    """Return the relationships between relations of the exposed `schemas`.

    `primary_keys` covers hidden schemas too. What leads from an exposed relation to hidden ones or
    through a hidden junction cannot be embedded, yet its key stays, without relationships: to
    have some decides whether a hint corrects the origin or the target of an embedding.
    """
    direct = _with_views(foreign_keys, view_keys)
    every = [*direct, *_many_to_many(direct, primary_keys), *map(_inverse, direct)]
    grouped = _keyed(
        [one for one in every if one.table.schema in schemas],
        [one for one in computed if one.table.schema in schemas],
    )
    return {
        key: tuple(sorted((one for one in found if _reachable(one, schemas)), key=_sort_key))
        for key, found in grouped.items()
    }


def _reachable(one: AnyRelationship, schemas: Collection[str]) -> bool:
    junction = None if isinstance(one, ComputedRelationship) else one.junction
    return one.foreign_table.schema in schemas and (
        junction is None or junction.table.schema in schemas
    )


def view_primary_keys(view_keys: Iterable[ViewKey]) -> dict[Name, tuple[str, ...]]:
    """Return the columns that identify a view's rows: the primary keys below it, one after another.

    Where a view shows a column twice the first one stands for it: clients never name these.
    """
    found: dict[Name, tuple[str, ...]] = {}
    for key in view_keys:
        if key.role == "primary":
            found[key.view] = found.get(key.view, ()) + tuple(names[0] for names in key.columns)
    return found


# --- making relationships ---------------------------------------------------------------------


def _with_views(
    foreign_keys: Iterable[ForeignKey], view_keys: Iterable[ViewKey]
) -> list[Relationship]:
    indexed: dict[tuple[int, KeyRole], list[ViewKey]] = defaultdict(list)
    for view_key in view_keys:
        indexed[view_key.constraint, view_key.role].append(view_key)
    found: list[Relationship] = []
    for key in foreign_keys:
        table = Relationship(
            table=key.table,
            foreign_table=key.foreign_table,
            kind="o2o" if key.unique else "m2o",
            constraint=key.name,
            columns=key.columns,
            is_self=key.table == key.foreign_table,
        )
        pointing = indexed.get((key.id, "foreign"), [])
        pointed_at = indexed.get((key.id, "referenced"), [])
        found.append(table)
        found.extend(_seen_through(table, pointing, pointed_at))
    return found


def _seen_through(
    base: Relationship, pointing: Sequence[ViewKey], pointed_at: Sequence[ViewKey]
) -> Iterable[Relationship]:
    """Yield `base` with a view in place of the table, of the foreign table, and of both."""
    near = [column for column, _ in base.columns]
    far = [column for _, column in base.columns]
    sources = [(key.view, names) for key in pointing for names in key.choices()]
    targets = [(key.view, names) for key in pointed_at for names in key.choices()]
    for view, names in sources:
        yield replace(
            base,
            table=view,
            columns=tuple(zip(names, far, strict=True)),
            is_self=False,
            table_is_view=True,
        )
    for view, names in targets:
        yield replace(
            base,
            foreign_table=view,
            columns=tuple(zip(near, names, strict=True)),
            is_self=False,
            foreign_table_is_view=True,
        )
    for (view, names), (foreign_view, foreign_names) in product(sources, targets):
        yield replace(
            base,
            table=view,
            foreign_table=foreign_view,
            columns=tuple(zip(names, foreign_names, strict=True)),
            is_self=view == foreign_view,
            table_is_view=True,
            foreign_table_is_view=True,
        )


def _inverse(one: Relationship) -> Relationship:
    return replace(
        one,
        table=one.foreign_table,
        foreign_table=one.table,
        kind="o2m" if one.kind == "m2o" else one.kind,
        columns=_swapped(one.columns),
        is_parent=one.kind == "o2o" and not one.is_parent,
        table_is_view=one.foreign_table_is_view,
        foreign_table_is_view=one.table_is_view,
    )


def _swapped(pairs: ColumnPairs) -> ColumnPairs:
    return tuple((second, first) for first, second in pairs)


def _many_to_many(
    relationships: Iterable[Relationship], primary_keys: Mapping[Name, Collection[str]]
) -> Iterable[Relationship]:
    """Yield a relationship for every pair of keys that lie within a junction's primary key."""
    leaving: dict[Name, list[Relationship]] = defaultdict(list)
    for one in relationships:
        key = primary_keys.get(one.table, ()) if one.kind == "m2o" else ()
        if all(column in key for column, _ in one.columns):
            leaving[one.table].append(one)
    for junction, arms in leaving.items():
        for first, second in product(arms, arms):
            if first.constraint != second.constraint:
                yield _across(junction, first, second)


def _across(junction: Name, first: Relationship, second: Relationship) -> Relationship:
    return Relationship(
        table=first.foreign_table,
        foreign_table=second.foreign_table,
        kind="m2m",
        junction=Junction(
            table=junction,
            constraint1=first.constraint,
            constraint2=second.constraint,
            source_columns=_swapped(first.columns),
            target_columns=_swapped(second.columns),
        ),
        is_self=first.foreign_table == second.foreign_table,
        table_is_view=first.foreign_table_is_view,
        foreign_table_is_view=second.foreign_table_is_view,
    )


# --- the map ----------------------------------------------------------------------------------


def _keyed(
    relationships: Iterable[Relationship], computed: Iterable[ComputedRelationship]
) -> dict[tuple[Name, str], list[AnyRelationship]]:
    """Group by (table, schema of the target).

    A computed relationship replaces the detected ones between the same table and a foreign table
    with the function's name, so that a function can override what the keys say.
    """
    pairs: dict[tuple[Name, Name], list[AnyRelationship]] = defaultdict(list)
    for one in relationships:
        pairs[one.table, one.foreign_table].append(one)
    for function in computed:
        pairs[function.table, function.function] = [function]
    grouped: dict[tuple[Name, str], list[AnyRelationship]] = defaultdict(list)
    for (table, target), found in pairs.items():
        grouped[table, target.schema].extend(found)
    return grouped


_KIND_ORDER = {"o2m": 0, "m2o": 1, "o2o": 2, "m2m": 3}


def _sort_key(one: AnyRelationship) -> tuple[object, ...]:
    """Order as PostgREST lists them in the details of PGRST201."""
    if isinstance(one, ComputedRelationship):
        return (1, _name_key(one.function), _name_key(one.table), _name_key(one.foreign_table))
    junction = one.junction
    through: tuple[object, ...] = (one.constraint, one.columns, one.is_parent)
    if junction is not None:
        columns = (junction.source_columns, junction.target_columns)
        through = (_name_key(junction.table), junction.constraint1, junction.constraint2, *columns)
    ends = (_name_key(one.table), _name_key(one.foreign_table), one.is_self)
    views = (one.table_is_view, one.foreign_table_is_view)
    return (0, *ends, _KIND_ORDER[one.kind], *through, *views)


def _name_key(name: Name) -> tuple[str, str]:
    return (name.schema, name.name)


# --- finding one ------------------------------------------------------------------------------


def find_relationship(
    catalog: Catalog, schema: str, origin: str, target: str, hint: str | None = None
) -> AnyRelationship:
    """Return what `origin?select=target!hint(*)` means.

    `target` is a relation, a foreign key or the column of a foreign key; `hint` chooses among
    several by foreign key, column or junction. Raises PGRST200 if nothing fits, PGRST201 if more
    than one relationship does.
    """
    known = catalog.relationships.get((Name(schema, origin), schema), ())
    fitting = [one for one in known if _fits(one, target, hint)]
    if not fitting:
        raise relationship_not_found(catalog, schema, origin, target, hint)
    if len(fitting) > 1:
        raise relationship_ambiguous(origin, target, fitting)
    return fitting[0]


def _fits(one: AnyRelationship, target: str, hint: str | None) -> bool:
    if isinstance(one, ComputedRelationship):
        return one.function.name == target
    rule = _fits_self if one.is_self else _fits_other
    return rule(one, target, hint)


def _fits_self(one: Relationship, target: str, hint: str | None) -> bool:
    """A key to its own table gives two relationships; the name says which one is meant.

    The table's name means its children, the key's column means the parent.
    """
    children = one.kind == "o2m" and one.foreign_table.name == target
    if hint is None:
        return children or (one.kind == "m2o" and _only_column(one, 0) == target)
    return children and _only_column(one, 1) == hint


def _fits_other(one: Relationship, target: str, hint: str | None) -> bool:
    named = one.foreign_table.name == target
    if hint is None:
        by_key = target in (_constraint_of(one), _only_column(one, 0))
        return named or (by_key and not one.foreign_table_is_view)
    if one.junction is not None:
        return named and one.junction.table.name == hint
    return named and hint in (one.constraint, _only_column(one, 0), _only_column(one, 1))


def _constraint_of(one: Relationship) -> str | None:
    return None if one.junction is not None else one.constraint


def _only_column(one: Relationship, side: int) -> str | None:
    return one.columns[0][side] if len(one.columns) == 1 else None
