"""What evaluations have in common: the bar on stderr, and the files that their figures are written to."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from instdiff.errors import BadInput
from instdiff.formats.files import write_bytes

if TYPE_CHECKING:
    from rich.progress import Progress

JSON_FILE = "results.json"
MARKDOWN_FILE = "results.md"


def progress_bar() -> Progress:
    """Bars with the time left, on stderr."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), speed_estimate_period=600)


def add_output_arguments(parser: argparse.ArgumentParser, folder: Path) -> None:
    """The options that say where the figures go, by default into ``folder``; they are ``args.folder`` and
    ``args.json``.
    """
    parser.add_argument(
        "--out",
        type=Path,
        default=folder,
        dest="folder",
        metavar="FOLDER",
        help="where all goes (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.set_defaults(out=None)  # the results are written into the folder, not into one more file


def write_results(folder: Path, result: dict) -> None:
    """Write ``results.json``, and the table with what is to be said about it as ``results.md``.

    Args:
        result: has "table" ({"title", "columns", "rows"}, all text) and maybe "notes".

    Raises:
        BadInput: nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(str(folder), f"cannot be written to: {error.strerror or error}") from error
    write_bytes(folder / JSON_FILE, (json.dumps(result, indent=1, ensure_ascii=False) + "\n").encode())
    write_bytes(folder / MARKDOWN_FILE, to_markdown(result["table"], result.get("notes", ())).encode())


def to_markdown(table: dict, notes: Sequence[str]) -> str:
    """The table and what is to be said about it."""
    columns = table["columns"]
    lines = [f"# {_plain(table['title'])}", "", _row(columns), f"| --- |{' ---: |' * (len(columns) - 1)}"]
    lines += [_row(row) for row in table["rows"]]
    return "\n".join([*lines, "", *(f"- {_plain(note)}" for note in notes), ""])


def percent(value: float | None) -> str:
    """A share as it stands in tables; a dash where there is none."""
    return "-" if value is None else f"{100 * value:.1f}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_plain(cell).replace('|', chr(92) + '|') for cell in cells)} |"


def _plain(text: str) -> str:
    """On one line, and no HTML: words may come from a model."""
    return " ".join(text.split()).replace("<", "&lt;")
