"""Make: a scene in words, a layout or an earlier run, and how to paint it."""

from __future__ import annotations

import streamlit as st

from agent import job
from agent.dashboard import grids, live_view, navigation, queue_view, run_page
from agent.dashboard.navigation import plain
from agent.dashboard.pictures import boxed
from agent.dashboard.request_form import Asked, show_form
from agent.dashboard.run_index import run_folder
from agent.dashboard.start_point import Start, from_file, from_run
from agent.loop import Agent
from instdiff.errors import BadInput, InstDiffError
from instdiff.settings import outputs_folder

LIKE = "like"  # in the address: the run that the form is filled from; ``seed`` and ``round`` say with what change


def show() -> None:
    """The form, and the run that was started from it."""
    st.header("Make a picture")
    queue_view.warm_up()
    asked = show_form(_start())
    if asked:
        _begin(asked)
    name = st.query_params.get(navigation.BEFORE) or st.query_params.get("run")
    if name:
        _made(name)
    queue_view.show(name)


def _start() -> Start:
    """What the form starts from: a file that is dropped in, else the run that the address names, else nothing."""
    dropped = _dropped()
    if dropped:
        return dropped
    name = st.query_params.get(LIKE)
    if not name:
        return Start()
    try:
        start = from_run(name, st.query_params.get("seed", ""), st.query_params.get("round", ""))
    except InstDiffError as error:
        st.error(plain(str(error)))
        return Start()
    navigation.link("run", f"Filled from {plain(name)}", run=name)
    _show_start(start)
    return start


def _dropped() -> Start | None:
    """What is read from a layout file or a painted picture; why it cannot be, where it is none."""
    with st.expander("Start from a layout file or a painted picture"):
        hint = "JSON of a layout, annotations of another tool, or a PNG that was painted here, which holds its layout."
        file = st.file_uploader("Layout or picture", help=hint, key="dropped", label_visibility="collapsed")
        if file is None:
            return None
        try:
            start = from_file(file.name, file.getvalue())
        except BadInput as error:
            st.error(plain(str(error)))
            return None
        _show_start(start)
        return start


def _show_start(start: Start) -> None:
    """The layout that is painted, and what else is to be known of the start."""
    if start.layout:
        count = len(start.layout.instances)
        caption = f"{count} {'thing is' if count == 1 else 'things are'} painted as planned here; no planner is asked."
        st.image(boxed(None, start.layout), caption=caption, width=320, alt="the layout that is painted")
    for note in start.notes:
        st.text(note)


def _begin(asked: Asked) -> None:
    """Make the folder of the run and start its job; the address then names the run. Or a grid, and go to its page."""
    layout = asked.layout()
    prompt = None if layout else asked.prompt
    try:
        request = asked.request()
        if asked.varied:
            values = grids.read_values(asked.varied, asked.text)
            grid, folders = grids.prepare(request, prompt, layout, asked.varied, values)
            for folder in folders:
                job.start(folder)
        else:
            agent = Agent(request, out=outputs_folder())
            run = agent.prepare(prompt, layout)
            job.start(run.folder)
    except InstDiffError as error:
        st.error(plain(str(error)))
        return
    if asked.varied:
        navigation.go("grid", grid=grid)
    if agent.verifier_note:
        st.toast(plain(agent.verifier_note))
    st.session_state.made = run.folder.name
    st.query_params["run"] = run.folder.name


def _made(name: str) -> None:
    """The run of this address: while it is worked on, or what came of it."""
    st.divider()
    if job.is_running(run_folder(name)):
        live_view.watch(name)
    else:
        run_page.show_result(name)
