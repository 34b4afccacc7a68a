"""`examples/flights.ipynb` runs from top to bottom in a real kernel, and shows what it says."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
NOTEBOOK = EXAMPLES / "flights.ipynb"
# the notebook's own last cells would take the keys away: this one tells what must not be shown
REVEAL = "import json; json.dumps([server.service_key, server.anon_key])"

pytestmark = [
    pytest.mark.slow,
    # zmq's and the kernel client's own housekeeping at the end of their loop
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Any], list[str]]:
    """The cells as executed, and the keys of the server that they had."""
    notebook: Any = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells.insert(2, nbformat.v4.new_code_cell(REVEAL))
    folder = tmp_path_factory.mktemp("ipython")
    environment = {**os.environ, "IPYTHONDIR": str(folder), "MPLCONFIGDIR": str(folder)}
    environment["PYTHONPATH"] = str(EXAMPLES.parent)
    resources = {"metadata": {"path": str(EXAMPLES)}}
    runner = NotebookClient(notebook, timeout=90, kernel_name="python3", resources=resources)
    runner.execute(env=environment)
    revealed = notebook.cells.pop(2).outputs[0]["data"]["text/plain"]
    return notebook.cells, json.loads(revealed.strip("'"))


def outputs_of(cells: list[Any], code: str) -> list[Any]:
    """The outputs of the one cell that has this code."""
    (cell,) = [one for one in cells if one.cell_type == "code" and code in one.source]
    outputs: list[Any] = cell.outputs
    return outputs


def shown(cells: list[Any], code: str, media: str) -> str:
    (text,) = [
        one["data"][media] for one in outputs_of(cells, code) if media in one.get("data", ())
    ]
    return str(text)


def test_answers_are_tables(executed: tuple[list[Any], list[str]]) -> None:
    cells, _ = executed
    html = shown(cells, "late.limit(5)", "text/html")
    assert html.startswith("<table>")
    assert html.count("<tr>") == 6
    assert "airline" in html
    delays = [int(text) for text in re.findall(r">(\d+)</td><td>[A-Z]", html)]
    assert len(delays) == 5
    assert delays == sorted(delays, reverse=True)
    assert min(delays) > 120


def test_errors_are_shown(executed: tuple[list[Any], list[str]]) -> None:
    html = shown(executed[0], "no_such_column", "text/html")
    assert "42703" in html


def test_queries_show_what_they_ask_for(executed: tuple[list[Any], list[str]]) -> None:
    text = shown(executed[0], "late = (", "text/plain")
    assert text.startswith("<QueryBuilder GET /rest/v1/flights?select=")
    assert "dep_delay=gt.120" in text


def test_columns_have_their_types(executed: tuple[list[Any], list[str]]) -> None:
    text = shown(executed[0], "frame.dtypes", "text/plain")
    assert re.search(r"time_hour +datetime64\[us, UTC\]", text)
    assert re.search(r"dep_delay +Int32", text)


def test_there_is_a_figure(executed: tuple[list[Any], list[str]]) -> None:
    assert len(shown(executed[0], "plt.show()", "image/png")) > 2000


def test_the_async_client_counts_what_was_inserted(executed: tuple[list[Any], list[str]]) -> None:
    inserted = int(shown(executed[0], ".inserted", "text/plain"))
    counted = shown(executed[0], "asyncio.gather", "text/plain")
    numbers = [int(text) for text in re.findall(r": (\d+)", counted)]
    assert len(numbers) == 3
    assert sum(numbers) == inserted > 2000


def test_the_interrupt_button_stops_a_call(executed: tuple[list[Any], list[str]]) -> None:
    (stopped, answer) = outputs_of(executed[0], "KeyboardInterrupt")
    assert stopped["text"] == "interrupted\n"
    assert "United" in answer["data"]["text/html"]


def test_nothing_is_said_on_stderr(executed: tuple[list[Any], list[str]]) -> None:
    """Not at the end either, where the interrupted call is still under way on the server."""
    shown = [output for cell in executed[0] for output in cell.get("outputs", ())]
    assert len(shown) > 5
    assert [output["text"] for output in shown if output.get("name") == "stderr"] == []


def test_no_key_is_shown(executed: tuple[list[Any], list[str]]) -> None:
    cells, keys = executed
    everything = json.dumps(cells)
    assert all(len(key) > 20 for key in keys)
    assert not [key for key in keys if key in everything]
    assert "aero_sk" not in everything
    assert "aero_pk" not in everything


def test_the_notebook_is_kept_without_outputs() -> None:
    notebook: Any = nbformat.read(NOTEBOOK, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
