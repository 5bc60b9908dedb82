"""One run: its rounds side by side, what was found, what changed and why, and what to do with it."""

from __future__ import annotations

import json
import shlex
from collections import defaultdict
from pathlib import Path

import streamlit as st

from agent import job
from agent.console import corners, place
from agent.dashboard import live_view, navigation, pictures
from agent.dashboard.editor import edit_layout, forget_drawing
from agent.dashboard.navigation import plain, shortened
from agent.dashboard.run_index import Rating, inside, rate, rating_of, run_folder, state_of
from agent.events import Failed
from agent.planners.explaining import explain
from agent.request import PROGRAM, Edited
from agent.runs import BEFORE, GIVEN, Answer, Run, read_report
from evaluators.report import Report
from instdiff.errors import BadInput
from instdiff.formats import layout_to_json, layouts_to_coco, load_layout
from instdiff.layout import Instance, Layout


def changes(before: Layout, after: Layout) -> list[str]:
    """One sentence for each thing that came, went, moved or was described otherwise.

    Things of one name are taken for each other in their order; boxes are x0 y0 x1 y1 in pixels.
    """
    unmatched: dict[str, list[Instance]] = defaultdict(list)
    for old in before.instances:
        unmatched[old.name].append(old)
    sentences = []
    for new in after.instances:
        if not unmatched[new.name]:
            sentences.append(f"{new.name}: new, at {place(new, after)}")
            continue
        old = unmatched[new.name].pop(0)
        if place(old, before) != place(new, after):
            sentences.append(f"{new.name}: from {place(old, before)} to {place(new, after)}")
        if old.caption != new.caption:
            sentences.append(f"{new.name}: described as {new.caption}, before as {old.caption}")
    sentences += [f"{old.name}: gone" for gone in unmatched.values() for old in gone]
    if before.caption != after.caption:
        sentences.append(f"the caption was: {before.caption}")
    return sentences


ROW = 3  # rounds beside each other
COLUMNS = ("#", "what", "verdict", "sure", "IoU", "described as", "planned at", "found at")


def show() -> None:
    """The run that the address names."""
    name = st.query_params.get("run")
    if not name:
        st.text("Choose a run first.")
        navigation.link("runs", "All runs")
        return
    run = Run.load(run_folder(name))
    st.header(plain(shortened(run.request.edited.words if run.request.edited else run.request.prompt, 120)))
    show_result(name)


def show_result(name: str) -> None:
    """All of a run but its title."""
    folder = run_folder(name)
    run = Run.load(folder)
    planner = run.planner or run.request.planner
    st.text(f"{name} · {state_of(run)} · planned by {planner} · painted by {run.request.engine}")
    if run.request.edited:
        _origin(run.request.edited)
    if job.is_running(folder):
        live_view.watch(name)
        return
    if run.review == "waiting":
        _ask(run)
    elif not run.done:
        _unfinished(run)
    if run.rounds:
        _rounds(run)


def _origin(edited: Edited) -> None:
    """The run that an edit comes from, if it is still in the same folder."""
    before = Path(edited.run).name
    try:
        run_folder(before)
    except BadInput as error:
        st.text(f"Comes from {before}, which is not here: {error.reason}")
        return
    navigation.link("run", f"Comes from {plain(before)}", run=before)


def _unfinished(run: Run) -> None:
    """Why the run is not over, and a way to go on."""
    events = job.events(run.folder)
    reason = events[-1].reason if events and isinstance(events[-1], Failed) else ""
    gone = "Not finished: its process is gone, or is not one of this page."
    st.warning(plain(f"Not finished. {reason}" if reason else gone))
    if st.button("Go on", icon=":material/play_arrow:", key=f"go-{run.folder.name}"):
        _go_on(run)


def _ask(run: Run) -> None:
    """The plan that waits, to be changed with the mouse, and the three answers."""
    name = run.folder.name
    st.subheader("This plan waits for you")
    layout = load_layout(run.folder / "round-0" / "layout.json", boxes="xywh")
    drawn = edit_layout(None, layout, key=f"plan-{name}")
    st.text("What is painted is the plan as it is drawn.")
    buttons = st.container(horizontal=True)
    key = f"approve-{name}"
    if buttons.button("Paint it", key, type="primary", icon=":material/check:", disabled=not drawn) and drawn:
        _go_on(run, Answer(decision="approve", layout=drawn if drawn != layout else None))
    if buttons.button("Plan again", icon=":material/refresh:", key=f"replan-{name}"):
        forget_drawing(f"plan-{name}")
        _go_on(run, Answer(decision="replan"))
    if buttons.button("Drop it", icon=":material/close:", key=f"reject-{name}"):
        _go_on(run, Answer(decision="reject"))
    live_view.show_plan(drawn or layout)


def _go_on(run: Run, answer: Answer | None = None) -> None:
    job.start(run.folder, answer)
    st.rerun()


def _rounds(run: Run) -> None:
    """The pictures, then everything about one of the rounds."""
    name = run.folder.name
    layouts = [load_layout(inside(run.folder, done.layout), boxes="xywh") for done in run.rounds]
    reports = [read_report(inside(run.folder, done.report)) for done in run.rounds]
    rounds = list(zip(layouts, reports, strict=True))
    toggles = st.container(horizontal=True)
    planned = toggles.toggle("Planned boxes", value=True, key=f"planned-{name}")
    detected = toggles.toggle("Found boxes", value=True, key=f"found-{name}")
    for first in range(0, len(rounds), ROW):
        columns = st.columns(min(max(len(rounds), 2), ROW))
        for index, column in zip(range(first, min(first + ROW, len(rounds))), columns, strict=False):
            with column:
                _round(run, index, rounds, planned, detected)
    index = 0
    if len(rounds) > 1:
        numbers = range(len(rounds))
        index = st.segmented_control("Round", numbers, default=run.best_round, required=True, key=f"round-{name}")
    layout, report = rounds[index]
    table, tools = st.columns([3, 2])
    with table:
        st.subheader(f"What was planned and found in round {index}")
        st.dataframe(_rows(layout, report), hide_index=True)
        _reading(run)
        _compare(run)
    with tools:
        _rate(run)
        st.subheader("Put it right")
        navigation.link("edit", "Edit and paint again", run=name)
        take_away(run, index, layout)


def _round(run: Run, index: int, rounds: list[tuple[Layout, Report]], planned: bool, detected: bool) -> None:
    """One picture, its figures, and what is different from the round before."""
    done = run.rounds[index]
    layout, report = rounds[index]
    picture = inside(run.folder, done.image)
    shown = pictures.boxed(picture, layout, report, planned, detected) if planned or detected else picture.read_bytes()
    best = ", the best" if index == run.best_round and len(rounds) > 1 else ""
    st.image(shown, width="stretch", alt=f"the picture of round {index}")
    found = f"{report.found} of {len(layout.instances)} found"
    st.text(f"round {index}{best}: {found}, mean IoU {report.mean_iou:.2f}, seed {done.seed}")
    with st.expander("Why it is so", expanded=len(rounds) > 1):
        for note in done.notes:
            st.text(note)
        for finding in done.findings:
            st.text(f"{'repaired' if finding.repaired else finding.kind}: {finding.sentence}")
        if index:
            for change in changes(rounds[index - 1][0], layout):
                st.text(change)


def _rows(layout: Layout, report: Report) -> list[dict]:
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
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows]


def _reading(run: Run) -> None:
    """How the offline planner read the words, for a person to see a misreading at once."""
    if run.planner != "offline" or run.request.edited or not run.request.prompt:
        return
    with st.expander("How the words were read"):
        try:
            explanation = explain(run.request.prompt)
        except BadInput as error:
            st.text(plain(str(error)))
            return
        if explanation.things:
            rows = [dict(zip(explanation.columns, row, strict=True)) for row in explanation.things]
            st.dataframe(rows, hide_index=True)
        for sentence in explanation.sentences:
            st.text(sentence)


def _compare(run: Run) -> None:
    """Two pictures of the run under a slider, where there are two."""
    choices = {f"round {index}": inside(run.folder, done.image) for index, done in enumerate(run.rounds)}
    if (run.folder / BEFORE).exists():
        choices = {"before the edit": run.folder / BEFORE, **choices}
    if len(choices) < 2:
        return
    st.subheader("Before and after")
    names = list(choices)
    key = run.folder.name
    columns = st.columns(2)
    left = columns[0].selectbox("Before", names, key=f"before-{key}")
    right = columns[1].selectbox("After", names, index=len(names) - 1, key=f"after-{key}")
    pictures.compare(choices[left], choices[right], left, right, key=f"slider-{key}")


def _rate(run: Run) -> None:
    """Stars for fit, quality and arrangement; one press keeps them."""
    st.subheader("Rate it")
    before = rating_of(run.folder)
    if before:
        st.text(f"Kept: fit {before.fit}, quality {before.quality}, arrangement {before.arrangement}")
    with st.form(f"rate-{run.folder.name}", border=False):
        stars = {}
        labels = {"fit": "Fits the words", "quality": "Is painted well", "arrangement": "Is arranged well"}
        for field, label in labels.items():
            default = getattr(before, field) if before else 3
            stars[field] = st.segmented_control(label, range(1, 6), default=default, required=True)
        if st.form_submit_button("Keep the rating"):
            rate(run.folder, Rating.parse(stars))
            st.rerun()


def take_away(run: Run, index: int, layout: Layout) -> None:
    """Buttons for the files of a round, and the commands that make it again."""
    picture = inside(run.folder, run.rounds[index].image)
    file = f"{run.folder.name}-round-{index}"
    st.subheader("Take away")
    buttons = st.container(horizontal=True)
    buttons.download_button("Picture", picture.read_bytes, f"{file}.png", "image/png", on_click="ignore")
    annotations = layouts_to_coco([layout])
    annotations["images"][0]["file_name"] = f"{file}.png"
    for label, data, name in (("Layout", layout_to_json(layout), file), ("COCO", annotations, f"{file}-coco")):
        text = json.dumps(data, indent=2, ensure_ascii=False)
        buttons.download_button(label, text, f"{name}.json", "application/json", on_click="ignore")
    st.text("The same picture again:")
    st.code(f"{PROGRAM} --layout {shlex.quote(str(picture))}", language=None, wrap_lines=True)
    if not run.request.edited and not (run.folder / GIVEN).exists():
        st.text("The whole run again:")
        st.code(run.request.command(), language=None, wrap_lines=True)
