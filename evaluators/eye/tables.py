"""The tables of what a detector's word is worth."""

from __future__ import annotations

from collections.abc import Mapping

from evaluators.eye.examination import CALIBRATED, OWN
from evaluators.reporting import Table, figure_at, percent

WORST = 10
FIGURES = {
    "yes where it is": "hits",
    "yes where it is, small": "hits_by_size.small",
    "yes where it is, medium": "hits_by_size.medium",
    "yes where it is, large": "hits_by_size.large",
    "yes where it is, 1-2 things": "hits_by_number.1-2 things",
    "yes where it is, 3-4 things": "hits_by_number.3-4 things",
    "yes where it is, 5 or more": "hits_by_number.5 or more",
    "yes to another category": "false_yes",
    "yes to the most similar one": "false_yes_most_similar",
    "own category highest": "first",
    "colour right, of found": "colour_right",
    "pictures verified": "verified",
    "pictures verified, up to 4 things": "verified_few_things",
}
SPOILED = {"verified": "verified", "thing accepted": "accepted"}
PLANNED = {
    "pictures verified": "perfect.verified",
    "things found": "perfect.found",
    "verified with one thing swapped": "swapped.verified",
    "swapped thing accepted": "swapped.accepted",
}
Rows = Mapping[str, Mapping[str, dict]]  # part -> bar -> figures


def bars_of(rows: Rows) -> dict[str, dict]:
    """The figures of each part at each bar, by "part" and "part, calibrated"."""
    columns = {}
    for part, by_bar in rows.items():
        for bar, figures in by_bar.items():
            columns[_column(part, bar)] = figures
    return columns


def _column(name: str, bar: str) -> str:
    return name if bar == OWN else f"{name}, {bar}"


def main_table(title: str, rows: Rows) -> Table:
    """One line for each figure, one column for each part at each bar; all in percent but for the bar."""
    columns = bars_of(rows)
    lines = [["bar (score)", *(f"{figures['found_score']:.3f}" for figures in columns.values())]]
    for name, path in FIGURES.items():
        lines.append([name, *(percent(figure_at(figures, path)) for figures in columns.values())])
    return Table(title, ["percent", *columns], lines)


def spoiled_table(title: str, by_bar: Mapping[str, dict]) -> Table:
    """One line for each way of spoiling."""
    columns = [_column(name, bar) for bar in by_bar for name in SPOILED]
    lines = []
    for kind, first in by_bar[OWN].items():
        cells = [percent(figures[kind][path]) for figures in by_bar.values() for path in SPOILED.values()]
        lines.append([kind, str(first["pictures"]), *cells])
    return Table(title, ["percent", "pictures", *columns], lines, key="spoiled_table")


def planned_table(title: str, by_bar: Mapping[str, dict]) -> Table:
    """Perfect pictures of plans, and those with one thing swapped."""
    lines = [[name, *(percent(figure_at(by_bar[bar], path)) for bar in by_bar)] for name, path in PLANNED.items()]
    return Table(title, ["percent", *(_column("pictures", bar) for bar in by_bar)], lines, key="planned_table")


def alone_table(title: str, by_bar: Mapping[str, dict]) -> Table:
    """All categories together, then the worst."""
    columns = [_column(name, bar) for bar in by_bar for name in ("all", "plain", "coloured")]
    lines = [["all", *_alone_cells(by_bar)]]
    for name in list(by_bar[OWN]["categories"])[:WORST]:
        lines.append([name, *_alone_cells({bar: figures["categories"][name] for bar, figures in by_bar.items()})])
    return Table(title, ["percent", *columns], lines, key="categories_table")


def _alone_cells(by_bar: Mapping[str, dict]) -> list[str]:
    return [percent(figures[path]) for figures in by_bar.values() for path in ("hits", "plain", "coloured")]


def worst_table(title: str, by_bar: Mapping[str, dict]) -> Table:
    """The categories that are missed most often, and what each is mistaken for."""
    lines = []
    for name, row in list(by_bar[OWN]["categories"].items())[:WORST]:
        calibrated = by_bar.get(CALIBRATED, {}).get("categories", {}).get(name, {}).get("hits")
        lines.append([name, str(row["things"]), percent(row["hits"]), percent(calibrated), row["most_similar"] or "-"])
    return Table(title, ["percent", "things", "yes", "yes, calibrated", "most similar"], lines, key="worst_table")
