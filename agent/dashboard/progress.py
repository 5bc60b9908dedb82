"""How far a job is, read from what happened in it."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent import events
from agent.dashboard.rounds_view import NOT_TAKEN
from agent.repair.records import RepairRecord
from agent.runs import Round
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
    first_step: events.Step | None = None  # of the picture at work
    left_s: float | None = None  # seconds until the pictures of this round are painted; None where nobody knows

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
                now.left_s = _time_left(now, event)
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
                now.left_s = None
            case _:
                now.status = WORDS.get(event.kind, event.kind)
                now.share = 0.0
                now.left_s = None
    return now


def _time_left(now: Progress, event: events.Step) -> float | None:
    """Seconds until the pictures of a round are painted, as fast as the steps so far."""
    first = now.first_step
    if first is None or (first.round, first.image) != (event.round, event.image) or event.step <= first.step:
        now.first_step = event
        return None
    a_step = (event.time - first.time) / (event.step - first.step)
    return a_step * (event.steps - event.step + event.steps * (event.images - 1 - event.image))


def _plan(now: Progress, event: events.PlanReady | events.Criticised, notes: list[str]) -> None:
    """Show the plan of a round."""
    now.round = event.round
    now.layout = event.plan.layout
    now.preview = False
    now.share = 0.0
    now.left_s = None
    now.repairs = ()
    now.notes = notes
    now.status = f"round {event.round} is planned"


def _mend(now: Progress, event: events.Repairing) -> None:
    """Show what a round tries."""
    now.round = event.round
    now.layout = event.layouts[0] if event.layouts else now.layout
    now.preview = False
    now.share = 0.0
    now.left_s = None
    now.repairs = event.repairs
    now.notes = []
    steps = dict.fromkeys(step.sentence for repair in event.repairs for step in repair.steps)
    now.status = f"round {event.round} mends: {'; '.join(steps)}"


def decision(done: Round) -> str:
    """Whether a repair was accepted, to be added to what was found; nothing for a picture that mends none."""
    if done.repair is None:
        return ""
    return ", accepted" if done.repair.accepted else f", {NOT_TAKEN}"
