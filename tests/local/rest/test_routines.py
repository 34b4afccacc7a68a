"""Which overload an rpc call means."""

from __future__ import annotations

import pytest

from aerodb.local.rest.ast import Name
from aerodb.local.rest.catalog import Catalog, Parameter, ReturnType, Routine
from aerodb.local.rest.errors import RestError
from aerodb.local.rest.routines import find_routine, takes_single_unnamed

F = Name("api", "f")
JSON = "application/json"


def routine(*parameters: str) -> Routine:
    """`"a int"` is required, `"a int="` optional, `" json"` unnamed."""
    inputs = []
    for text in parameters:
        name, _, kind = text.rstrip("=").partition(" ")
        inputs.append(Parameter(name, kind, kind, required=not text.endswith("=")))
    return Routine(F, tuple(inputs), ReturnType(Name("pg_catalog", "int4")))


def find(
    overloads: list[Routine], *arguments: str, content_type: str = JSON, is_get: bool = False
) -> Routine:
    catalog = Catalog(routines={F: tuple(overloads)})
    return find_routine(catalog, F, frozenset(arguments), content_type=content_type, is_get=is_get)


def refusal(*args: object, **options: object) -> RestError:
    with pytest.raises(RestError) as caught:
        find(*args, **options)  # type: ignore[arg-type]
    return caught.value


@pytest.mark.parametrize(
    ("parameters", "arguments", "fits"),
    [
        ((), (), True),
        ((), ("a",), False),
        (("a int",), ("a",), True),
        (("a int",), (), False),
        (("a int",), ("a", "b"), False),
        (("a int", "b int="), ("a",), True),
        (("a int", "b int="), ("a", "b"), True),
        (("a int", "b int="), ("b",), False),
        (("a int=", "b int="), (), True),
        (("a int=", "b int="), ("b",), True),
        (("a int=",), ("c",), False),
    ],
)
def test_required_all_optional_any(
    parameters: tuple[str, ...], arguments: tuple[str, ...], fits: bool
) -> None:
    one = routine(*parameters)
    if fits:
        assert find([one], *arguments) is one
        assert find([one], *arguments, is_get=True) is one
    else:
        assert refusal([one], *arguments).code == "PGRST202"


def test_overloads_are_told_apart_by_argument_names() -> None:
    one, two, none = routine("a int"), routine("a int", "b int"), routine()
    assert find([none, one, two], "a") is one
    assert find([none, one, two], "b", "a") is two
    assert find([none, one, two]) is none


def test_overloads_by_type_alone_are_ambiguous() -> None:
    error = refusal([routine("arg integer"), routine("arg text", "num integer=")], "arg")
    assert (error.status, error.code) == (300, "PGRST203")
    assert error.body()["message"] == (
        "Could not choose the best candidate function between:"
        " api.f(arg => integer), api.f(arg => text, num => integer)"
    )
    assert error.details is None
    assert error.hint == (
        "Try renaming the parameters or the function itself in the database"
        " so function overloading can be resolved"
    )


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        (JSON, "json"),
        (JSON, "jsonb"),
        ("", "json"),
        ("application/json; charset=utf-8", "json"),
        ("text/plain", "text"),
        ("text/xml", "xml"),
        ("application/octet-stream", "bytea"),
    ],
)
def test_the_whole_body_as_one_unnamed_argument(content_type: str, kind: str) -> None:
    one = routine(f" {kind}")
    assert takes_single_unnamed(one)
    assert find([one], "x", content_type=content_type) is one
    assert refusal([one], "x", content_type=content_type, is_get=True).code == "PGRST202"


def test_other_bodies_do_not_fit_an_unnamed_argument() -> None:
    assert refusal([routine(" text")], content_type=JSON).code == "PGRST202"
    assert refusal([routine(" json")], content_type="text/plain").code == "PGRST202"
    assert refusal([routine(" json")], content_type="text/csv").code == "PGRST202"


def test_named_arguments_win_over_the_whole_body() -> None:
    unnamed, named = routine(" json"), routine("a int")
    assert find([unnamed, named], "a") is named
    assert find([unnamed, named], "b") is unnamed


def test_two_functions_for_the_whole_body_are_ambiguous() -> None:
    assert refusal([routine(" json"), routine(" jsonb")], "a").message.endswith(
        "between: api.f( => json), api.f( => jsonb)"
    )


def test_a_raw_body_does_not_call_a_function_without_parameters() -> None:
    none, raw = routine(), routine(" bytea")
    assert find([none, raw], content_type="application/octet-stream") is raw
    assert refusal([none], content_type="text/plain").code == "PGRST202"
    assert find([none], content_type="text/plain", is_get=True) is none
