"""One page of all results: the tables of every evaluation under a folder, as HTML with bars, and as Markdown."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from evaluators.reporting import JSON_FILE, EvaluationResult, Table
from instdiff.cli import output_folder
from instdiff.errors import BadInput
from instdiff.formats.files import parse_json, read_bytes, write_bytes
from instdiff.formats.photographs import open_photograph
from instdiff.notebook import data_url

PLACE = Path("outputs/evaluations")
HTML_FILE = "report.html"
MARKDOWN_FILE = "report.md"
MAX_PICTURES = 2
MAX_WIDTH = 1200  # of an evaluation; pixels
HELP = """Puts all that was measured on one page: every JSON file under FOLDER that an evaluation wrote, with its table,
its notes and the pictures beside it. report.html needs no other file; report.md holds the tables alone."""
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
body { color: #1c2330; background: #fff }
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2.5rem; border-top: 1px solid #d5dae3; padding-top: 1rem }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { padding: .3rem .6rem; border-bottom: 1px solid #e3e7ee; text-align: right; vertical-align: bottom }
th:first-child, td:first-child { text-align: left }
.bar { display: block; height: 4px; background: #e8ecf3; margin-top: 2px }
.bar i { display: block; height: 4px; background: #2f6fde }
.notes { color: #566073; font-size: .9rem } img { max-width: 100%; margin-top: 1rem; border: 1px solid #d5dae3 }
.scroll { overflow-x: auto }
@media (prefers-color-scheme: dark) {
  body { color: #dfe4ee; background: #14181f } th, td, h2 { border-color: #333b49 }
  .bar { background: #2a3140 } .notes { color: #9aa5b8 }
}"""


@dataclass(frozen=True)
class WrittenResult:
    """A result that an evaluation wrote, now or long ago: its first table, and the notes on it."""

    path: Path
    table: Table
    notes: Sequence[str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m evaluators report``."""
    parser.add_argument("place", type=Path, nargs="?", default=PLACE, metavar="FOLDER", help="results (%(default)s)")
    parser.add_argument("--out", type=output_folder, dest="folder", metavar="FOLDER", help="where it goes (FOLDER)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")


def run(args: argparse.Namespace) -> EvaluationResult:
    """The command.

    Raises:
        BadInput: the folder holds no results.
    """
    results = read_results(args.place)
    out = args.folder or args.place
    out.mkdir(parents=True, exist_ok=True)
    write_bytes(out / HTML_FILE, page(args.place, results).encode())
    markdown = "\n".join(result.table.to_markdown(result.notes) for result in results)
    write_bytes(out / MARKDOWN_FILE, markdown.encode())
    rows = [[str(result.path.relative_to(args.place)), result.table.title] for result in results]
    table = Table(f"{len(results)} evaluations", ["file", "title"], rows)
    notes = [f"written: {out / HTML_FILE}, {out / MARKDOWN_FILE}"]
    return EvaluationResult("report", {"files": [row[0] for row in rows]}, (table,), notes)


def read_results(folder: Path) -> list[WrittenResult]:
    """All that evaluations wrote below a folder, by the names of the files; other JSON is passed over.

    Raises:
        BadInput: there is nothing.
    """
    results = []
    for path in sorted(folder.rglob("*.json")):
        try:
            data = parse_json(read_bytes(path), str(path))
        except BadInput:
            continue  # not ours, or too large to be
        if isinstance(data, dict) and isinstance(data.get("evaluation"), str):
            table = Table.from_json(data.get("table"))
            notes = data.get("notes")
            if table:
                results.append(WrittenResult(path, table, list(map(str, notes)) if isinstance(notes, list) else []))
    if not results:
        raise BadInput(str(folder), f"holds no results; evaluations write {JSON_FILE} under --out")
    return results


def page(folder: Path, results: Sequence[WrittenResult]) -> str:
    """The HTML page; every word that comes from a file is escaped."""
    sections = "\n".join(_section(folder, result) for result in results)
    meta = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    head = f"{meta}<title>Evaluations</title><style>{STYLE}</style>"
    return f'<!doctype html><html lang="en"><head>{head}</head><body><h1>Evaluations</h1>\n{sections}\n</body></html>\n'


def _section(folder: Path, result: WrittenResult) -> str:
    table = result.table
    heads = "".join(f"<th>{escape(column)}</th>" for column in table.columns)
    columns = ["", *table.columns[1:]]  # the cells of the first are no figures
    in_percent = ["percent" in table.columns[0] or "percent" in column for column in columns]
    body = "".join(f"<tr>{''.join(map(_cell, row, in_percent))}</tr>" for row in table.rows)
    sources = [*result.notes, f"from {result.path.relative_to(folder)}"]
    notes = "".join(f"<li>{escape(note)}</li>" for note in sources)
    pictures = "".join(
        f'<img alt="{escape(picture.name)}" src="{_data_url(picture)}">'
        for picture in sorted(result.path.parent.glob("*.png"))[:MAX_PICTURES]
    )
    rows = f'<div class="scroll"><table><tr>{heads}</tr>{body}</table></div>'
    return f'<h2>{escape(table.title)}</h2>{rows}<ul class="notes">{notes}</ul>{pictures}'


def _cell(text: str, in_percent: bool) -> str:
    """A cell, with a bar below it if it is a share of 100."""
    number = re.fullmatch(r"\s*([0-9]{1,3}(?:\.[0-9]+)?)\s*(%.*)?", text, re.DOTALL)
    if not number or not (in_percent or number[2]) or float(number[1]) > 100:
        return f"<td>{escape(text)}</td>"
    return f'<td>{escape(text)}<span class="bar"><i style="width:{float(number[1]):.1f}%"></i></span></td>'


def _data_url(path: Path) -> str:
    """A picture beside a result, made small, as part of the page."""
    image = open_photograph(path, read_bytes(path))
    if image.width > MAX_WIDTH:
        image = image.resize((MAX_WIDTH, max(1, round(image.height * MAX_WIDTH / image.width))))
    return data_url(image)
