"""Grids: the pictures of runs that are alike but for one setting, as they come; each opens its run."""

from __future__ import annotations

from functools import partial

import streamlit as st

from agent import job
from agent.dashboard import grids, navigation
from agent.dashboard.cards import Card, pressed, show_cards
from agent.dashboard.grids import Cell, Grid
from agent.dashboard.navigation import plain, shortened
from agent.dashboard.pictures import thumbnail
from agent.dashboard.run_index import Summary, run_folder, summary_of
from instdiff.errors import BadInput
from instdiff.settings import outputs_folder

EVERY_S = 1.0
OPENED = "opened-cell"
WORK = {"working": "being worked on", "waiting": "in the queue", "held": "waits for your word: open it"}
CHOICES = 2  # cells that can be compared


def show() -> None:
    """The grid that the address names, or all of them."""
    name = st.query_params.get("grid")
    if not name:
        _list()
        return
    opened = st.session_state.pop(OPENED, None)
    if opened:
        navigation.go("run", grid=name, run=opened)
    grid = grids.load(name)
    st.header(plain(f"{grid.setting}: {shortened(grid.title, 100)}"), help=plain(grid.title))
    bar = st.container(horizontal=True, vertical_alignment="center")
    key = f"grid-{name}"
    cards = [_card(grid, cell) for cell in grid.cells]
    chosen = show_cards(cards, key, partial(_open, key))
    with bar:
        _acts(grid, chosen)
    if any(_is_at_work(cell) for cell in grid.cells):
        _watch(name, _state(grid))


def _list() -> None:
    """Links to all grids."""
    st.header("Grids")
    found = list(grids.all_grids())
    if not found:
        st.text("There is none yet. The form of the Make page makes one.")
        navigation.link("make", "Make a grid")
    for name, grid in found:
        if isinstance(grid, BadInput):
            st.error(plain(f"{name}: {grid}"))
            continue
        label = f"{grid.setting}, {len(grid.cells)} values: {shortened(grid.title, 80)}"
        navigation.link("grid", plain(label), whole=grid.title, grid=name)


def _card(grid: Grid, cell: Cell) -> Card:
    """What a card shows of a run of the grid: its value, its state, and the newest there is to see."""
    run = _run(cell)
    problem = run.problem if run else "deleted, or not there"
    picture = None
    if run:
        folder = outputs_folder() / run.name
        try:
            picture = thumbnail(folder / "best.png") or thumbnail(job.job_folder(folder) / job.PREVIEW)
        except BadInput as error:
            problem = "; ".join(filter(None, (problem, str(error))))
    return Card(
        name=cell.run,
        title=f"{grid.setting} {cell.value}",
        whole=f"{grid.setting} {cell.value}: {grid.title}",
        line=_line(run, cell) if run else "",
        tags=list(run.tags) if run else [],
        problem=problem,
        picture=picture,
        address=navigation.address("run", run=cell.run) if run else None,
        starred=bool(run and run.starred),
        chosen_only=False,
    )


def _line(run: Summary, cell: Cell) -> str:
    """The state of a run, and how much of its plan was found."""
    state = run.state
    if state == "unfinished":
        place = job.place_in_queue(outputs_folder() / cell.run)
        state = WORK[place[0].state] if place else "not finished: open it to go on"
    return state + (f", {run.score:.0%} found" if run.score is not None else "")


def _run(cell: Cell) -> Summary | None:
    try:
        return summary_of(run_folder(cell.run))
    except BadInput:
        return None


def _is_at_work(cell: Cell) -> bool:
    return job.is_running(outputs_folder() / cell.run)


def _acts(grid: Grid, chosen: list[str]) -> None:
    """How far the grid is, and what can be done with the cells that are chosen."""
    runs = [_run(cell) for cell in grid.cells]
    done = sum(run is not None and run.state in ("verified", "not verified") for run in runs)
    verified = sum(run is not None and run.state == "verified" for run in runs)
    st.text(f"{done} of {len(runs)} done, {verified} verified")
    if len(chosen) == CHOICES:
        navigation.link("compare", "Compare the two", left=chosen[0], right=chosen[1])
    else:
        st.caption("Choose two to compare them.")
    navigation.link("make", "Fill the form with the first one", like=grid.cells[0].run)
    navigation.link("grid", "All grids")


def _open(key: str) -> None:
    st.session_state[OPENED] = pressed(key, "opened")


def _state(grid: Grid) -> list[tuple]:
    """What is to be seen of a grid: it is another one once there is something new."""
    shown = []
    for cell in grid.cells:
        run = _run(cell)
        preview = job.job_folder(outputs_folder() / cell.run) / job.PREVIEW
        changed_ns = preview.stat().st_mtime_ns if preview.exists() else 0
        shown.append((run and (run.state, run.score), changed_ns, _is_at_work(cell)))
    return shown


@st.fragment(run_every=EVERY_S)
def _watch(name: str, before: list[tuple]) -> None:
    """Look once a second, and show the page anew once there is something new."""
    if _state(grids.load(name)) != before:
        st.rerun()
