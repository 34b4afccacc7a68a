"""What `print`, IPython and notebooks show of an answer."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from aerodb import AeroDBError, AeroDBResponse, ResponseMeta
from aerodb._core.tables import Column, Table

ROWS = [{"id": 1, "name": "Ada", "tags": ["a"]}, {"id": 22, "name": None, "tags": None}]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=4
)


def test_rows_are_a_table() -> None:
    assert str(AeroDBResponse(ROWS, count=1234)).split("\n") == [
        "id  name  tags",
        "--  ----  -----",
        ' 1  Ada   ["a"]',
        "22  None  None",
        "1,234 rows in all",
    ]


def test_one_row_and_typed_rows_are_tables_too() -> None:
    @dataclass
    class Pet:
        name: str
        age: int

    assert str(AeroDBResponse({"name": "Rex", "age": 3})) == str(AeroDBResponse([Pet("Rex", 3)]))


@pytest.mark.parametrize("library", ["pandas", "polars", "arrow"])
def test_a_data_frame_shows_itself(library: str) -> None:
    response = AeroDBResponse([{"name": "Ada"}, {"name": "esc\x1b[31m"}])
    frame = getattr(response, f"to_{library}")()
    assert str(frame).split("\n") == [
        line.replace("\x1b", "\\x1b") for line in str(frame.data).split("\n")
    ]
    assert len(str(frame).split("\n")) > 2


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ([], "no rows"),
        (None, "None"),
        (7, "7"),
        ("a\nb", "a\\nb"),
        ([1, 2], "[1, 2]"),
        (b"x", "b'x'"),
    ],
)
def test_what_is_no_table_is_one_line(data: Any, text: str) -> None:
    assert str(AeroDBResponse(data)) == text


def test_large_answers_are_cut_and_say_so() -> None:
    rows = [{f"c{at}": number for at in range(30)} for number in range(1000)]
    lines = str(AeroDBResponse(rows)).split("\n")
    assert len(lines) == 2 + 20 + 2
    assert lines[-2:] == ["... 980 more rows", "... 18 more columns"]
    assert max(map(len, str(AeroDBResponse([{"a": "x" * 10_000}])).split("\n"))) == 40


def test_an_error_is_shown_with_its_code_and_hint() -> None:
    error = AeroDBError("no <such> table", status=404, code="PGRST205", hint="try 'todos'")
    response = AeroDBResponse[Any](error=error)
    assert str(response) == "PGRST205 404: no <such> table (try 'todos')"
    shown = response._repr_html_()
    assert "PGRST205 404" in shown
    assert "&lt;such&gt;" in shown
    assert "try &#x27;todos&#x27;" in shown


class Outline(HTMLParser):
    """Which elements there are, and what text they hold."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@given(st.lists(st.dictionaries(st.text(max_size=8), VALUES, min_size=1, max_size=3), max_size=3))
def test_no_value_becomes_markup_or_moves_the_cursor(rows: list[dict[str, Any]]) -> None:
    response = AeroDBResponse(rows)
    tags = Outline(response._repr_html_()).tags
    assert set(tags) <= {"table", "thead", "tbody", "tr", "th", "td", "p"}
    assert all(character.isprintable() or character in "\n" or ord(character) > 0x9F
               for character in str(response))  # fmt: skip


def test_hostile_cells() -> None:
    evil = "</td><script>alert(1)</script>\x1b]8;;http://evil\x07\u202e"
    response = AeroDBResponse([{evil: evil}])
    for shown in (str(response), response._repr_html_()):
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert "\\x1b" in shown
    assert "<script" not in response._repr_html_()


def test_ipython_shows_the_table() -> None:
    texts: list[str] = []

    class Printer:
        text = texts.append

    AeroDBResponse(ROWS)._repr_pretty_(Printer, cycle=False)
    assert texts == [str(AeroDBResponse(ROWS))]


def test_rich_prints_the_table_and_takes_nothing_for_markup() -> None:
    def printed(value: Any) -> str:
        to = io.StringIO()
        Console(file=to, width=60, force_terminal=False).print(value)
        return to.getvalue().rstrip()

    response = AeroDBResponse([{"name": "[bold]Ada[/bold] :smiley:"}])
    assert printed(response) == str(response)
    error = AeroDBError("no [red]table[/red]", status=404, code="PGRST205")
    assert printed(error) == printed(AeroDBResponse[Any](error=error)) == str(error)
    wide = AeroDBResponse([{f"column {at}": "x" * 30 for at in range(12)}])
    assert printed(wide).split() == str(wide).split(), "nothing is cut off"


def test_repr_is_still_the_whole_answer() -> None:
    assert json.dumps(ROWS[0]["name"]).strip('"') in repr(AeroDBResponse(ROWS))


# --- what is missing is said ------------------------------------------------------------------

CUT = ResponseMeta(truncated=True)


def test_rows_that_the_server_left_out_are_told() -> None:
    rows = [{"id": number} for number in range(1000)]
    known = AeroDBResponse(rows, count=10_002, meta=CUT)
    assert str(known).endswith(
        "... 980 more rows\n10,002 rows in all\n"
        "only 1,000 of 10,002 rows came: .all() gets every row"
    )
    unknown = AeroDBResponse(rows, meta=CUT)
    note = "only 1,000 rows came, and there may be more: .all() gets every row"
    assert str(unknown).endswith(note)
    assert note in unknown._repr_html_()
    assert "only" not in str(AeroDBResponse(rows, meta=ResponseMeta(truncated=False)))


def test_a_frame_of_rows_that_are_not_all_warns() -> None:
    rows = [{"id": 1}, {"id": 2}]
    with pytest.warns(UserWarning, match=r"only 2 of 9 rows came: query\.all\(\)") as seen:
        AeroDBResponse(rows, count=9, meta=CUT).to_pandas().unwrap()
    assert seen[0].filename == __file__


def test_a_count_is_shown_once() -> None:
    assert str(AeroDBResponse(19, count=19)) == "19"
    assert "rows" not in AeroDBResponse(19, count=19)._repr_html_()


def test_a_prompt_shows_one_short_line() -> None:
    rows = [{"id": number, "title": "x" * 100} for number in range(5000)]
    shown = repr(AeroDBResponse(rows, count=9000))
    assert shown.startswith("<AeroDBResponse 5,000 rows, count 9,000: [{'id': 0, 'title': 'xxx")
    assert len(shown) < 250
    assert repr(AeroDBResponse(7)) == "<AeroDBResponse 7>"
    assert repr(AeroDBResponse([])) == "<AeroDBResponse 0 rows: []>"
    failed = AeroDBError("no such\x1b[31m table", 404, "PGRST205")
    assert repr(AeroDBResponse(error=failed)) == (
        "<AeroDBResponse error PGRST205 404: no such\\x1b[31m table>"
    )


def test_an_error_that_is_looked_at_is_shown_with_its_details() -> None:
    """They have the value that is in the way. Rows are shown too; text for logs has neither."""
    error = AeroDBError(
        "duplicate key", 409, "23505", details="Key (name)=(<Oslo>) exists already."
    )
    response = AeroDBResponse[Any](error=error)
    assert str(response) == "23505 409: duplicate key\nKey (name)=(<Oslo>) exists already."
    assert "Key (name)=(&lt;Oslo&gt;) exists already." in response._repr_html_()
    assert "Oslo" not in str(error) + repr(response)
    ambiguous = AeroDBError("two ways", 300, "PGRST201", details=[{"a": "x" * 2000}])
    assert len(str(AeroDBResponse[Any](error=ambiguous))) < 1000


def test_a_table_of_the_database_shows_all_of_its_columns() -> None:
    """In the list of tables they are cut: this is where to read on."""
    columns = [Column(f"c{n}", format="text", primary=n == 0, nullable=n > 0) for n in range(30)]
    table = Table("<wide>", tuple(columns))
    lines = str(table).splitlines()
    assert [line.split() for line in lines[::30]] == [["<wide>"], ["c27", "text", "True", "False"]]
    assert lines[1].split() == ["column", "type", "nullable", "primary"]
    assert len(lines) == 33
    shown = table._repr_html_()
    assert "&lt;wide&gt;" in shown
    assert shown.count("<tr>") == 31
    assert str(Table("bare")) == "bare\nno columns"
