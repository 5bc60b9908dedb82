"""The queue of jobs and the worker of this outputs folder: who waits, for how long, and ways to cancel."""

from __future__ import annotations

from contextlib import suppress
from threading import Timer

import streamlit as st

from agent import job
from agent.dashboard import navigation
from agent.dashboard.navigation import plain, shortened
from agent.dashboard.progress import progress
from agent.dashboard.run_index import run_folder
from agent.job_queue import LOG, Job, JobQueue
from agent.runs import Run
from agent.worker.expected import Expected, duration, expected
from instdiff.errors import BadInput
from instdiff.settings import outputs_folder, worker_idle_s

EVERY_S = 2.0
PAGE_DRAWN_S = 1.0  # after the page was opened
WARMED = "warmed"  # the worker was started for this window once; who ends it does not want it back


def warm_up() -> None:
    """Have the models loaded while a person thinks of what to paint, and the grammar, which this process needs."""
    if WARMED in st.session_state or worker_idle_s() == 0:
        return
    st.session_state[WARMED] = True
    _load_grammar()
    with suppress(OSError):  # nothing can be written there, which the first job says
        outputs_folder().mkdir(parents=True, exist_ok=True)
        job.wake(outputs_folder())


@st.cache_resource(show_spinner=False)
def _load_grammar() -> None:
    """Once for this process, after the page is drawn."""

    def load() -> None:
        from agent.planners.offline import OfflinePlanner

        OfflinePlanner().check("a red car")

    timer = Timer(PAGE_DRAWN_S, load)
    timer.daemon = True
    timer.start()


@st.fragment(run_every=EVERY_S)
def show(watched: str | None = None) -> None:
    """The jobs but the one that is watched above, and the worker."""
    queue = JobQueue(outputs_folder())
    jobs = queue.jobs()
    if [one for one in jobs if one.run != watched]:
        st.subheader("Being worked on")
    for number, one in enumerate(jobs):
        if one.run != watched:
            _show_job(queue, one, number)
    if worker := job.worker_status(outputs_folder()):
        _show_worker(worker, is_idle=not jobs)


def _show_job(queue: JobQueue, one: Job, before: int) -> None:
    """A link to a run, where it stands, and a way to cancel it."""
    try:
        folder = run_folder(one.run)
        run = Run.load(folder)
    except BadInput:  # it is gone, and so is the job in a moment
        return
    words = run.request.edited.words if run.request.edited else run.request.prompt
    bar = st.container(horizontal=True, vertical_alignment="center")
    with bar:
        navigation.link("run", plain(shortened(words or one.run, 80)), whole=words, run=one.run)
        if one.state == "working":
            st.text("at work" if not job.stops(folder) else "stopping…")
        elif one.state == "held":
            st.text("waits for your word")
        else:
            st.text(turn(queue, before))
        st.button("Cancel", f"cancel-{one.run}", None, job.stop, (folder,), icon=":material/close:")


def _show_worker(worker: job.WorkerStatus, is_idle: bool) -> None:
    """What the worker costs, and a way to be rid of it."""
    bar = st.container(horizontal=True, vertical_alignment="center")
    memory = f"{megabytes(worker.memory)} of memory"
    until = f"until {duration(worker_idle_s())} pass without a job"
    holds = f"The worker holds the models of {worker.engine} in {memory}, {until}."
    bar.caption(plain(holds if worker.engine else f"The worker loads its models: {memory} so far."))
    help_text = "Frees the memory; the next job starts some seconds later." if is_idle else "Once all jobs are done."
    bar.button("End the worker", "end-worker", help_text, job.dismiss, (outputs_folder(),), type="tertiary")


def takes(time_needed: Expected) -> str:
    """How long a run will take: "takes about 40 s for each of at most 3 rounds"."""
    about = f"takes about {duration(time_needed.seconds)}"
    each = f" for each of at most {time_needed.rounds} rounds" if time_needed.rounds > 1 else ""
    return about + each + ("" if time_needed.measured else " (a guess: this engine has painted nothing here yet)")


def turn(queue: JobQueue, before: int) -> str:
    """When a job will be worked on that so many stand before."""
    if not before:
        starts = f"The worker starts; if it cannot, {queue.folder.name}/{LOG} says why."
        return "Next in the queue." if job.is_awake(queue.folder.parent) else starts
    jobs = "1 job" if before == 1 else f"{before} jobs"
    seconds = sum(_rest(queue, one) for one in queue.jobs()[:before])
    return f"In the queue: {jobs} before it, about {duration(seconds)}."


def _rest(queue: JobQueue, one: Job) -> float:
    """Seconds that a job still takes, if no further round is needed."""
    folder = queue.folder.parent / one.run
    with suppress(BadInput):
        left = progress(job.events(folder)).left_s if one.state == "working" else None
        return expected(queue, Run.load(folder)).seconds if left is None else left
    return 0.0


def megabytes(size: int) -> str:
    """Bytes as people say them."""
    return f"{size / 1e6:.0f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"
