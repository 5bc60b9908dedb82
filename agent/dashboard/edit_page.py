"""Edit: change a picture's plan with the mouse or in words, or say what is wrong; nothing else in it changes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeAlias

import streamlit as st

from agent import job
from agent.dashboard import navigation
from agent.dashboard.drafts import EDIT_DRAFT, Draft
from agent.dashboard.editor import edit_layout, forget_drawing, has_drawing, selected_thing
from agent.dashboard.navigation import plain, shortened
from agent.dashboard.run_index import inside, run_folder, summaries
from agent.edit import Source, edit_plan, new_run, source
from agent.edit.changes import Changed, changed_between
from agent.edit.runs import erase_run, repair_run
from agent.planners.plan import Plan
from agent.repair.failures import tag
from agent.repair.regions import region_of
from agent.runs import Run
from instdiff.errors import BadInput, InstDiffError
from instdiff.layout import MAX_INSTANCES, Box, Instance, Layout
from instdiff.settings import outputs_folder

BY_HAND = "changed by hand"
LISTED = 200  # runs that can be chosen from
NEW = "new things"
UNWANTED = "what is to go"
CAPTIONS = {NEW: "new instance", UNWANTED: "to go"}  # of what is drawn
EDITED = "edited"  # in the address: the way back from what was painted leads to this run
TITLE = 150  # letters of what a change by hand is called
Make: TypeAlias = Callable[[], Run]


class Drawing(NamedTuple):
    """What stands in the editor: the plan with what is new in it, and the regions of what is to go."""

    start: Source
    layout: Layout
    unwanted: tuple[Box, ...]
    selected: int | None

    @property
    def plan(self) -> Plan:
        """What is planned once it is painted."""
        if self.layout == self.start.plan.layout:
            return self.start.plan
        return Plan(layout=self.layout, planner="none", notes=(BY_HAND,))

    @property
    def is_changed(self) -> bool:
        return self.layout != self.start.plan.layout or bool(self.unwanted)


def show() -> None:
    """The run, the words, and the editor over its picture; one button paints all of it."""
    st.header("Put a picture right")
    name = _choose()
    if not name:
        st.text("There is no run with a picture yet.")
        navigation.link("make", "Make a picture")
        return
    start = source(run_folder(name))
    words = st.form("words", border=False)
    refused = st.container()
    st.text(f"In words, with the mouse, or both; at most {MAX_INSTANCES} things. What is not changed stays as it is.")
    offer = st.container(horizontal=True, vertical_alignment="bottom")
    draft = Draft(start.run.folder / EDIT_DRAFT)
    key = f"edit-{name}"
    meant = _meaning(offer, key, start.plan.layout, draft)
    picture = inside(start.run.folder, start.run.image.name)
    drawn = edit_layout(picture, start.plan.layout, key, CAPTIONS[meant], draft)
    with refused:
        drawing = _read(start, drawn, meant, selected_thing(key, drawn) if drawn else None)
    with offer:
        _about(drawing)
        if drawn != start.plan.layout and st.button("Discard the changes", icon=":material/undo:"):
            forget_drawing(key, draft)
            st.rerun()
    with words:
        make = _asked(drawing)
    if make:
        with refused:
            _paint(start, make, draft)


def _meaning(place, key: str, layout: Layout, draft: Draft) -> str:
    """What boxes that are drawn stand for; that stays as long as one is there."""
    state = f"meant-{key}"
    if state not in st.session_state:
        try:
            kept = draft.read(layout)
        except BadInput:  # the editor says so
            kept = None
        st.session_state[state] = UNWANTED if kept and kept["meant"] == CAPTIONS[UNWANTED] else NEW
    fixed = has_drawing(key, layout, draft)
    why = "Paint or discard what is drawn first." if fixed else None
    label = "Boxes that I draw are"
    return place.segmented_control(label, list(CAPTIONS), key=state, required=True, disabled=fixed, help=why)


def _read(start: Source, drawn: Layout | None, meant: str, selected: int | None) -> Drawing | None:
    """What is drawn; None, and why, where it cannot be painted."""
    if drawn is None:
        return None
    if meant == NEW:
        return Drawing(start, drawn, (), selected)
    planned = start.plan.layout
    if any(instance not in drawn.instances for instance in planned.instances):
        st.error("Things of the plan are changed, too: undo that, or discard the changes.")
        return None
    return Drawing(start, planned, _drawn_regions(planned, drawn), selected)


def _about(drawing: Drawing | None) -> None:
    """What would be painted."""
    if drawing is None:
        return
    if drawing.unwanted:
        count = len(drawing.unwanted)
        st.text(f"To go: what is in {count} {'place' if count == 1 else 'places'}. Nothing is painted yet.")
    elif drawing.is_changed:
        st.text(f"Changed: {len(drawing.layout.instances)} things. Nothing is painted yet; it is kept as a draft.")
    elif drawing.selected is None:
        st.text("Select a thing that is painted badly, and it is painted anew in its place.")
    else:
        st.text(f"Selected: {tag(drawing.layout, drawing.selected)}.")


def _asked(drawing: Drawing | None) -> Make | None:
    """The words, and the button that paints them with what is drawn; or the thing that is selected, anew."""
    bar = st.container(horizontal=True, vertical_alignment="bottom")
    words = bar.text_input("In words", placeholder="add a cat on the sofa, remove the lamp", key="edit-words").strip()
    button = bar.form_submit_button
    # always the same: one that changes would come last in the form, where Enter does not press it
    pressed = button("Change and paint", type="primary", icon=":material/brush:", key="paint-it")
    idle = drawing is None or drawing.is_changed or drawing.selected is None
    repair = button("Repair the selected thing", icon=":material/healing:", key="repair-it", disabled=idle)
    if drawing is None or not (pressed or repair):
        return None
    if repair:
        return partial(_repair, drawing, words)
    return partial(_change, drawing, words)


def _change(drawing: Drawing, words: str) -> Run:
    """A run of what is drawn and said."""
    start, plan, unwanted = drawing.start, drawing.plan, drawing.unwanted
    if words:
        return _in_words(start, plan, words, unwanted)
    if unwanted:
        return erase_run(start, unwanted, outputs_folder())
    if not drawing.is_changed:
        raise BadInput("edit", "nothing is changed; say in words what is to be, or change it with the mouse")
    return new_run(start, plan, by_hand(start.plan.layout, plan.layout), outputs_folder())


def _repair(drawing: Drawing, words: str) -> Run:
    """A run that paints the selected thing anew, and nothing else."""
    if words:
        raise BadInput("words", "a repair paints no words; take them away, or paint them first")
    if drawing.selected is None:
        raise BadInput("repair", "nothing is selected")
    return repair_run(drawing.start, [tag(drawing.start.plan.layout, drawing.selected)], outputs_folder())


def _choose() -> str | None:
    """The run that the address names, else the newest; another choice changes the address.

    An address that the page itself changed would be one that the back button never leaves.
    """
    runs = [run for run in summaries() if run.score is not None][:LISTED]
    titles = {run.name: f"{shortened(run.title, 60)} ({run.name})" for run in runs}
    asked = st.query_params.get(EDITED) or st.query_params.get("run")
    if asked and asked not in titles:
        run_folder(asked)
        titles = {asked: asked, **titles}
    if not titles:
        return None
    names = list(titles)
    first = asked or names[0]
    name = st.selectbox("Run", names, index=names.index(first), format_func=titles.get)
    if name != first:
        st.query_params.from_dict({"run": name})
    return name


def _drawn_regions(planned: Layout, drawn: Layout) -> tuple[Box, ...]:
    """Where something is drawn that is not planned."""
    return tuple(region_of(instance) for instance in drawn.instances if instance not in planned.instances)


def _in_words(start: Source, plan: Plan, words: str, unwanted: tuple[Box, ...]) -> Run:
    """A run of what the words make of a plan; regions of what is to go are painted over as well."""
    after = edit_plan(plan, words)
    after = after.model_copy(update={"notes": (*plan.notes, *after.notes)})
    changed = changed_between(start.plan.layout, after.layout)
    return new_run(start, after, words, outputs_folder(), Changed((*changed.regions, *unwanted), changed.apart))


def by_hand(before: Layout, after: Layout) -> str:
    """What was changed with the mouse, as the title of a run: "by hand: without the lamp; dog moved"."""
    left = list(before.instances)
    new: list[Instance] = []
    for instance in after.instances:
        if instance in left:
            left.remove(instance)
        else:
            new.append(instance)
    said = []
    for instance in new:
        old = next((one for one in left if one.name == instance.name), None)
        old = old or next((one for one in left if _place(one) == _place(instance)), None)
        if old is None:
            said.append(f"{instance.name} added")
            continue
        left.remove(old)
        if _place(old) != _place(instance):
            said.append(f"{instance.name} moved")
        if (old.caption, old.category) != (instance.caption, instance.category):
            said.append(f"{old.name} is now {instance.caption or instance.category}")
    said = [*(f"without the {instance.name}" for instance in left), *said]
    return shortened(f"by hand: {'; '.join(dict.fromkeys(said)) or 'another order'}", TITLE)


def _place(instance: Instance) -> tuple:
    return (instance.box, instance.point, instance.scribble, instance.mask)


def _paint(start: Source, make: Make, draft: Draft) -> None:
    """Make a run that names the old one, begin to paint it, and open its page; or say why that cannot be."""
    try:
        run = make()
        job.start(run.folder)
    except InstDiffError as error:
        st.error(plain(str(error)))
        return
    forget_drawing(f"edit-{start.run.folder.name}", draft)
    navigation.go("run", run=run.folder.name, **{EDITED: start.run.folder.name})
