"""Names to fields: the type of a column, and the functions of domain representations.

A representation is a cast between a domain and json or text, made by the user; PostgREST's
documentation, "domain representations". Output goes domain -> json, filters text -> domain,
payloads json -> domain.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from aerodb.local.rest.ast import Field, Fts, JsonStep, Name, Operation
from aerodb.local.rest.catalog import Catalog, Column, Table
from aerodb.local.rest.plan.tree import ResolvedField
from aerodb.local.rest.suggestions import column_not_found


@dataclass(frozen=True, slots=True)
class Resolver:
    """Resolves fields of one relation."""

    catalog: Catalog
    table: Name

    def columns(self) -> tuple[Column, ...]:
        """All columns, none if the relation is not in the catalog."""
        found = self.catalog.tables.get(self.table)
        return tuple(found.columns.values()) if found else ()

    def field(self, requested: Field) -> ResolvedField:
        """The field with its type, or of unknown type when the relation has no such column."""
        table = self.catalog.tables.get(self.table)
        column = table.columns.get(requested.name) if table else None
        if column is None:
            return ResolvedField(requested.name, requested.path, to_json=True)
        # json and jsonb take the arrows as they are: a to_jsonb around them would hide indexes.
        to_json = column.nominal_type not in ("json", "jsonb")
        return column_field(column, requested.path, to_json)

    def output(self, requested: Field) -> ResolvedField:
        """The field as it is shown."""
        return self.formatted(self.field(requested))

    def formatted(self, found: ResolvedField) -> ResolvedField:
        """The field through its representation as JSON, if it has one."""
        return self._transformed(found, found.type, "json")

    def query_input(self, requested: Field, operation: Operation) -> ResolvedField:
        """The field as a filter compares it: a tsvector for text search, and with values that its
        representation parses."""
        found = self.field(requested)
        if isinstance(operation, Fts) and found.type and found.base_type != "tsvector":
            found = replace(found, to_tsvector=True, ts_language=operation.language)
        return self._transformed(found, "text", found.type)

    def has_output_format(self, column: Column) -> bool:
        """Whether the column is shown through a representation."""
        return (column.nominal_type, "json") in self.catalog.representations

    def payload_field(self, table: Table, name: str) -> ResolvedField:
        """A column of the payload; PGRST204 when the table has none of that name."""
        column = table.columns.get(name)
        if column is None:
            raise column_not_found(table.name.name, name, table.columns)
        found = column_field(column)
        return self._transformed(found, "json", found.type)

    def _transformed(self, found: ResolvedField, source: str, target: str) -> ResolvedField:
        representation = self.catalog.representations.get((source, target))
        if representation is None:
            return found
        return replace(found, type=source, transform=representation.function)


def column_field(
    column: Column, path: tuple[JsonStep, ...] = (), to_json: bool = False
) -> ResolvedField:
    """A column of the catalog as a field."""
    return ResolvedField(
        column.name,
        path,
        to_json,
        type=column.nominal_type,
        base_type=column.type,
        default=column.default,
    )
