"""Hints and the errors that carry them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb.local.rest.ast import Name
from aerodb.local.rest.catalog import (
    Catalog,
    ComputedRelationship,
    Parameter,
    Relationship,
    ReturnType,
    Routine,
    Table,
)
from aerodb.local.rest.fuzzy import FuzzySet, gram_vector, levenshtein, similarity
from aerodb.local.rest.suggestions import (
    column_not_found,
    relationship_ambiguous,
    relationship_not_found,
    routine_not_found,
    suggest,
    table_not_found,
)

words = st.text(alphabet="abcdE_1 ", max_size=12)


def api(name: str) -> Name:
    return Name("api", name)


# --- the fuzzy set ----------------------------------------------------------------------------


def test_grams_are_taken_between_hyphens_without_punctuation() -> None:
    assert gram_vector("A_bb b,", 2) == {
        "-a": 1,
        "ab": 1,
        "bb": 1,
        "b ": 1,
        " b": 1,
        "b,": 1,
        ",-": 1,
    }


@pytest.mark.parametrize(
    ("left", "right", "edits"),
    [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("flaw", "lawn", 2)],
)
def test_levenshtein(left: str, right: str, edits: int) -> None:
    assert levenshtein(left, right) == edits


@given(words, words)
def test_levenshtein_is_a_distance(left: str, right: str) -> None:
    assert levenshtein(left, right) == levenshtein(right, left)
    assert (levenshtein(left, right) == 0) == (left == right)
    assert 0.0 <= similarity(left, right) <= 1.0


STATES = FuzzySet(["Pennsylvania", "Rhode Island", "Virgin Islands", "Maryland", "Wyoming"])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "Burger Islands",
            [(10 / 14, "Virgin Islands"), (8 / 14, "Rhode Island"), (5 / 14, "Maryland")],
        ),
        ("Why-oh-me-ing", [(7 / 13, "Wyoming")]),
        ("Transylvania", [(9 / 12, "Pennsylvania")]),
        ("MARYLAND", [(1.0, "Maryland")]),
        ("xyzzy", []),
        ("", []),
    ],
)
def test_ranking(text: str, found: list[tuple[float, str]]) -> None:
    assert STATES.search(text) == [(pytest.approx(score), name) for score, name in found]


@given(st.lists(words, max_size=8), words)
def test_best_is_a_candidate_and_near_enough(candidates: list[str], text: str) -> None:
    best = FuzzySet(candidates).best(text, 0.5)
    assert best is None or (best in candidates and similarity(text.lower(), best.lower()) >= 0.5)


def test_equal_scores_prefer_the_later_candidate() -> None:
    assert suggest("abcdx", ["abcda", "abcdb"]) == "abcdb"


# --- tables and columns -----------------------------------------------------------------------


def with_tables(*names: str) -> Catalog:
    tables = {api(name): Table(api(name), {}) for name in names}
    tables[Name("other", "projectt")] = Table(Name("other", "projectt"), {})
    return Catalog(tables=tables)


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("project", "Perhaps you meant the table 'api.projects'"),
        ("projecxx", "Perhaps you meant the table 'api.projects'"),  # exactly three quarters
        ("projexxx", None),
        ("nothing_like_it", None),
    ],
)
def test_table_not_found(asked: str, hint: str | None) -> None:
    error = table_not_found(with_tables("projects", "clients"), api(asked))
    assert error.status == 404
    assert error.body() == {
        "code": "PGRST205",
        "message": f"Could not find the table 'api.{asked}' in the schema cache",
        "details": None,
        "hint": hint,
    }


@pytest.mark.parametrize(("count", "hinted"), [(498, True), (499, False)])
def test_big_schemas_get_no_table_hint(count: int, hinted: bool) -> None:
    catalog = with_tables("projects", *(f"t{number}" for number in range(count)))
    assert (table_not_found(catalog, api("project")).hint is not None) == hinted


@pytest.mark.parametrize(
    ("columns", "hint"),
    [
        (["id", "title", "text"], "Perhaps you meant the column 'title'"),
        (["id", "author"], None),
        ([], None),
    ],
)
def test_column_not_found(columns: list[str], hint: str | None) -> None:
    error = column_not_found("books", "titel", columns)
    assert (error.status, error.code, error.hint, error.details) == (400, "PGRST204", hint, None)
    assert error.message == "Could not find the 'titel' column of 'books' in the schema cache"


# --- relationships ----------------------------------------------------------------------------


def films(*targets: str) -> Catalog:
    related = tuple(Relationship(api("films"), api(name), "m2o", "fk") for name in targets)
    return Catalog(relationships={(api("films"), "api"): related})


@pytest.mark.parametrize(
    ("origin", "target", "hint"),
    [
        ("film", "directors", "Perhaps you meant 'films' instead of 'film'."),
        ("films", "role", "Perhaps you meant 'roles' instead of 'role'."),
        ("films", "actors", None),  # known: something else is wrong
        ("noclosealternative", "roles", None),
        ("films", "noclosealternative", None),
    ],
)
def test_relationship_not_found(origin: str, target: str, hint: str | None) -> None:
    catalog = films("directors", "roles", "actors")
    error = relationship_not_found(catalog, "api", origin, target)
    assert (error.status, error.code, error.hint) == (400, "PGRST200", hint)
    assert error.message == (
        f"Could not find a relationship between '{origin}' and '{target}' in the schema cache"
    )


def test_relationship_details_tell_the_hint() -> None:
    error = relationship_not_found(films(), "api", "films", "roles", "fk")
    assert error.details == (
        "Searched for a foreign key relationship between 'films' and 'roles' using the hint 'fk'"
        " in the schema 'api', but no matches were found."
    )


def test_a_computed_relationship_is_ambiguous_without_description() -> None:
    computed = ComputedRelationship(api("f"), api("a"), api("b"), Name("", ""), to_one=True)
    error = relationship_ambiguous(
        "a", "b", [computed, Relationship(api("a"), api("b"), "o2o", "k")]
    )
    assert error.details[0] == {}
    assert error.details[1]["cardinality"] == "one-to-one"


# --- functions --------------------------------------------------------------------------------


def routine(name: str, *parameters: str) -> Routine:
    inputs = tuple(Parameter(one, "text", "text") for one in parameters)
    return Routine(api(name), inputs, ReturnType(Name("pg_catalog", "int4")))


OVERLOADS = (routine("test", "val", "param", "name"), routine("test", "id", "attr"))
FUNCTIONS = Catalog(
    routines={
        api("test"): OVERLOADS,
        api("another"): (routine("another"),),
        Name("private", "other"): (routine("other"),),
    }
)


@pytest.mark.parametrize(
    ("name", "arguments", "hint"),
    [
        ("testt", ("val", "param", "name"), "api.test"),
        ("other", (), None),
        ("noclosealternative", (), None),
        ("test", ("vall", "pqaram", "nam"), "api.test(name, param, val)"),
        ("test", ("val", "param"), "api.test(name, param, val)"),
        ("test", ("id", "attrs"), "api.test(attr, id)"),
        ("test", ("id",), "api.test(attr, id)"),
        ("test", ("noclosealternative",), None),
    ],
)
def test_routine_hints(name: str, arguments: tuple[str, ...], hint: str | None) -> None:
    error = routine_not_found(
        FUNCTIONS, api(name), arguments, content_type="application/json", is_get=False
    )
    expected = hint and f"Perhaps you meant to call the function {hint}"
    assert (error.status, error.code, error.hint) == (404, "PGRST202", expected)


@pytest.mark.parametrize(
    ("arguments", "content_type", "is_get", "message", "searched"),
    [
        ((), "", True, " without parameters", " without parameters"),
        (("b", "a"), "", True, "(a, b)", " with parameters a, b"),
        (("a",), "text/csv", False, "(a)", " with parameter a"),
        (
            ("a",),
            "Application/JSON; charset=utf-8",
            False,
            "(a)",
            " with parameter a or with a single unnamed json/jsonb parameter",
        ),
        ((), "text/plain", False, "", " with a single unnamed text parameter"),
        ((), "text/xml", False, "", " with a single unnamed xml parameter"),
        ((), "application/octet-stream", False, "", " with a single unnamed bytea parameter"),
    ],
)
def test_routine_not_found_tells_what_was_searched(
    arguments: tuple[str, ...], content_type: str, is_get: bool, message: str, searched: str
) -> None:
    error = routine_not_found(
        Catalog(), api("f"), arguments, content_type=content_type, is_get=is_get
    )
    assert error.message == f"Could not find the function api.f{message} in the schema cache"
    assert error.details == (
        f"Searched for the function api.f{searched}, but no matches were found in the schema cache."
    )


def test_raw_bodies_get_no_hint() -> None:
    error = routine_not_found(FUNCTIONS, api("tes"), (), content_type="text/plain", is_get=False)
    assert error.hint is None
