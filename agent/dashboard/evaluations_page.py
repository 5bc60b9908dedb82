"""Evaluations: the tables of any number of results beside each other, and their figures as plots."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import streamlit as st

from agent.dashboard.navigation import plain, telling
from agent.dashboard.run_index import folders_with
from evaluators.reporting import JSON_FILE, Table
from instdiff.errors import BadInput
from instdiff.formats.files import parse_json, read_bytes
from instdiff.settings import outputs_folder

UNDER = "evaluations"
NO_FIGURES = ("table", "painted_with")
PLOTTED = 40  # figures at most in one plot


def show() -> None:
    """The results that are chosen, side by side."""
    st.header("Evaluations")
    root = outputs_folder() / UNDER
    folders = {str(folder.relative_to(root)): folder for folder in folders_with(JSON_FILE, UNDER)}
    if not folders:
        st.text(f"There are no results in {root}; make some with: python -m evaluators --help")
        return
    names = st.multiselect("Results", list(folders), default=list(folders)[:2])
    files = {name: folders[name] / JSON_FILE for name in names}
    if not files:
        st.text("Choose a result.")
        return
    results: dict[str, dict] = {}
    for (name, file), column in zip(files.items(), st.columns(len(files)), strict=True):
        with column, telling():
            st.subheader(plain(name))
            results[name] = _result(file, file.stat().st_mtime_ns)
            _tables(results[name])
    if results:
        _plot(results)


@lru_cache(maxsize=100)
def _result(path: Path, changed_ns: int) -> dict:
    data = parse_json(read_bytes(path), str(path))
    if not isinstance(data, dict):
        raise BadInput(path.parent.name, f"{path.name} holds no results")
    return data


def _tables(result: dict) -> None:
    """The tables as the command printed them, and its notes."""
    for table in filter(None, map(Table.from_json, result.values())):
        st.text(table.title)
        st.dataframe([dict(zip(table.columns, row, strict=True)) for row in table.rows], hide_index=True)
    notes = result.get("notes")
    for note in notes if isinstance(notes, list) else ():
        st.text(str(note))


def _plot(results: dict[str, dict]) -> None:
    """The figures that all results have: those that are not counts as bars beside each other, and all in a table."""
    by_result = {name: figures(result) for name, result in results.items()}
    shared = [key for key in next(iter(by_result.values())) if all(key in values for values in by_result.values())]
    if not shared:
        several = len(by_result) > 1
        st.text("These results have no figure in common." if several else "This result has no figures to plot.")
        return
    st.subheader("Figures beside each other")
    limit = f"The first {PLOTTED} are shown."
    word = st.text_input("Figures", placeholder="words of their names, such as ap50", help=limit)
    chosen = [key for key in shared if all(part in key.lower() for part in word.lower().split())][:PLOTTED]
    plotted = [key for key in chosen if all(isinstance(values[key], float) for values in by_result.values())]
    bars = [{"figure": key, "result": name, "value": by_result[name][key]} for key in plotted for name in by_result]
    if not chosen:
        st.text("No figure is called that.")
    if bars:
        st.altair_chart(_bars(bars))
    if chosen:
        rows = [{"figure": key, **{name: values[key] for name, values in by_result.items()}} for key in chosen]
        st.dataframe(rows, hide_index=True)


def _bars(rows: list[dict]):
    """A group of bars for each figure, one for each result."""
    import altair

    return altair.Chart(altair.Data(values=rows), height=max(200, 26 * len(rows)), mark="bar").encode(
        x=altair.X("value:Q", title=None),
        y=altair.Y("figure:N", title=None, sort=None, axis=altair.Axis(labelLimit=400)),
        yOffset=altair.YOffset("result:N", sort=None),
        color=altair.Color("result:N", sort=None, legend=altair.Legend(orient="top", labelLimit=400)),
    )


def figures(result: dict, prefix: str = "") -> dict[str, int | float]:
    """All numbers of a result by their path, such as ``box.ap50``; lists, tables and settings are passed over."""
    numbers: dict[str, int | float] = {}
    for key, value in result.items():
        if isinstance(value, dict):
            if key not in NO_FIGURES and not Table.from_json(value):
                numbers |= figures(value, f"{prefix}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            numbers[f"{prefix}{key}"] = value
    return numbers
