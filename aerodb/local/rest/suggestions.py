"""The errors of names that the catalog does not know, with their "Perhaps you meant" hints.

Codes, messages, details and hints are PostgREST's (wire contract §3.7, PGRST200 to PGRST205): they
are facts of the wire. Every function here returns an error; the caller raises it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from aerodb.local.rest.ast import Name
from aerodb.local.rest.catalog import (
    AnyRelationship,
    Catalog,
    ColumnPairs,
    ComputedRelationship,
    Relationship,
    Routine,
)
from aerodb.local.rest.errors import RestError
from aerodb.local.rest.fuzzy import DEFAULT_MINIMUM, FuzzySet
from aerodb.local.rest.media_names import JSON, RAW_PARAMETER_TYPES, main_type

NAME_MINIMUM = 0.75
"""Names of tables and functions must be this near: a hint must not give hidden names away."""
COLUMN_MINIMUM = 0.5
"""Names of columns may be less near: PostgreSQL's own hints (42703) tell those as well."""
MAXIMUM_TABLES = 500
"""Schemas with this many tables or more get no table hint."""


def suggest(name: str, candidates: Iterable[str], *, minimum: float = NAME_MINIMUM) -> str | None:
    """Return the candidate that is most like `name`, if one is like enough."""
    return _fuzzy_set(tuple(candidates)).best(name, minimum)


@lru_cache(maxsize=16)
def _fuzzy_set(candidates: tuple[str, ...]) -> FuzzySet:
    """Index a list of names once: whoever asks for a wrong name may do so again and again."""
    return FuzzySet(candidates)


# --- tables and columns -----------------------------------------------------------------------


def table_not_found(catalog: Catalog, name: Name) -> RestError:
    """PGRST205: the target of the request is no table or view of its schema."""
    tables = [other.name for other in catalog.tables if other.schema == name.schema]
    near = suggest(name.name, tables) if len(tables) < MAXIMUM_TABLES else None
    return RestError(
        404,
        "PGRST205",
        f"Could not find the table '{name.schema}.{name.name}' in the schema cache",
        hint=f"Perhaps you meant the table '{name.schema}.{near}'" if near else None,
    )


def column_not_found(table: str, column: str, columns: Iterable[str]) -> RestError:
    """PGRST204: a column named by `columns`, a payload or a filter of a write does not exist.

    PostgREST has no hint here; PostgreSQL, which is asked about columns that are read, has one.
    """
    near = suggest(column, columns, minimum=COLUMN_MINIMUM)
    return RestError(
        400,
        "PGRST204",
        f"Could not find the '{column}' column of '{table}' in the schema cache",
        hint=f"Perhaps you meant the column '{near}'" if near else None,
    )


# --- relationships ----------------------------------------------------------------------------


def relationship_not_found(
    catalog: Catalog, schema: str, origin: str, target: str, hint: str | None = None
) -> RestError:
    """PGRST200: nothing connects `origin` with the embedded `target`."""
    using = f" using the hint '{hint}'" if hint is not None else ""
    return RestError(
        400,
        "PGRST200",
        f"Could not find a relationship between '{origin}' and '{target}' in the schema cache",
        details=(
            f"Searched for a foreign key relationship between '{origin}' and '{target}'{using}"
            f" in the schema '{schema}', but no matches were found."
        ),
        hint=_relationship_hint(catalog, schema, origin, target),
    )


def _relationship_hint(catalog: Catalog, schema: str, origin: str, target: str) -> str | None:
    """Correct the origin if it has no relationships at all, otherwise the target."""
    children = catalog.relationships.get((Name(schema, origin), schema))
    if children is None:
        parents = [table.name for table, foreign in catalog.relationships if foreign == schema]
        wrong, near = origin, suggest(origin, parents, minimum=DEFAULT_MINIMUM)
    else:
        found = FuzzySet(child.foreign_table.name for child in children).search(target)
        wrong, near = target, next((name for score, name in found if score < 1.0), None)
    return f"Perhaps you meant '{near}' instead of '{wrong}'." if near else None


def relationship_ambiguous(
    origin: str, target: str, relationships: Sequence[AnyRelationship]
) -> RestError:
    """PGRST201: several relationships fit; the details describe each, the hint names them."""
    hints = ", ".join(_hint_of(relationship) for relationship in relationships)
    return RestError(
        300,
        "PGRST201",
        "Could not embed because more than one relationship was found for"
        f" '{origin}' and '{target}'",
        details=[_describe(relationship) for relationship in relationships],
        hint=(
            f"Try changing '{target}' to one of the following: {hints}."
            " Find the desired relationship in the 'details' key."
        ),
    )


def _hint_of(relationship: AnyRelationship) -> str:
    if isinstance(relationship, ComputedRelationship):
        return ""
    by = relationship.junction.table.name if relationship.junction else relationship.constraint
    return f"'{relationship.foreign_table.name}!{by}'"


_CARDINALITIES = {
    "m2o": "many-to-one",
    "o2m": "one-to-many",
    "o2o": "one-to-one",
    "m2m": "many-to-many",
}


def _describe(relationship: AnyRelationship) -> dict[str, Any]:
    if isinstance(relationship, ComputedRelationship):
        return {}
    table, foreign = relationship.table.name, relationship.foreign_table.name
    return {
        "cardinality": _CARDINALITIES[relationship.kind],
        "embedding": f"{table} with {foreign}",
        "relationship": _describe_keys(relationship),
    }


def _describe_keys(relationship: Relationship) -> str:
    if (junction := relationship.junction) is not None:
        first = f"{junction.constraint1}({_side(junction.source_columns, 1)})"
        second = f"{junction.constraint2}({_side(junction.target_columns, 1)})"
        return f"{junction.table.name} using {first} and {second}"
    near = f"{relationship.table.name}({_side(relationship.columns, 0)})"
    far = f"{relationship.foreign_table.name}({_side(relationship.columns, 1)})"
    return f"{relationship.constraint} using {near} and {far}"


def _side(pairs: ColumnPairs, side: int) -> str:
    return ", ".join(pair[side] for pair in pairs)


# --- functions --------------------------------------------------------------------------------


def routine_not_found(
    catalog: Catalog, name: Name, arguments: Iterable[str], *, content_type: str, is_get: bool
) -> RestError:
    """PGRST202: no function of that name takes these arguments."""
    keys = sorted(arguments)
    media = "" if is_get else main_type(content_type)
    only_raw = media in RAW_PARAMETER_TYPES
    asked = f"{name.schema}.{name.name}"
    shown = "" if only_raw else f"({', '.join(keys)})" if keys else " without parameters"
    return RestError(
        404,
        "PGRST202",
        f"Could not find the function {asked}{shown} in the schema cache",
        details=(
            f"Searched for the function {asked}{_searched_with(keys, media)},"
            " but no matches were found in the schema cache."
        ),
        hint=None if only_raw else _routine_hint(catalog, name, keys),
    )


def _searched_with(keys: list[str], media: str) -> str:
    if media in RAW_PARAMETER_TYPES:
        return f" with a single unnamed {RAW_PARAMETER_TYPES[media]} parameter"
    plural = "s" if len(keys) > 1 else ""
    named = f" with parameter{plural} {', '.join(keys)}" if keys else " without parameters"
    return f"{named} or with a single unnamed json/jsonb parameter" if media == JSON else named


def _routine_hint(catalog: Catalog, name: Name, keys: list[str]) -> str | None:
    """Correct the function's name, or the argument names if there are functions of that name."""
    overloads = catalog.routines.get(name, ())
    if overloads:
        lists = [_listed(parameter.name for parameter in one.parameters) for one in overloads]
        near = suggest(_listed(keys), lists, minimum=DEFAULT_MINIMUM)
        found = f"{name.name}{near}" if near else None
    else:
        found = suggest(name.name, [r.name for r in catalog.routines if r.schema == name.schema])
    return f"Perhaps you meant to call the function {name.schema}.{found}" if found else None


def _listed(names: Iterable[str]) -> str:
    return f"({', '.join(sorted(names))})"


def routine_ambiguous(routines: Sequence[Routine]) -> RestError:
    """PGRST203: several overloads take these arguments."""
    shown = ", ".join(
        f"{one.name}({', '.join(f'{p.name} => {p.type}' for p in one.parameters)})"
        for one in routines
    )
    return RestError(
        300,
        "PGRST203",
        f"Could not choose the best candidate function between: {shown}",
        hint=(
            "Try renaming the parameters or the function itself in the database"
            " so function overloading can be resolved"
        ),
    )
