"""A run while it is worked on: the plan, the picture as far as it is, the verdicts. Looks on once a second."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import streamlit as st

from agent import job
from agent.console import place
from agent.dashboard.pictures import boxed
from agent.dashboard.run_index import run_folder
from instdiff.formats import layout_from_json
from instdiff.layout import Layout

WORDS = {
    "starting": "starting",
    "started": "starting",
    "waiting": "waiting for your answer",
    "stopped": "stopped",
    "done": "done",
    "failed": "failed",
}


@dataclass
class Progress:
    """What a page shows of a job; ``share`` is how much of the picture at work is denoised, 0..1."""

    status: str = "starting"
    share: float = 0.0
    round: int = 0
    layout: dict | None = None  # JSON of InstanceDiffusion
    notes: list[str] = field(default_factory=list)
    judged: list[dict] = field(default_factory=list)  # the events of rounds that are looked at
    preview: bool = False  # the picture of this round can be seen
    failure: str = ""


def progress(events: list[dict]) -> Progress:
    """Read the events from the oldest to the newest."""
    now = Progress()
    for event in events:
        kind = event["kind"]
        if kind in WORDS:
            now.status = WORDS[kind]
            now.share = 0.0
            now.failure = event.get("reason", "")
        elif kind == "loading":
            now.status = f"loading the {event['what']} {event['name']}"
        elif kind in ("planned", "criticised"):
            now.round = event["round"]
            now.layout = event["layout"]
            now.preview = False
            now.notes = [*event["notes"]] if kind == "planned" else [*now.notes, *event["notes"]]
            now.status = f"round {now.round} is planned"
        elif kind == "step":
            now.share = event["step"] / event["steps"]
            number = f", picture {event['image'] + 1} of {event['images']}" if event["images"] > 1 else ""
            now.status = f"painting round {event['round']}{number}: step {event['step']} of {event['steps']}"
        elif kind == "preview":
            now.preview = True
        elif kind == "judged":
            now.judged = [done for done in now.judged if done["round"] != event["round"]] + [event]
            now.status = f"round {event['round']}: {event['found']} of {event['planned']} found"
    return now


EVERY_S = 1.0


@st.fragment(run_every=EVERY_S)
def watch(name: str) -> None:
    """Show a job until it ends; then the page is drawn anew."""
    folder = run_folder(name)
    if not job.is_running(folder):
        st.rerun()
    told = job.events(folder)
    now = progress(told)
    left, right = st.columns([3, 2])
    layout = layout_from_json(now.layout, boxes="xywh") if now.layout else _kept(folder)
    with left:
        _picture(folder, now, layout)
    with right:
        seconds = time.time() - next(
            (event["time"] for event in reversed(told) if event["kind"] == "starting"), time.time()
        )
        st.text(f"{now.status} ({seconds:.0f} s)")
        st.progress(now.share, text="denoised")
        if st.button("Stop", key=f"stop-{name}", icon=":material/stop:", help="The run can be gone on with."):
            job.stop(folder)
        for done in now.judged:
            verified = ", verified" if done["verified"] else ""
            st.text(
                f"round {done['round']}: {done['found']} of {done['planned']} found, mean IoU"
                f" {done['mean_iou']:.2f}{verified}"
            )
        if layout:
            plan_table(layout)
        for note in now.notes:
            st.text(note)


def _kept(folder: Path) -> Layout | None:
    """The first plan, where another process made it."""
    path = folder / "round-0" / "layout.json"
    return Layout.from_file(path, boxes="xywh") if path.exists() else None


def _picture(folder: Path, now: Progress, layout: Layout | None) -> None:
    """The newest that there is to see: the preview, the best round so far, or the plan."""
    preview = job.job_folder(folder) / job.PREVIEW
    if now.preview and preview.exists():
        st.image(
            preview.read_bytes(),
            caption=f"round {now.round}, as far as it is",
            width=512,
            alt="the picture as far as it is denoised",
        )
    elif layout:
        st.image(boxed(None, layout), caption=f"the plan of round {now.round}", width=512, alt="the plan")
    else:
        st.text("The plan is being made.")


def plan_table(layout: Layout) -> None:
    """What is planned, one line for each instance, places in pixels."""
    rows = [
        {"#": number, "what": instance.name, "described as": instance.caption, "where": place(instance, layout)}
        for number, instance in enumerate(layout.instances, 1)
    ]
    st.dataframe(rows, hide_index=True)
