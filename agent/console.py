"""What a person sees in the terminal while a run works."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table
from rich.text import Text

from agent.events import Criticised, Done, Event, Judged, Loading, PlanReady, Repairing, Started, Step, Waiting
from agent.runs import read_report
from evaluators.report import Report, Verdict, VerdictKind
from instdiff.cli import program
from instdiff.errors import printable

if TYPE_CHECKING:
    from agent.planners.explaining import Explanation
    from agent.planners.plan import Plan
    from agent.runs import Run
    from instdiff.layout import Box, Instance, Layout

STYLES = {"found": "green", "misplaced": "yellow", "missing": "red", "wrong attribute": "magenta", "unchecked": "dim"}
MENDED = (VerdictKind.MISSING, VerdictKind.MISPLACED, VerdictKind.WRONG_ATTRIBUTE)  # what a repair can mend
PLAN_COLUMNS = ("#", "what", "described as", "where")


class Display:
    """Shows the events of a run on a console, with a bar where it is a terminal.

    Use as a context manager: leaving it stops the bar.
    """

    def __init__(self, console: Console):
        self.console = console
        self.progress: Progress | None = None
        self.task: TaskID | None = None

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *_) -> None:
        self._stop_progress()

    def __call__(self, event: Event) -> None:
        match event:
            case Started(folder=folder, resumed=resumed):
                self._say("going on with" if resumed else "run", str(folder))
            case Loading(part=part, name=name):
                self._say(f"loading the {part}", name)
            case PlanReady(round=index, plan=plan):
                self.console.print(plan_table(index, plan))
                for note in plan.notes:
                    self.console.print(words(f"  {note}", "dim"))
            case Criticised():
                self._criticised(event)
            case Repairing():
                self._repairing(event)
            case Step():
                self._step(event)
            case Judged():
                self._judged(event)
            case Waiting(run=run):
                self._say("waiting for you", f"{program()} review {run.folder} --approve   (or --replan, --reject)")
            case Done(run=run):
                self._done(run)

    def _criticised(self, event: Criticised) -> None:
        """What the critic found, and the table of the plan again if it was repaired."""
        for finding in event.findings:
            state = Text("  repaired: ", "green") if finding.repaired else Text(f"  {finding.kind}: ", "yellow")
            self.console.print(state + words(finding.sentence))
        if any(finding.repaired for finding in event.findings):
            self.console.print(plan_table(event.round, event.plan))

    def _repairing(self, event: Repairing) -> None:
        """What is tried for each thing that failed, and on how much of the picture."""
        self.console.print(Text(f"round {event.round} mends what failed and keeps the rest", "bold"))
        for number, repair in enumerate(event.repairs, 1):
            where = f"{repair.share:.0%} of the picture" if repair.share else "nothing is painted"
            label = f"  {number}. " if len(event.repairs) > 1 else "  "
            self.console.print(words(f"{label}{'; '.join(step.sentence for step in repair.steps)} ({where})"))

    def _judged(self, event: Judged) -> None:
        """The verdicts, and whether a repair is taken."""
        self._stop_progress()
        self.console.print(verdict_table(event.round, event.layout, event.report))
        if event.result.repair and not event.result.repair.accepted:
            self.console.print(Text("  not better: the picture before stays", "yellow"))

    def _step(self, event: Step) -> None:
        if not self.console.is_terminal:
            return
        if self.progress is None:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("steps"))
            times = (TimeElapsedColumn(), TextColumn("left:"), TimeRemainingColumn())
            self.progress = Progress(*columns, *times, console=self.console)
            self.progress.start()
        if event.step == 1 or self.task is None:
            number = f", picture {event.image + 1} of {event.images}" if event.images > 1 else ""
            self.task = self.progress.add_task(f"painting round {event.round}{number}", total=event.steps)
        self.progress.update(self.task, completed=event.step)

    def _stop_progress(self) -> None:
        if self.progress:
            self.progress.stop()
        self.progress = self.task = None

    def _done(self, run: Run) -> None:
        if run.best is None:
            self.console.print(Text("rejected: nothing was painted", "dim"))
            return
        if run.request.verifier == "none":
            state = Text("not verified: no verifier was asked", "dim")
        elif run.verified:
            state = Text("verified: everything planned was found in its place", "green")
        else:
            state = Text("not verified: something is missing, misplaced or unchecked", "yellow")
        self.console.print(state)
        report = read_report(run.folder / run.best.report)
        if run.request.verifier != "none":
            for line in outcome(report):
                self.console.print(words(f"  {line}"))
        self._say("best round", f"{run.best_round} of {len(run.rounds)} (counted from 0)")
        self._say("planner, engine, verifier", f"{run.planner}, {run.request.engine}, {run.request.verifier}")
        self._say("seconds", ", ".join(f"{name} {value:.1f}" for name, value in run.seconds.items()))
        self._say("evaluations of the UNet", ", ".join(str(done.unet_evaluations) for done in run.rounds) + " by round")
        if run.before_after:
            self._say("before and after", str(run.before_after))
        self._say("picture", str(run.image))
        self._say("go on with", next_command(run, report))

    def _say(self, label: str, value: str) -> None:
        self.console.print(Text.assemble((f"{label}: ", "bold"), words(value)), soft_wrap=True)


def outcome(report: Report) -> list[str]:
    """What was found, and what was not and why, one sentence each."""
    found = [verdict.name for verdict in report.verdicts if verdict.kind is VerdictKind.FOUND]
    lines = [f"found: {', '.join(found) or 'nothing'} ({len(found)} of {len(report.verdicts)})"]
    for verdict in report.verdicts:
        if verdict.kind is not VerdictKind.FOUND:
            lines.append(f"{verdict.kind.value}: {verdict.name}: {reason(verdict, report)}")
    return lines + [f"extra: {extra.category}: one more than planned" for extra in report.extras]


def reason(verdict: Verdict, report: Report) -> str:
    """Why a thing was not found."""
    if verdict.kind is VerdictKind.UNCHECKED:
        return f"{report.detector} does not know this name"
    if verdict.kind is VerdictKind.MISPLACED:
        return f"it is seen elsewhere; its box and the planned one have an IoU of {verdict.iou:.2f}"
    if verdict.kind is VerdictKind.WRONG_ATTRIBUTE:
        return "it is in its place, and does not look as it should"
    if verdict.sure is None or report.found_score is None:
        return f"{report.detector} sees none in its place"
    return f"{report.detector} is {verdict.sure:.2f} sure that it is in its place, and must be {report.found_score:.2f}"


def next_command(run: Run, report: Report) -> str:
    """What to do with a picture next: mend what failed, or else change something."""
    folder = shlex.quote(str(run.folder))
    if not run.verified and any(verdict.kind in MENDED for verdict in report.verdicts):
        return f"{program()} repair {folder}"
    name = next((verdict.name for verdict in report.verdicts), "")
    change = shlex.quote(f"make the {name} larger" if name else "add a tree")
    return f"{program()} edit {folder} {change}"


def words(text: str, style: str = "") -> Text:
    """Words of people and models as they are: no markup is read in them, and nothing in them moves the cursor."""
    indent = len(text) - len(text.lstrip(" "))
    return Text(" " * indent + printable(text), style)


def show_reading(console: Console, explanation: Explanation) -> None:
    """How the words of a prompt were read: a table of things, and a line for everything else."""
    table = Table(title="what the words name", title_justify="left")
    for column in explanation.columns:
        table.add_column(column, justify="right" if column == "#" else "left")
    for row in explanation.things:
        table.add_row(*map(words, row))
    console.print(table if explanation.things else Text("the words name no thing", "yellow"))
    for sentence in explanation.sentences:
        console.print(words(f"  {sentence}"))


def plan_table(index: int, plan: Plan) -> Table:
    """The plan of a round, one line per instance, boxes as x0 y0 x1 y1 in pixels."""
    size = f"{plan.layout.width} x {plan.layout.height}"
    table = Table(title=words(f"plan of round {index} by {plan.planner}, {size} pixels"), title_justify="left")
    for column, style in zip(PLAN_COLUMNS, ("dim", "", "", "cyan"), strict=True):
        table.add_column(column, justify="right" if column == "#" else "left", style=style)
    for row in plan_rows(plan.layout):
        table.add_row(*map(words, row))
    return table


def plan_rows(layout: Layout) -> list[tuple[str, str, str, str]]:
    """A plan as text: the cells under `PLAN_COLUMNS`, one row for each instance."""
    return [
        (str(number), instance.name, instance.caption, place(instance, layout))
        for number, instance in enumerate(layout.instances, 1)
    ]


def place(instance: Instance, layout: Layout) -> str:
    """Where an instance is, in pixels, in few words."""
    if instance.extent:
        kind = "" if instance.box else " mask" if instance.mask else " scribble"
        return corners(instance.extent, layout) + kind
    if instance.point:
        return f"{instance.point.x * layout.width:.0f} {instance.point.y * layout.height:.0f} point"
    return "scribble" if instance.scribble else "empty mask"


def corners(box: Box, layout: Layout) -> str:
    """A box as x0 y0 x1 y1 in pixels."""
    return " ".join(f"{value:.0f}" for value in box.to_corners(layout.size))


def verdict_table(index: int, layout: Layout, report: Report) -> Table:
    """The verdict on every instance of a round."""
    title = f"round {index}: {report.found} of {len(layout.instances)} found by {report.detector}"
    if report.found_score is not None:
        title += f", which must be {report.found_score:.2f} sure"
    number, sureness, fit = (Column(name, justify="right") for name in ("#", "sure", "IoU"))
    table = Table(number, "what", "verdict", sureness, fit, title=words(title), title_justify="left")
    for verdict in report.verdicts:
        sure = "" if verdict.sure is None else f"{verdict.sure:.2f}"
        iou = f"{verdict.iou:.2f}" if verdict.detection else ""
        kind = Text(verdict.kind.value, STYLES[verdict.kind.value])
        table.add_row(str(verdict.instance + 1), words(verdict.name), kind, sure, iou)
    for extra in report.extras:
        table.add_row("", words(extra.category), Text("extra", "blue"), f"{extra.score:.2f}", "")
    return table
