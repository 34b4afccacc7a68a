"""Relationships: found in a real database, and chosen by name and hint."""

from __future__ import annotations

import pytest

from aerodb.local.rest.ast import Name
from aerodb.local.rest.catalog import AnyRelationship, Catalog, ComputedRelationship, Relationship
from aerodb.local.rest.errors import RestError
from aerodb.local.rest.relationships import (
    ForeignKey,
    ViewKey,
    find_relationship,
    relationship_map,
    view_primary_keys,
)


def api(name: str) -> Name:
    return Name("api", name)


def known(catalog: Catalog, origin: str) -> list[str]:
    """Tell each relationship of `origin` in a few words."""
    return [told(one) for one in catalog.relationships[api(origin), "api"]]


def told(one: AnyRelationship) -> str:
    if isinstance(one, ComputedRelationship):
        return f"computed {one.function.name} {one.foreign_table.name} {one.to_one}"
    if one.junction is not None:
        return f"m2m {one.foreign_table.name} through {one.junction.table.name}"
    columns = ",".join(f"{near}={far}" for near, far in one.columns)
    return f"{one.kind} {one.foreign_table.name} {columns}"


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (
            "authors",
            [
                "o2m book_list id=writer",
                "o2m book_list id=writer_again",
                "o2m books id=author_id",
                "o2m books id=editor_id",
                "o2m loans id=who",
                "computed best_book books True",
                "computed profiles profiles False",  # in place of the detected one-to-one
            ],
        ),
        ("profiles", ["o2o authors author_id=id", "o2o book_list author_id=a_id"]),
        (
            "genres",
            [
                "o2m book_genres id=genre_id",
                "m2m book_list through book_genres",
                "m2m books through book_genres",
                "o2m genres id=parent_id",
                "m2o genres parent_id=id",
                "o2m loans id=genre",
                "o2m stored_genres id=parent_id",
                "m2o stored_genres parent_id=id",
            ],
        ),
        (
            "book_genres",
            [
                "m2o book_list isbn=isbn,volume=volume",
                "m2o books isbn=isbn,volume=volume",
                "m2o genres genre_id=id",
                "m2o stored_genres genre_id=id",
            ],
        ),
        (
            "loans",
            ["m2o authors who=id", "m2o book_list who=a_id", "m2o genres genre=id",
             "m2o stored_genres genre=id"],
        ),
    ],
)  # fmt: skip
def test_detected(library: Catalog, origin: str, expected: list[str]) -> None:
    assert known(library, origin) == expected


def test_junction_columns(library: Catalog) -> None:
    one = find_relationship(library, "api", "genres", "books")
    assert isinstance(one, Relationship)
    assert one.junction is not None
    assert (one.junction.constraint1, one.junction.constraint2) == (
        "book_genres_genre_id_fkey",
        "book_genres_isbn_volume_fkey",
    )
    assert one.junction.source_columns == (("id", "genre_id"),)
    assert one.junction.target_columns == (("isbn", "isbn"), ("volume", "volume"))


def test_one_to_one_tells_which_side_has_the_key(library: Catalog) -> None:
    child = find_relationship(library, "api", "profiles", "authors")
    parent = find_relationship(library, "api", "book_list", "profiles")
    assert isinstance(child, Relationship)
    assert isinstance(parent, Relationship)
    assert (child.is_parent, child.to_one) == (False, True)
    assert (parent.is_parent, parent.to_one) == (True, True)


def test_relations_related_to_hidden_ones_only_are_still_known(library: Catalog) -> None:
    """`authors` and `genres` meet in a hidden junction, which makes no relationship."""
    assert library.relationships[api("authors"), "hidden"] == ()
    with pytest.raises(RestError) as caught:
        find_relationship(library, "api", "authors", "genres")
    assert caught.value.code == "PGRST200"


@pytest.mark.parametrize(
    ("origin", "target", "hint", "expected"),
    [
        ("books", "genres", None, "m2m genres through book_genres"),
        ("books", "authors", "author_id", "m2o authors author_id=id"),
        ("books", "authors", "edited_by", "m2o authors editor_id=id"),
        ("books", "edited_by", None, "m2o authors editor_id=id"),
        ("books", "author_id", None, "m2o authors author_id=id"),
        ("books", "editors", None, "computed editors authors False"),
        ("books", "genres", "book_genres", "m2m genres through book_genres"),
        ("authors", "books", "editor_id", "o2m books id=editor_id"),
        ("authors", "books", "edited_by", "o2m books id=editor_id"),
        ("authors", "best_book", None, "computed best_book books True"),
        ("genres", "genres", None, "o2m genres id=parent_id"),
        ("genres", "parent_id", None, "m2o genres parent_id=id"),
        ("genres", "genres", "parent_id", "o2m genres id=parent_id"),
        ("loans", "authors", None, "m2o authors who=id"),
        ("loans", "who", None, "m2o authors who=id"),
        ("book_list", "authors", "writer", "m2o authors writer=id"),
    ],
)
def test_chosen(
    library: Catalog, origin: str, target: str, hint: str | None, expected: str
) -> None:
    assert told(find_relationship(library, "api", origin, target, hint)) == expected


@pytest.mark.parametrize(
    ("origin", "target", "hint"),
    [
        ("books", "nothing", None),
        ("books", "authors", "no_such_key"),
        ("books", "genres", "book_genres_isbn_volume_fkey"),  # a junction is named by its table
        ("genres", "genres", "id"),
        ("no_such_table", "books", None),
        ("counted", "books", None),
    ],
)
def test_nothing_fits(library: Catalog, origin: str, target: str, hint: str | None) -> None:
    with pytest.raises(RestError) as caught:
        find_relationship(library, "api", origin, target, hint)
    assert (caught.value.status, caught.value.code) == (400, "PGRST200")


def test_several_fit(library: Catalog) -> None:
    with pytest.raises(RestError) as caught:
        find_relationship(library, "api", "books", "authors")
    assert caught.value.status == 300
    assert caught.value.body() == {
        "code": "PGRST201",
        "message": "Could not embed because more than one relationship was found for"
        " 'books' and 'authors'",
        "hint": "Try changing 'authors' to one of the following:"
        " 'authors!books_author_id_fkey', 'authors!edited_by'."
        " Find the desired relationship in the 'details' key.",
        "details": [
            {
                "cardinality": "many-to-one",
                "embedding": "books with authors",
                "relationship": "books_author_id_fkey using books(author_id) and authors(id)",
            },
            {
                "cardinality": "many-to-one",
                "embedding": "books with authors",
                "relationship": "edited_by using books(editor_id) and authors(id)",
            },
        ],
    }


# --- pure -------------------------------------------------------------------------------------


def key(number: int, name: str, table: str, foreign: str, *columns: str) -> ForeignKey:
    pairs = tuple((column, f"{column}_id") for column in columns)
    return ForeignKey(number, name, api(table), api(foreign), pairs)


def test_a_junction_needs_both_keys_within_its_primary_key() -> None:
    keys = [key(1, "k1", "j", "a", "x"), key(2, "k2", "j", "b", "y")]
    narrow = relationship_map(keys, [], [], {api("j"): ("x",)}, ["api"])
    wide = relationship_map(keys, [], [], {api("j"): ("z", "y", "x")}, ["api"])
    assert [told(one) for one in narrow[api("a"), "api"]] == ["o2m j x_id=x"]
    assert [told(one) for one in wide[api("a"), "api"]] == ["m2m b through j", "o2m j x_id=x"]


def test_three_keys_make_every_pair_of_ends_related() -> None:
    keys = [key(n, f"k{n}", "j", end, end) for n, end in enumerate("abc")]
    found = relationship_map(keys, [], [], {api("j"): ("a", "b", "c")}, ["api"])
    assert [told(one) for one in found[api("b"), "api"]] == [
        "m2m a through j",
        "m2m c through j",
        "o2m j b_id=b",
    ]


def test_a_view_that_shows_key_columns_twice_has_a_relationship_for_each_choice() -> None:
    keys = [key(1, "k", "t", "f", "x", "y")]
    shown = [
        ViewKey(api("v"), 1, "foreign", (("x1", "x2"), ("y1",))),
        ViewKey(api("w"), 1, "referenced", (("p",), ("q",))),
    ]
    found = relationship_map(keys, shown, [], {}, ["api"])
    assert [told(one) for one in found[api("v"), "api"]] == [
        "m2o f x1=x_id,y1=y_id",
        "m2o f x2=x_id,y1=y_id",
        "m2o w x1=p,y1=q",
        "m2o w x2=p,y1=q",
    ]
    both = found[api("v"), "api"][2]
    assert isinstance(both, Relationship)
    assert (both.table_is_view, both.foreign_table_is_view, both.is_self) == (True, True, False)


def test_a_view_that_joins_a_table_with_its_children_is_related_to_itself() -> None:
    shown = [
        ViewKey(api("v"), 1, "foreign", (("child",),)),
        ViewKey(api("v"), 1, "referenced", (("parent",),)),
    ]
    found = relationship_map([key(1, "k", "t", "f", "x")], shown, [], {}, ["api"])
    related = [one for one in found[api("v"), "api"] if one.is_self]
    assert [told(one) for one in related] == ["o2m v parent=child", "m2o v child=parent"]


def test_columns_of_keys_to_views_are_no_targets() -> None:
    shown = [ViewKey(api("w"), 1, "referenced", (("p",),))]
    found = relationship_map([key(1, "k", "t", "f", "x")], shown, [], {}, ["api"])
    catalog = Catalog(relationships=found)
    assert find_relationship(catalog, "api", "t", "x").foreign_table == api("f")
    assert find_relationship(catalog, "api", "t", "k").foreign_table == api("f")
    assert find_relationship(catalog, "api", "t", "w", "x").foreign_table == api("w")


def test_primary_keys_of_views_take_the_first_column_that_shows_each() -> None:
    shown = [
        ViewKey(api("v"), 1, "primary", (("a", "b"),)),
        ViewKey(api("v"), 2, "primary", (("c",), ("d", "e"))),
        ViewKey(api("v"), 3, "foreign", (("f",),)),
    ]
    assert view_primary_keys(shown) == {api("v"): ("a", "c", "d")}
