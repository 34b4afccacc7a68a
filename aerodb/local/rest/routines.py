"""Choosing the function that an rpc call means (wire contract §3.1, PGRST202 and PGRST203).

A function is chosen by its name and the names of the arguments, never by their types. Functions
with one unnamed parameter take the whole body, and only if no named overload fits.
"""

from __future__ import annotations

from aerodb.local.rest.ast import Name
from aerodb.local.rest.catalog import Catalog, Routine
from aerodb.local.rest.media_names import JSON, RAW_PARAMETER_TYPES, main_type
from aerodb.local.rest.suggestions import routine_ambiguous, routine_not_found


def find_routine(
    catalog: Catalog, name: Name, arguments: frozenset[str], *, content_type: str, is_get: bool
) -> Routine:
    """Return the one overload of `name` that takes `arguments`.

    `arguments` are the keys of the query string for GET and HEAD, otherwise the keys of the body
    or of the `columns` parameter. Raises PGRST202 if nothing fits, PGRST203 if several do.
    """
    media = None if is_get else main_type(content_type)
    overloads = catalog.routines.get(name, ())
    fitting = [one for one in overloads if _takes(one, arguments, media)]
    if not fitting:
        fitting = [one for one in overloads if _takes_body(one, media)]
    if not fitting:
        raise routine_not_found(catalog, name, arguments, content_type=content_type, is_get=is_get)
    if len(fitting) > 1:
        raise routine_ambiguous(fitting)
    return fitting[0]


def takes_single_unnamed(routine: Routine) -> bool:
    """Tell whether the whole body becomes the routine's only argument."""
    return len(routine.parameters) == 1 and not routine.parameters[0].name


def _takes(routine: Routine, arguments: frozenset[str], media: str | None) -> bool:
    """Every required parameter is given and nothing else than parameters is."""
    if not routine.parameters:
        return not arguments and media not in RAW_PARAMETER_TYPES
    required = {parameter.name for parameter in routine.parameters if parameter.required}
    optional = {parameter.name for parameter in routine.parameters if not parameter.required}
    return arguments - optional == required


def _takes_body(routine: Routine, media: str | None) -> bool:
    if media is None or not takes_single_unnamed(routine):
        return False
    kind = routine.parameters[0].type
    return kind in ("json", "jsonb") if media == JSON else RAW_PARAMETER_TYPES.get(media) == kind
