"""Two runs beside each other: their pictures, what became of each thing, the plans, and the settings that differ."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import streamlit as st

from agent.console import place
from agent.dashboard import navigation, pictures
from agent.dashboard.navigation import plain, shortened, telling
from agent.dashboard.rounds_view import ShownRound, changes, cost, shown_rounds
from agent.dashboard.run_index import run_folder, state_of, summaries
from agent.dashboard.table import show_rows
from agent.request import Request
from agent.runs import Run
from instdiff.cli import options
from instdiff.errors import BadInput

SIDES = ("left", "right")  # in the address
LISTED = 200  # runs that can be chosen from
COLUMNS = ("thing", "left", "left IoU", "right", "right IoU", "planned left", "planned right")
EMPTY = {column: None if column.endswith("IoU") else "" for column in COLUMNS}


class Side(NamedTuple):
    """A run, and the round of it that counts."""

    run: Run
    shown: ShownRound


def show() -> None:
    """The two that the address names; another choice changes the address."""
    st.header("Two runs side by side")
    names = _choose()
    sides = []
    for column, name in zip(st.columns(2), names, strict=True):
        with column, telling():
            if name:
                sides.append(_side(name))
    if len(sides) < 2:
        return
    left, right = sides
    slider, settings = st.columns(2)
    with slider, telling():
        key = f"slider-{left.run.folder.name}-{right.run.folder.name}"
        pictures.compare(left.shown.picture, right.shown.picture, "left", "right", key=key)
    with settings:
        _settings(left.run, right.run)
    st.subheader("What became of each thing")
    rows = [list(row.values()) for row in verdicts(left, right)]
    show_rows(COLUMNS, rows, f"verdicts-{left.run.folder.name}-{right.run.folder.name}")
    st.subheader("From the left plan to the right one")
    for sentence in changes(left.shown.layout, right.shown.layout) or ["The plans are the same."]:
        st.text(sentence)


def _choose() -> list[str | None]:
    """The names of both runs; the newest ones are offered, and any run by its name in the address."""
    runs = [run for run in summaries() if run.score is not None][:LISTED]
    titles = {run.name: f"{shortened(run.title, 60)} ({run.name})" for run in runs}
    asked = {side: st.query_params.get(side) for side in SIDES}
    titles = {**{name: name for name in asked.values() if name}, **titles}
    chosen: dict[str, str | None] = {}
    for column, side in zip(st.columns(2), SIDES, strict=True):
        names = list(titles)
        index = names.index(asked[side]) if asked[side] else None
        label = side.capitalize()
        key = f"compare-{side}-{asked[side]}"  # another address is another field
        chosen[side] = column.selectbox(label, names, index, titles.get, key=key, placeholder="choose a run")
    if chosen != asked:
        st.query_params.from_dict({side: name for side, name in chosen.items() if name})
    return list(chosen.values())


def _side(name: str) -> Side:
    """The picture of one run with its marks, and a line about it.

    Raises:
        BadInput: there is no such run, or it has no picture that can be read.
    """
    run = Run.load(run_folder(name))
    if run.best_round is None:
        raise BadInput("run", f"{name} has no picture yet")
    shown = shown_rounds(run)[run.best_round]
    if isinstance(shown, BadInput):
        raise shown
    words = run.request.edited.words if run.request.edited else run.request.prompt
    navigation.link("run", plain(shortened(words, 80) or name), whole=words, run=name)
    st.image(shown.marked(True, True, False), width="stretch", output_format="PNG", alt=f"the picture of {name}")
    found = f"{shown.report.found} of {len(shown.layout.instances)} found, mean IoU {shown.report.mean_iou:.2f}"
    st.text(f"{state_of(run)}: {found}\n{cost(run.unet_evaluations, run.seconds.get('total', 0.0))}")
    return Side(run, shown)


def verdicts(left: Side, right: Side) -> list[dict[str, object]]:
    """A row for each thing that is planned in either; those of one name are taken for each other in their order."""
    rows: dict[tuple[str, int], dict[str, object]] = {}
    for side, verdict_in, iou_in, plan_in in ((left, *COLUMNS[1:3], COLUMNS[5]), (right, *COLUMNS[3:5], COLUMNS[6])):
        seen: dict[str, int] = defaultdict(int)
        for verdict in side.shown.report.verdicts:
            seen[verdict.name] += 1
            number = seen[verdict.name]
            label = verdict.name if number == 1 else f"{verdict.name} {number}"
            row = rows.setdefault((verdict.name, number), {**EMPTY, "thing": label})
            row[verdict_in] = verdict.kind.value
            row[iou_in] = round(verdict.iou, 2) if verdict.detection else None
            row[plan_in] = place(side.shown.layout.instances[verdict.instance], side.shown.layout)
    return list(rows.values())


def _settings(left: Run, right: Run) -> None:
    st.subheader("Settings that differ")
    rows = differing(left, right)
    if rows:
        key = f"settings-{left.folder.name}-{right.folder.name}"
        show_rows(list(rows[0]), [list(row.values()) for row in rows], key)
    else:
        st.text("None: they were asked for alike.")


def differing(left: Run, right: Run) -> list[dict[str, str]]:
    """The options, and what came of them, in which two runs differ."""
    pairs: dict[str, tuple[object, object]] = {"prompt": (left.request.prompt, right.request.prompt)}
    pairs |= {option.name: (option.of(left.request), option.of(right.request)) for option in options(Request)}
    pairs["edit"] = (_edit(left), _edit(right))
    pairs["planned by"] = (left.planner, right.planner)
    pairs["seed of the picture"] = (_seed(left), _seed(right))
    pairs["model"] = (left.model_hash, right.model_hash)
    for name in sorted({*left.painted_with, *right.painted_with}):
        pairs[f"painted with {name}"] = (left.painted_with.get(name), right.painted_with.get(name))
    for name in sorted({*left.versions, *right.versions}):
        pairs[f"version of {name}"] = (left.versions.get(name), right.versions.get(name))
    return [
        {"setting": name, "left": _told(first), "right": _told(second)}
        for name, (first, second) in pairs.items()
        if first != second
    ]


def _edit(run: Run) -> str | None:
    return run.request.edited.words if run.request.edited else None


def _seed(run: Run) -> int | None:
    return run.best.seed if run.best else None


def _told(value: object) -> str:
    if value is None:
        return "—"
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)
