"""A run while it is worked on: the plan, the picture as far as it is, the verdicts. Looks on once a second."""

from __future__ import annotations

import time
from pathlib import Path

import streamlit as st

from agent import events, job
from agent.console import PLAN_COLUMNS, plan_rows
from agent.dashboard import queue_view
from agent.dashboard.navigation import plain, telling
from agent.dashboard.pictures import boxed, outlined
from agent.dashboard.progress import Progress, decision, progress
from agent.dashboard.rounds_view import tried
from agent.dashboard.run_index import inside, run_folder
from agent.dashboard.table import show_rows
from agent.job_queue import JobQueue
from agent.runs import BEFORE, Run
from agent.worker.expected import duration, expected
from instdiff.formats import load_layout
from instdiff.layout import Box, Layout

EVERY_S = 1.0
OFTEN_S = 0.25  # at first: a warm worker has something to show within a second
OFTEN_FOR_S = 10.0
WIDTH = 512  # pixels


def watch(name: str) -> None:
    """Show a job until it ends; then the page is drawn anew."""
    often = _is_new(run_folder(name))
    st.fragment(_look, run_every=OFTEN_S if often else EVERY_S)(name, often)


def _is_new(folder: Path) -> bool:
    """True if the first picture may come at any moment."""
    place = job.place_in_queue(folder)
    if place is None or place[0].state == "held" or place[1] > 0:
        return False
    happened = job.events(folder)
    begun = [event.time for event in happened if isinstance(event, events.Starting)]
    is_judged = any(isinstance(event, events.Judged) for event in happened)
    if place[0].state == "waiting" or not begun:
        return True
    return not is_judged and time.time() - begun[-1] < OFTEN_FOR_S


def _look(name: str, often: bool) -> None:
    folder = run_folder(name)
    job.revive(folder.parent)
    place = job.place_in_queue(folder)
    if place is None and job.is_running(folder):  # its name changes at this moment
        place = job.place_in_queue(folder)
    if place is None or often != _is_new(folder):
        st.rerun()
        return  # never reached
    with telling():
        if place[0].state == "working":
            _watch(name, folder)
        else:
            _wait(name, folder, *place)


def _wait(name: str, folder: Path, place: job.Job, before: int) -> None:
    """A job that is not at work yet: when it will be, and how long it will take."""
    queue = JobQueue(folder.parent)
    time_needed = expected(queue, Run.load(folder))
    takes = queue_view.takes(time_needed)
    if place.state == "held":
        st.warning(plain(f"Nothing is painted yet. This {takes}, far longer than a usual picture."))
        bar = st.container(horizontal=True)
        bar.button("Paint it", f"release-{name}", None, job.release, (folder,), type="primary", icon=":material/brush:")
        bar.button("Do not paint it", f"stop-{name}", None, job.stop, (folder,), icon=":material/close:")
        return
    left, right = st.columns([3, 2])
    layout = _first_plan(folder)
    with left:
        if layout:
            _show(boxed(None, layout), "the plan", "the plan")
    with right:
        st.text(f"{queue_view.turn(queue, before)} It {takes}.")
        st.button("Take out of the queue", f"stop-{name}", None, job.stop, (folder,), icon=":material/close:")
        if layout:
            show_plan(layout)


def _watch(name: str, folder: Path) -> None:
    """The picture as far as it is, and how far that is."""
    happened = job.events(folder)
    now = progress(happened)
    left, right = st.columns([3, 2])
    layout = now.layout or _first_plan(folder)
    with left:
        _picture(folder, now, layout)
    with right:
        _state(name, folder, now, happened)
        for done in now.judged:
            verified = ", verified" if done.result.verified else ""
            share = f"{done.report.found} of {len(done.report.verdicts)} found"
            figures = f"{share}, mean IoU {done.report.mean_iou:.2f}{verified}"
            st.text(f"round {done.round}: {figures}{decision(done.result)}")
        for number, repair in enumerate(now.repairs, 1):
            label = f"try {number} of {len(now.repairs)}: " if len(now.repairs) > 1 else ""
            st.text(f"round {now.round}, {label}{'; '.join(tried(repair))}")
        if layout:
            show_plan(layout)
        for note in now.notes:
            st.text(note)


def _state(name: str, folder: Path, now: Progress, happened: list[events.Event]) -> None:
    """What the worker does, how long it will take, what memory it needs, and a way to stop it."""
    begun = [event.time for event in happened if isinstance(event, events.Starting)]
    seconds = time.time() - begun[-1] if begun else 0.0
    is_stopping = job.stops(folder) > 0
    st.text("stopping…" if is_stopping else f"{now.status} ({seconds:.0f} s)")
    st.progress(now.share, text=f"round {now.round}, denoised")
    about = [] if is_stopping else [_left(folder, now)]
    if worker := job.worker_status(folder.parent):
        about.append(f"the worker has {queue_view.megabytes(worker.memory)} of memory")
    if about:
        st.text(" · ".join(about))
    label = "Stop at once" if is_stopping else "Stop"
    help_text = "The run can be gone on with."
    st.button(label, f"stop-{name}", help_text, job.stop, (folder,), icon=":material/stop:")


def _left(folder: Path, now: Progress) -> str:
    """How long the round at work still takes."""
    if now.left_s is not None:
        return f"about {duration(now.left_s)} left of the round"
    return queue_view.takes(expected(JobQueue(folder.parent), Run.load(folder)))


def _first_plan(folder: Path) -> Layout | None:
    """The first plan, where another process made it."""
    path = folder / "round-0" / "layout.json"
    return load_layout(path, boxes="xywh") if path.exists() else None


def _picture(folder: Path, now: Progress, layout: Layout | None) -> None:
    """The newest that there is to see: the preview, the picture so far, or the plan."""
    preview = job.job_folder(folder) / job.PREVIEW
    if now.preview and preview.exists():
        _show(preview.read_bytes(), f"round {now.round}, as far as it is", "the picture as far as it is denoised")
        return
    before = _before(folder, now)
    if before and layout:
        picture, regions = before
        caption = "what is outlined is painted anew" if regions else "the picture so far"
        _show(outlined(picture, layout, regions), caption, "the picture so far")
    elif layout:
        _show(boxed(None, layout), f"the plan of round {now.round}", "the plan")
    else:
        st.text("The plan is being made.")


def _show(picture: bytes, caption: str, alt: str) -> None:
    """A picture, as wide as a narrow window lets it be."""
    st.container(width=WIDTH).image(picture, caption=caption, width="stretch", alt=alt)


def _before(folder: Path, now: Progress) -> tuple[Path, tuple[Box, ...]] | None:
    """The picture so far, and where the round at work paints it anew; None where that paints a new one."""
    if now.judged and (now.repairs or now.judged[-1].round == now.round):
        return inside(folder, now.judged[-1].result.image), now.regions
    edited = Run.load(folder).request.edited
    if edited and not now.judged and (edited.regions or edited.keep) and (folder / BEFORE).exists():
        return folder / BEFORE, edited.regions
    return None


def show_plan(layout: Layout) -> None:
    """What is planned, one line for each instance, places in pixels."""
    show_rows(PLAN_COLUMNS, list(plan_rows(layout)), "plan")
