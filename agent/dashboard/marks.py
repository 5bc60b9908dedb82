"""What is wrong with a picture, marked by a person in the table of its things, and mended in its place."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from agent import job
from agent.console import corners, place
from agent.dashboard import navigation
from agent.dashboard.navigation import plain
from agent.dashboard.rounds_view import ShownRound
from agent.dashboard.table import MANY, show_rows
from agent.edit.changes import GROWTH
from agent.edit.runs import erase_run, repair_run, source
from agent.repair.failures import failures_of, tag
from agent.repair.regions import grown
from agent.runs import Run
from evaluators.report import Report
from instdiff.errors import InstDiffError
from instdiff.layout import Layout
from instdiff.settings import outputs_folder

COLUMNS = ("#", "what", "verdict", "sure", "IoU", "described as", "planned at", "found at")
MEANING = "Planned things are painted anew in their places, extra ones are painted over. This run stays as it is."


def show_table(run: Run, index: int, shown: ShownRound) -> None:
    """The things of a round; those of the best one can be marked, and are painted anew where they are."""
    rows = _rows(shown.layout, shown.report)
    key = f"marks-{run.folder.name}-{index}"
    if index != run.best_round:
        show_rows(COLUMNS, rows, key)
        st.text(f"What is wrong can be marked in the table of round {run.best_round}, the best.")
        return
    marked = show_rows(COLUMNS, rows, key, MANY)
    failed = not marked and any(failures_of(shown.layout, shown.report))
    bar = st.container(horizontal=True, vertical_alignment="center")
    label = "Repair what failed" if failed else "Repair what is marked"
    is_idle = not marked and not failed
    pressed = bar.button(label, f"repair-{key}-{failed}", icon=":material/healing:", disabled=is_idle, help=MEANING)
    bar.text("Mark the rows of what is wrong, and only that is painted anew.")
    if pressed:
        _repair(run, shown, marked)


def _repair(run: Run, shown: ShownRound, rows: Sequence[int]) -> None:
    """Begin a run that mends the marked rows, or what failed where none is marked, and open its page."""
    planned = len(shown.report.verdicts)
    things = [tag(shown.layout, shown.report.verdicts[row].instance) for row in rows if row < planned]
    unwanted = [grown(shown.report.extras[row - planned].box, GROWTH) for row in rows if row >= planned]
    try:
        start = source(run.folder)
        if unwanted and not things:
            new = erase_run(start, unwanted, outputs_folder())
        else:
            new = repair_run(start, things, outputs_folder(), unwanted)
        job.start(new.folder)
    except InstDiffError as error:
        st.error(plain(str(error)))
        return
    navigation.go("run", run=new.folder.name, **{navigation.BEFORE: run.folder.name})


def _rows(layout: Layout, report: Report) -> list[tuple]:
    """The table of instances, with what else was seen at its end."""
    rows: list[tuple] = []
    for verdict in report.verdicts:
        instance = layout.instances[verdict.instance]
        iou = round(verdict.iou, 2) if verdict.detection else None
        found_at = corners(verdict.detection.box, layout) if verdict.detection else ""
        sure = None if verdict.sure is None else round(verdict.sure, 2)
        judged = (verdict.instance + 1, verdict.name, verdict.kind.value, sure, iou)
        rows.append((*judged, instance.caption, place(instance, layout), found_at))
    rows += [(None, extra.category, "extra", round(extra.score, 2), None, "", "", "") for extra in report.extras]
    return rows
