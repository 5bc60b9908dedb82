"""One run: its rounds side by side, what was found, what changed and why, and what to do with it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import streamlit as st

from agent import job
from agent.dashboard import live_view, navigation, pictures
from agent.dashboard.drafts import PLAN_DRAFT, Draft
from agent.dashboard.editor import edit_layout, forget_drawing
from agent.dashboard.labels import Rating, rate, rating_of
from agent.dashboard.marks import show_table
from agent.dashboard.navigation import plain, shortened, telling
from agent.dashboard.rounds_view import ShownRound, cost, show_rounds, shown_rounds
from agent.dashboard.run_index import run_folder, state_of
from agent.dashboard.start_point import another_seed
from agent.events import Failed, Stopped
from agent.request import PROGRAM, Edited
from agent.runs import BEFORE, GIVEN, NOTES, Answer, PlanNotes, Run, read_json
from instdiff.errors import BadInput
from instdiff.formats import layout_to_json, layouts_to_coco, load_layout


def show() -> None:
    """The run that the address names."""
    name = st.query_params.get("run")
    if not name:
        st.text("Choose a run first.")
        navigation.link("runs", "All runs")
        return
    navigation.keep_address(name)
    run = Run.load(run_folder(name))
    words = run.request.edited.words if run.request.edited else run.request.prompt
    title = shortened(words, 120)
    st.header(plain(title), help=plain(words) if title.endswith("…") else None)
    show_result(name)


def show_result(name: str) -> None:
    """All of a run but its title."""
    folder = run_folder(name)
    is_running = job.is_running(folder)  # first: a run that is over by now is read as it is at its end
    run = Run.load(folder)
    planner = run.planner or run.request.planner
    about = [name, state_of(run), f"planned by {planner}", f"painted by {run.request.engine}"]
    if any(done.seconds for done in run.rounds):
        about.append(cost(run.unet_evaluations, run.seconds.get("total", 0.0)))
    st.text(" · ".join(about))
    edited = run.request.edited
    if edited and run.best and (folder / BEFORE).exists() and not is_running:
        with telling():
            _before_and_after(run, edited)
    elif edited:
        _origin(edited, "Comes from {}")
    if is_running:
        live_view.watch(name)
        return
    if run.review == "waiting":
        with telling():
            _ask(run)
    elif not run.done:
        _unfinished(run)
    if run.rounds:
        _rounds(run)


def _before_and_after(run: Run, edited: Edited) -> None:
    """The picture before an edit and the one after it, what was asked for, and the way back."""
    slider, about = st.columns([3, 2])
    with slider:
        pictures.compare(run.folder / BEFORE, run.image, "before", "after", key=f"edit-{run.folder.name}")
    with about:
        st.text(f"Asked for: {edited.words}")
        for note in edited.notes:
            st.text(note)
        _origin(edited, "Undo: back to {}")


def _origin(edited: Edited, label: str) -> None:
    """A link to the run that an edit comes from, which is as it was, if it is still in the same folder."""
    before = Path(edited.run).name
    try:
        run_folder(before)
    except BadInput as error:
        st.text(f"Comes from {before}, which is not here: {error.reason}")
        return
    navigation.link("run", label.format(plain(before)), run=before)


def _unfinished(run: Run) -> None:
    """Why the run is not over, and a way to go on."""
    events = job.events(run.folder)
    match events[-1] if events else None:
        case Failed(reason=reason):
            st.warning(plain(f"Not finished. {reason}"))
        case Stopped():
            done = len(run.rounds)
            st.info(f"Stopped, with {done} {'round' if done == 1 else 'rounds'} done. What is done stays.")
        case _:
            st.warning("Not finished: its process is gone, or is not one of this page.")
    if st.button("Go on", icon=":material/play_arrow:", key=f"go-{run.folder.name}"):
        _go_on(run)


def _ask(run: Run) -> None:
    """The plan that waits, to be changed with the mouse, and the three answers."""
    name = run.folder.name
    st.subheader("This plan waits for you")
    for sentence in notes_on_plan(run.folder):
        st.text(sentence)
    layout = load_layout(run.folder / "round-0" / "layout.json", boxes="xywh")
    draft = Draft(run.folder / PLAN_DRAFT)
    drawn = edit_layout(None, layout, f"plan-{name}", draft=draft)
    is_changed = drawn != layout
    st.text("What is painted is the plan as it is drawn." + (" It is changed." if is_changed else ""))
    buttons = st.container(horizontal=True)
    key = f"approve-{name}"
    decision = None
    if buttons.button("Paint it", key, type="primary", icon=":material/check:", disabled=not drawn) and drawn:
        decision = Answer(decision="approve", layout=drawn if is_changed else None)
    if is_changed and buttons.button("Discard the changes", icon=":material/undo:", key=f"discard-{name}"):
        forget_drawing(f"plan-{name}", draft)
        st.rerun()
    if buttons.button("Plan again", icon=":material/refresh:", key=f"replan-{name}"):
        decision = Answer(decision="replan")
    if buttons.button("Drop it", icon=":material/close:", key=f"reject-{name}"):
        decision = Answer(decision="reject")
    if decision:
        job.start(run.folder, decision)
        forget_drawing(f"plan-{name}", draft)
        st.rerun()
    live_view.show_plan(drawn or layout)


def notes_on_plan(run: Path) -> list[str]:
    """What the planner and the critic said of the plan that waits."""
    path = run / "round-0" / NOTES
    return PlanNotes.parse(read_json(path), str(path)).sentences if path.exists() else []


def _go_on(run: Run) -> None:
    job.start(run.folder)
    st.rerun()


def _rounds(run: Run) -> None:
    """The pictures, then everything about one of the rounds."""
    name = run.folder.name
    rounds = shown_rounds(run)
    show_rounds(run, rounds)
    readable = {number: shown for number, shown in enumerate(rounds) if isinstance(shown, ShownRound)}
    index = run.best_round if run.best_round in readable else next(iter(readable), None)
    if len(readable) > 1:
        index = st.segmented_control("Round", list(readable), default=index, required=True, key=f"round-{name}")
    table, tools = st.columns([3, 2])
    with table:
        if index is not None:
            st.subheader(f"What was planned and found in round {index}")
            show_table(run, index, readable[index])
        _reading(run)
        with telling():
            _compare(run, readable)
    with tools:
        _rate(run)
        if run.best_round in readable:
            st.subheader("Put it right")
            navigation.link("edit", "Edit and paint again", run=name)
        _more_of_it(run, index)
        if index is not None:
            take_away(run, index, readable[index])


def _more_of_it(run: Run, index: int | None) -> None:
    """Links to the form, filled from this run, and to a run to look at beside it."""
    st.subheader("Make more of it")
    name = run.folder.name
    if not run.request.edited:
        navigation.link("make", "Make again", like=name)
        navigation.link("make", "Another seed", like=name, seed=another_seed())
    if index is not None:
        navigation.link("make", f"From the layout of round {index}", like=name, round=str(index))
        navigation.link("compare", "Compare with another run", left=name)


def _reading(run: Run) -> None:
    """How the offline planner read the words, for a person to see a misreading at once."""
    if run.planner != "offline" or run.request.edited or not run.request.prompt:
        return
    # what is not open costs nothing: Streamlit's table alone is 1.5 MB of scripts
    reading = st.expander("How the words were read", on_change="rerun", key=f"reading-{run.folder.name}")
    if not reading.open:
        return
    from agent.planners.explaining import explain  # the parser is loaded where it is used

    with reading:
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


def _compare(run: Run, rounds: dict[int, ShownRound]) -> None:
    """Two pictures of the run under a slider, where there is more than one round."""
    if len(rounds) < 2:
        return
    choices = {f"round {i}{'' if shown.taken else ', not taken'}": shown.picture for i, shown in rounds.items()}
    if (run.folder / BEFORE).exists():
        choices = {"before the edit": run.folder / BEFORE, **choices}
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
    before = None
    with telling():
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


def take_away(run: Run, index: int, shown: ShownRound) -> None:
    """Buttons for the files of a round, and the commands that make it again."""
    picture = shown.picture
    file = f"{run.folder.name}-round-{index}"
    st.subheader("Take away")
    buttons = st.container(horizontal=True)
    buttons.download_button("Picture", picture.read_bytes, f"{file}.png", "image/png", on_click="ignore")
    annotations = layouts_to_coco([shown.layout])
    annotations["images"][0]["file_name"] = f"{file}.png"
    for label, data, name in (("Layout", layout_to_json(shown.layout), file), ("COCO", annotations, f"{file}-coco")):
        text = json.dumps(data, indent=2, ensure_ascii=False)
        buttons.download_button(label, text, f"{name}.json", "application/json", on_click="ignore")
    st.text("The same picture again:")
    st.code(f"{PROGRAM} --layout {shlex.quote(str(picture))}", language=None, wrap_lines=True)
    if not run.request.edited and not run.request.own and not (run.folder / GIVEN).exists():
        st.text("The whole run again:")
        st.code(run.request.command(), language=None, wrap_lines=True)
