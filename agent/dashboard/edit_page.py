"""Edit: change a picture's plan with the mouse or in words, or say what is wrong; nothing else in it changes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import streamlit as st

from agent import job
from agent.dashboard import navigation
from agent.dashboard.editor import edit_layout, forget_drawing, selected_thing
from agent.dashboard.navigation import plain, shortened
from agent.dashboard.run_index import inside, run_folder, summaries
from agent.edit import Source, edit_plan, new_run, source
from agent.edit.changes import Changed, changed_between
from agent.edit.runs import erase_run, repair_run
from agent.planners.plan import Plan
from agent.repair.failures import tag
from agent.repair.regions import region_of
from agent.runs import Run
from instdiff.errors import InstDiffError
from instdiff.layout import MAX_INSTANCES, Box, Layout
from instdiff.settings import outputs_folder

BY_HAND = "changed by hand"
LISTED = 200  # runs that can be chosen from
NEW = "new things"
UNWANTED = "what is to go"
CAPTIONS = {NEW: "new instance", UNWANTED: "to go"}  # of what is drawn
Make: TypeAlias = Callable[[], Run]


def show() -> None:
    """The run, the editor over its picture, and the words."""
    st.header("Put a picture right")
    name = _choose()
    if not name:
        st.text("There is no run with a picture yet.")
        navigation.link("make", "Make a picture")
        return
    start = source(run_folder(name))
    with st.form("words", border=False):
        bar = st.container(horizontal=True, vertical_alignment="bottom")
        words = bar.text_input("In words", placeholder="add a cat on the sofa, remove the lamp")
        pressed = bar.form_submit_button("Change and paint", icon=":material/brush:")
    refused = st.container()
    st.text(f"Or with the mouse; at most {MAX_INSTANCES} things. What is not changed stays as it is.")
    offer = st.container(horizontal=True, vertical_alignment="bottom")
    meant = offer.segmented_control("Boxes that I draw are", list(CAPTIONS), default=NEW, required=True)
    key = f"edit-{name}"
    drawn = edit_layout(inside(start.run.folder, start.run.image.name), start.plan.layout, key, CAPTIONS[meant])
    if not drawn:
        return
    unwanted = _drawn_regions(start.plan.layout, drawn) if meant == UNWANTED else ()
    is_changed = meant == NEW and drawn != start.plan.layout
    plan = Plan(layout=drawn, planner="none", notes=(BY_HAND,)) if is_changed else start.plan
    with offer:
        if is_changed:
            make = _offer_change(start, plan)
        elif drawn != start.plan.layout:
            make = _offer_removal(start, drawn, unwanted)
        else:
            make = _offer_repair(start, selected_thing(key, drawn))
    if pressed:
        make = partial(_in_words, start, plan, words, unwanted)
    if make:
        with refused:
            _paint(start, make)


def _choose() -> str | None:
    """The run that the address names, else the newest; another choice changes the address."""
    runs = [run for run in summaries()[:LISTED] if run.score is not None]
    titles = {run.name: f"{shortened(run.prompt, 60)} ({run.name})" for run in runs}
    asked = st.query_params.get("run")
    if asked and asked not in titles:
        run_folder(asked)
        titles = {asked: asked, **titles}
    if not titles:
        return None
    names = list(titles)
    name = st.selectbox("Run", names, index=names.index(asked) if asked else 0, format_func=titles.get)
    st.query_params["run"] = name
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


def _offer_change(start: Source, plan: Plan) -> Make | None:
    """Paint what was changed with the mouse, once that is asked for."""
    pressed = st.button("Paint what is changed", type="primary", icon=":material/brush:")
    st.text(f"Changed: {len(plan.layout.instances)} things. Nothing is painted yet.")
    return partial(new_run, start, plan, BY_HAND, outputs_folder()) if pressed else None


def _offer_removal(start: Source, drawn: Layout, unwanted: tuple[Box, ...]) -> Make | None:
    """Paint over what boxes are drawn round, where nothing else is changed."""
    if any(instance not in drawn.instances for instance in start.plan.layout.instances):
        st.text("Things of the plan are changed, too: take that back here, or paint it as new things first.")
        return None
    pressed = st.button("Remove it", type="primary", icon=":material/ink_eraser:")
    st.text(f"To go: what is in {len(unwanted)} {'place' if len(unwanted) == 1 else 'places'}. Nothing is painted yet.")
    return partial(erase_run, start, unwanted, outputs_folder()) if pressed else None


def _offer_repair(start: Source, index: int | None) -> Make | None:
    """Paint the thing that is selected anew in its place."""
    pressed = st.button("Repair the selected thing", icon=":material/healing:", disabled=index is None)
    if index is None:
        st.text("Select a thing that is painted badly, and it is painted anew in its place.")
        return None
    name = tag(start.plan.layout, index)
    st.text(f"Selected: {name}.")
    return partial(repair_run, start, [name], outputs_folder()) if pressed else None


def _paint(start: Source, make: Make) -> None:
    """Make a run that names the old one, begin to paint it, and open its page; or say why that cannot be."""
    try:
        run = make()
        job.start(run.folder)
    except InstDiffError as error:
        st.error(plain(str(error)))
        return
    forget_drawing(f"edit-{start.run.folder.name}")
    navigation.go("run", run=run.folder.name)
