"""Fields, conditions and orders as SQL (wire contract §3.4, the operators)."""

from __future__ import annotations

from typing import LiteralString

from aerodb.local.rest.ast import Fts, In, Is, IsDistinct, JsonStep, Name, Op
from aerodb.local.rest.plan.slots import FilterValue
from aerodb.local.rest.plan.sql_fragments import (
    EMPTY,
    Fragment,
    call,
    cast_target,
    column,
    concat,
    ident,
    join,
    literal,
    param,
    sql,
)
from aerodb.local.rest.plan.tree import (
    Condition,
    ConditionTree,
    EmbedCondition,
    JoinCondition,
    Junctor,
    ResolvedField,
    ResolvedOrder,
)

# --- fields -----------------------------------------------------------------------------------


def field_sql(table: Name, field: ResolvedField) -> Fragment:
    """A field as it is compared and ordered by."""
    if field.full_row:
        return ident(table.name)
    found = column(table, field.name)
    if field.path:
        if field.to_json:
            found = concat(sql("to_jsonb("), found, sql(")"))
        found = concat(found, *(_step(step) for step in field.path))
    if field.to_tsvector:
        return concat(sql("to_tsvector("), _language(field.ts_language), found, sql(")"))
    return found


def formatted_field(table: Name, field: ResolvedField) -> Fragment:
    """A field as it is shown: through its domain's representation, if it has one."""
    found = field_sql(table, field)
    return call(field.transform, found) if field.transform else found


def cast_sql(value: Fragment, target: str | None) -> Fragment:
    """The value cast to the type that was asked for, if any."""
    if target is None:
        return value
    return concat(sql("CAST("), value, sql(" AS "), cast_target(target), sql(")"))


def _step(step: JsonStep) -> Fragment:
    arrow = sql("->>") if step.as_text else sql("->")
    key = literal(step.operand)
    # An index that no integer holds is PostgreSQL's error to make, in the cast.
    return concat(arrow, key, sql("::int")) if step.is_index else arrow + key


def _language(language: str | None) -> Fragment:
    return literal(language) + sql(", ") if language is not None else EMPTY


# --- conditions -------------------------------------------------------------------------------

_OPERATORS: dict[str, LiteralString] = {
    "eq": "=",
    "neq": "<>",
    "gt": ">",
    "gte": ">=",
    "lt": "<",
    "lte": "<=",
    "like": "like",
    "ilike": "ilike",
    "match": "~",
    "imatch": "~*",
    "cs": "@>",
    "cd": "<@",
    "ov": "&&",
    "sl": "<<",
    "sr": ">>",
    "nxr": "&<",
    "nxl": "&>",
    "adj": "-|-",
}
_QUANTIFIERS: dict[str, LiteralString] = {"any": "ANY(", "all": "ALL("}
_TEXT_SEARCH: dict[str, LiteralString] = {
    "fts": "to_tsquery(",
    "plfts": "plainto_tsquery(",
    "phfts": "phraseto_tsquery(",
    "wfts": "websearch_to_tsquery(",
}
_TRUTHS: dict[str, LiteralString] = {
    "null": " IS NULL",
    "not_null": " IS NOT NULL",
    "true": " IS TRUE",
    "false": " IS FALSE",
    "unknown": " IS UNKNOWN",
}


def where_sql(conditions: list[Fragment]) -> Fragment:
    """A WHERE clause, empty without conditions."""
    return sql(" WHERE ") + join(" AND ", conditions) if conditions else EMPTY


def condition_sql(table: Name, condition: ConditionTree) -> Fragment:
    """A condition inside the query that it belongs to."""
    if isinstance(condition, Junctor):
        return junctor_sql(condition, [condition_sql(table, one) for one in condition.children])
    if isinstance(condition, EmbedCondition):
        # DISTINCT FROM and not IS NULL: a row whose columns are all null is a row.
        test = sql(" IS DISTINCT FROM NULL")
        if not condition.present:
            test = sql(" IS NOT DISTINCT FROM NULL")
        return ident(condition.aggregate_alias) + test
    return filter_sql(table, condition)


def junctor_sql(junctor: Junctor, children: list[Fragment]) -> Fragment:
    """AND or OR of what the children have become."""
    inner = join(" AND ", children) if junctor.operator == "and" else join(" OR ", children)
    return concat(sql("NOT (") if junctor.negated else sql("("), inner, sql(")"))


def filter_sql(table: Name, condition: Condition) -> Fragment:
    """One filter, negated or not."""
    compared = field_sql(table, condition.field) + _operation(condition)
    return sql("NOT ") + compared if condition.negated else compared


def _operation(condition: Condition) -> Fragment:
    operation = condition.operation
    value = param(FilterValue(condition.slot))
    match operation:
        case Op():
            return _comparison(operation, condition.field, value)
        case In():
            return _membership(operation, condition.field, value)
        case Is():
            return sql(_TRUTHS[operation.value])
        case IsDistinct():
            return sql(" IS DISTINCT FROM ") + value
        case Fts():
            return concat(
                sql(" @@ "),
                sql(_TEXT_SEARCH[operation.name]),
                _language(operation.language),
                value,
                sql(")"),
            )


def _comparison(operation: Op, field: ResolvedField, value: Fragment) -> Fragment:
    operator = concat(sql(" "), sql(_OPERATORS[operation.name]), sql(" "))
    if operation.name not in ("like", "ilike"):
        value = _parsed(value, field)
    if operation.quantifier is None:
        return operator + value
    return concat(operator, sql(_QUANTIFIERS[operation.quantifier]), value, sql(")"))


def _parsed(value: Fragment, field: ResolvedField) -> Fragment:
    return call(field.transform, value) if field.transform else value


def _membership(operation: In, field: ResolvedField, values: Fragment) -> Fragment:
    """`= ANY` of one array: one text for any number of values, and an empty list is possible."""
    if operation.values == ("",):
        return sql(" = ANY('{}')")
    if field.transform is None:
        return concat(sql(" = ANY ("), values, sql(")"))
    elements = concat(sql("unnest("), values, sql("::text[])"))
    return concat(sql(" = ANY (SELECT "), call(field.transform, elements), sql(")"))


def join_sql(condition: JoinCondition) -> Fragment:
    """The equality of two joined columns."""
    return concat(column(*condition.left), sql(" = "), column(*condition.right))


# --- order ------------------------------------------------------------------------------------

_DIRECTIONS: dict[str | None, LiteralString] = {None: "", "asc": " ASC", "desc": " DESC"}
_NULLS: dict[str | None, LiteralString] = {
    None: "",
    "first": " NULLS FIRST",
    "last": " NULLS LAST",
}


def order_sql(table: Name, terms: list[ResolvedOrder]) -> Fragment:
    """An ORDER BY clause, empty without terms."""
    if not terms:
        return EMPTY
    return sql(" ORDER BY ") + join(", ", (_term(table, term) for term in terms))


def _term(table: Name, term: ResolvedOrder) -> Fragment:
    owner = Name("", term.relation) if term.relation is not None else table
    return concat(
        field_sql(owner, term.field), sql(_DIRECTIONS[term.direction]), sql(_NULLS[term.nulls])
    )
