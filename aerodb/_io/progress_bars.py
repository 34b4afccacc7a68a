"""`progress=True`: a bar by tqdm or rich, whichever is installed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

_HINT = "progress=True needs tqdm or rich: pip install 'aerodb[progress]', or pass a function"


def progress_bar() -> tuple[Callable[[Any], None], Callable[[], None]]:
    """A function that shows a `TransferProgress`, and one that ends the bar.

    Raises:
        ValueError: Neither library is installed.
    """
    if find_spec("tqdm") is not None:
        return _by_tqdm()
    if find_spec("rich") is not None:
        return _by_rich()
    raise ValueError(_HINT)


def _by_tqdm() -> tuple[Callable[[Any], None], Callable[[], None]]:
    from tqdm.auto import tqdm  # type: ignore[import-untyped,unused-ignore]

    bar: Any = tqdm(unit="B", unit_scale=True, unit_divisor=1024, file=sys.stderr)

    def show(progress: Any) -> None:
        bar.total = progress.total
        bar.set_description(progress.path, refresh=False)
        bar.update(progress.transferred - bar.n)

    return show, bar.close


def _by_rich() -> tuple[Callable[[Any], None], Callable[[], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn())
    bars = Progress(*columns, console=Console(stderr=True))
    task = bars.add_task("", total=None)
    bars.start()

    def show(progress: Any) -> None:
        done, total = progress.transferred, progress.total
        bars.update(task, description=progress.path, completed=done, total=total)

    return show, bars.stop
