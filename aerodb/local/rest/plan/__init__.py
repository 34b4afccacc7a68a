"""Planning: (request, catalog, settings) to one SQL statement.

Resolves names against the catalog, in the stages that PostgREST documents (embedding, spreads,
related orders, null filters on embeds, aggregates, domain representations, media handlers), then
composes the SQL. Nothing here does I/O.
"""

from __future__ import annotations

from aerodb.local.rest.plan.cache import Planner
from aerodb.local.rest.plan.planner import plan_request
from aerodb.local.rest.plan.statement import Statement, StatementKind

__all__ = ["Planner", "Statement", "StatementKind", "plan_request"]
