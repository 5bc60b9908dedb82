"""A run while it is worked on: the plan, the picture as far as it is, the verdicts. Looks on once a second."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import streamlit as st

from agent import events, job
from agent.console import PLAN_COLUMNS, plan_rows
from agent.dashboard.navigation import telling
from agent.dashboard.pictures import boxed, outlined
from agent.dashboard.rounds_view import NOT_TAKEN, tried
from agent.dashboard.run_index import inside, run_folder
from agent.repair.records import RepairRecord
from agent.runs import BEFORE, Round, Run
from instdiff.formats import load_layout
from instdiff.layout import Box, Layout

WORDS = {"started": "starting", "waiting": "waiting for your answer"}  # for kinds of events that do not say it alone


@dataclass
class Progress:
    """What a page shows of a job; ``share`` is how much of the picture at work is denoised, 0..1."""

    status: str = "starting"
    share: float = 0.0
    round: int = 0
    layout: Layout | None = None
    notes: list[str] = field(default_factory=list)
    judged: list[events.Judged] = field(default_factory=list)  # the rounds that are looked at
    preview: bool = False  # the picture of this round can be seen
    repairs: tuple[RepairRecord, ...] = ()  # what this round tries

    @property
    def regions(self) -> tuple[Box, ...]:
        """What this round paints anew in the picture before."""
        return tuple(dict.fromkeys(region for repair in self.repairs for region in repair.regions))


def progress(happened: list[events.Event]) -> Progress:
    """Read the events from the oldest to the newest."""
    now = Progress()
    for event in happened:
        match event:
            case events.Loading():
                now.status = f"loading the {event.part} {event.name}"
            case events.PlanReady():
                _plan(now, event, [*event.plan.notes])
            case events.Criticised():
                _plan(now, event, [*now.notes, *(finding.sentence for finding in event.findings)])
            case events.Repairing():
                _mend(now, event)
            case events.Step():
                now.share = min(event.step / event.steps, 1.0)
                number = f", picture {event.image + 1} of {event.images}" if event.images > 1 else ""
                now.status = f"painting round {event.round}{number}: step {event.step} of {event.steps}"
            case events.PreviewReady():
                now.preview = True
            case events.Judged():
                now.judged = [done for done in now.judged if done.round != event.round] + [event]
                report = event.report
                found = f"{report.found} of {len(report.verdicts)} found"
                now.status = f"round {event.round}: {found}{decision(event.result)}"
                now.repairs = ()
                now.share = 0.0  # the bar of the next round starts anew
            case _:
                now.status = WORDS.get(event.kind, event.kind)
                now.share = 0.0
    return now


def _plan(now: Progress, event: events.PlanReady | events.Criticised, notes: list[str]) -> None:
    """Show the plan of a round."""
    now.round = event.round
    now.layout = event.plan.layout
    now.preview = False
    now.share = 0.0
    now.repairs = ()
    now.notes = notes
    now.status = f"round {event.round} is planned"


def _mend(now: Progress, event: events.Repairing) -> None:
    """Show what a round tries."""
    now.round = event.round
    now.layout = event.layouts[0] if event.layouts else now.layout
    now.preview = False
    now.share = 0.0
    now.repairs = event.repairs
    now.notes = []
    steps = dict.fromkeys(step.sentence for repair in event.repairs for step in repair.steps)
    now.status = f"round {event.round} mends: {'; '.join(steps)}"


def decision(done: Round) -> str:
    """Whether a repair was accepted, to be added to what was found; nothing for a picture that mends none."""
    if done.repair is None:
        return ""
    return ", accepted" if done.repair.accepted else f", {NOT_TAKEN}"


EVERY_S = 1.0
STOPPING = "stopping-job"  # the job that was asked to stop in this window


def _stop(name: str, begun: list[float]) -> None:
    """Ask the job to stop; what it is at may take it some seconds, and a second call ends it at once."""
    job.stop(run_folder(name))
    st.session_state[STOPPING] = (name, begun)


@st.fragment(run_every=EVERY_S)
def watch(name: str) -> None:
    """Show a job until it ends; then the page is drawn anew."""
    folder = run_folder(name)
    if not job.is_running(folder):
        st.rerun()
    with telling():
        _watch(name, folder)


def _watch(name: str, folder: Path) -> None:
    """The picture as far as it is, and how far that is."""
    happened = job.events(folder)
    now = progress(happened)
    left, right = st.columns([3, 2])
    layout = now.layout or _first_plan(folder)
    with left:
        _picture(folder, now, layout)
    with right:
        begun = [event.time for event in happened if isinstance(event, events.Starting)]
        seconds = time.time() - begun[-1] if begun else 0.0
        is_stopping = st.session_state.get(STOPPING) == (name, begun[-1:])
        st.text("stopping…" if is_stopping else f"{now.status} ({seconds:.0f} s)")
        st.progress(now.share, text=f"round {now.round}, denoised")
        label = "Stop at once" if is_stopping else "Stop"
        st.button(
            label, f"stop-{name}", "The run can be gone on with.", _stop, (name, begun[-1:]), icon=":material/stop:"
        )
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


def _first_plan(folder: Path) -> Layout | None:
    """The first plan, where another process made it."""
    path = folder / "round-0" / "layout.json"
    return load_layout(path, boxes="xywh") if path.exists() else None


def _picture(folder: Path, now: Progress, layout: Layout | None) -> None:
    """The newest that there is to see: the preview, the picture so far, or the plan."""
    preview = job.job_folder(folder) / job.PREVIEW
    if now.preview and preview.exists():
        caption = f"round {now.round}, as far as it is"
        st.image(preview.read_bytes(), caption=caption, width=512, alt="the picture as far as it is denoised")
        return
    before = _before(folder, now)
    if before and layout:
        picture, regions = before
        caption = "what is outlined is painted anew" if regions else "the picture so far"
        st.image(outlined(picture, layout, regions), caption=caption, width=512, alt="the picture so far")
    elif layout:
        st.image(boxed(None, layout), caption=f"the plan of round {now.round}", width=512, alt="the plan")
    else:
        st.text("The plan is being made.")


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
    st.dataframe([dict(zip(PLAN_COLUMNS, row, strict=True)) for row in plan_rows(layout)], hide_index=True)
