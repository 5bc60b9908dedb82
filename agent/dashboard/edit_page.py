"""Edit: change a picture's plan with the mouse or in words, and paint it again with the same noise."""

from __future__ import annotations

import streamlit as st

from agent import job
from agent.dashboard import navigation
from agent.dashboard.editor import edit_layout, forget_drawing
from agent.dashboard.navigation import plain, shortened
from agent.dashboard.run_index import inside, run_folder, summaries
from agent.edit import Source, edit_plan, new_run, source
from agent.planners.plan import Plan
from instdiff.errors import InstDiffError
from instdiff.layout import MAX_INSTANCES
from instdiff.settings import outputs_folder

BY_HAND = "changed by hand"
LISTED = 200  # runs that can be chosen from


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
    st.text(f"Or with the mouse; at most {MAX_INSTANCES} things. Noise and settings stay as they were.")
    drawn = edit_layout(inside(start.run.folder, start.run.image.name), start.plan.layout, key=f"edit-{name}")
    if not drawn:
        return
    plan = start.plan if drawn == start.plan.layout else Plan(layout=drawn, planner="none", notes=(BY_HAND,))
    if pressed:
        try:
            after = edit_plan(plan, words)
            _paint(start, after.model_copy(update={"notes": (*plan.notes, *after.notes)}), words)
        except InstDiffError as error:
            refused.error(plain(str(error)))
    if plan is not start.plan:
        _offer(start, plan)


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


def _offer(start: Source, plan: Plan) -> None:
    """Paint what was changed with the mouse, once that is asked for."""
    st.text(f"Changed: {len(plan.layout.instances)} things. Nothing is painted yet.")
    if st.button("Paint again with the same noise", type="primary", icon=":material/brush:"):
        _paint(start, plan, BY_HAND)


def _paint(start: Source, plan: Plan, words: str) -> None:
    """A new run that names the old one; its page is opened."""
    run = new_run(start, plan, words, outputs_folder())
    job.start(run.folder)
    forget_drawing(f"edit-{start.run.folder.name}")
    navigation.go("run", run=run.folder.name)
