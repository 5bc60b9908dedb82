"""What evaluations give back, how it is written, and the bar on stderr."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from instdiff.cli import output_folder
from instdiff.errors import BadInput
from instdiff.formats.files import write_bytes

if TYPE_CHECKING:
    from rich.progress import Progress

JSON_FILE = "results.json"
MARKDOWN_FILE = "results.md"


class Failure(TypedDict):
    """What did not do what was asked of it; ``planned`` is false where there is no plan of it."""

    prompt: str
    failed: list[str] | str
    planned: bool
    seen: NotRequired[list[str] | str]


@dataclass(frozen=True)
class Table:
    """Text in rows as long as the columns; ``key`` is what a result's JSON calls the table."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    key: str = "table"

    @classmethod
    def from_json(cls, data: object) -> Table | None:
        """The table that an evaluation wrote; None if it is none."""
        if not isinstance(data, dict) or not isinstance(data.get("title"), str):
            return None
        columns = data.get("columns")
        rows = data.get("rows")
        if not isinstance(columns, list) or not isinstance(rows, list):
            return None
        if not all(isinstance(row, list) and len(row) == len(columns) for row in rows):
            return None
        if not all(isinstance(cell, str) for row in (columns, *rows) for cell in row):
            return None
        return cls(data["title"], columns, rows)

    def to_json(self) -> dict:
        """As it stands in a result's JSON."""
        return {"title": self.title, "columns": list(self.columns), "rows": [list(row) for row in self.rows]}

    def to_markdown(self, notes: Sequence[str] = ()) -> str:
        """The table and the notes on it."""
        lines = [f"# {_plain(self.title)}", "", _row(self.columns), f"| --- |{' ---: |' * (len(self.columns) - 1)}"]
        lines += [_row(row) for row in self.rows]
        return "\n".join([*lines, "", *(f"- {_plain(note)}" for note in notes), ""])


@dataclass(frozen=True)
class EvaluationResult:
    """What an evaluation measured.

    Args:
        evaluation: its name.
        figures: the measured figures and what they were measured of, under the keys of the JSON.
        tables: figures as text, the most important ones first.
        notes: sentences on the figures.
        failures: None where the evaluation has no such list.
    """

    evaluation: str
    figures: dict[str, Any]
    tables: tuple[Table, ...] = ()
    notes: Sequence[str] = ()
    failures: Sequence[Failure] | None = field(default=None, kw_only=True)

    def to_json(self) -> dict[str, Any]:
        """All of it under one level of keys."""
        failures = {} if self.failures is None else {"failures": list(self.failures)}
        tables = {table.key: table.to_json() for table in self.tables}
        return {"evaluation": self.evaluation, **self.figures, **failures, "notes": list(self.notes), **tables}

    def write(self, folder: Path) -> None:
        """Write ``results.json``, and the first table with the notes as ``results.md``.

        Raises:
            BadInput: nothing can be written there.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(str(folder), f"cannot be written to: {error.strerror or error}") from error
        write_bytes(folder / JSON_FILE, (json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n").encode())
        write_bytes(folder / MARKDOWN_FILE, self.tables[0].to_markdown(self.notes).encode())


def progress_bar(is_shown: bool = True) -> Progress:
    """Bars with the time left, on stderr; none where that is no terminal."""
    from rich import progress
    from rich.console import Console

    columns = (progress.TextColumn("{task.description}"), progress.BarColumn(), progress.MofNCompleteColumn())
    times = (progress.TimeElapsedColumn(), progress.TimeRemainingColumn())
    console = Console(stderr=True)
    is_shown = is_shown and console.is_terminal
    return progress.Progress(*columns, *times, console=console, speed_estimate_period=600, disable=not is_shown)


def add_output_arguments(parser: argparse.ArgumentParser, folder: Path) -> None:
    """The options that say where figures go, by default into ``folder``: ``args.folder`` and ``args.json``."""
    parser.add_argument("--out", type=output_folder, default=folder, dest="folder", help="where all goes (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")


def percent(value: float | None) -> str:
    """A share as it stands in tables; a dash where there is none."""
    return "-" if value is None else f"{100 * value:.1f}"


def figure_at(figures: Mapping, path: str) -> float | None:
    """The figure at a path such as ``box.ap``; None where it, or what holds it, is None or missing."""
    value: Any = figures
    for name in path.split("."):
        value = (value or {}).get(name)
    return value


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_plain(cell).replace('|', chr(92) + '|') for cell in cells)} |"


def _plain(text: str) -> str:
    """On one line, and no HTML: words may come from a model."""
    return " ".join(text.split()).replace("<", "&lt;")
