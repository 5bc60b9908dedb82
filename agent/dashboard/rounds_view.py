"""The rounds of a run beside each other: their pictures, what was mended, whether it was taken, and what it cost."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import streamlit as st

from agent.console import place
from agent.dashboard import pictures
from agent.dashboard.navigation import plain
from agent.dashboard.run_index import inside
from agent.repair.records import RepairRecord
from agent.repair.regions import covered_share
from agent.runs import PlanNotes, Run, read_json, read_report
from evaluators.report import Report
from instdiff.errors import BadInput
from instdiff.formats import load_layout, read_png
from instdiff.layout import Box, Instance, Layout

ROW = 3  # rounds beside each other
NOT_TAKEN = "not better, so the picture before stays"


class ShownRound(NamedTuple):
    """What a page shows of a round.

    Attributes:
        picture: the best that the round painted, which is another than the one that counts after it if it is not taken.
        layout: what was planned to be seen on it.
        report: what was found on it.
        taken: the picture counts from this round on.
        regions: what was painted anew, where that is not the whole picture.
        sentences: what was mended, on how much of the picture, and whether it was accepted.
    """

    picture: Path
    layout: Layout
    report: Report
    taken: bool
    regions: tuple[Box, ...]
    sentences: list[str]

    def marked(self, planned: bool, detected: bool, painted: bool) -> bytes:
        """The picture as PNG, with the marks that are asked for."""
        if not (planned or detected or (painted and self.regions)):
            return self.picture.read_bytes()
        regions = self.regions if painted else ()
        return pictures.boxed(self.picture, self.layout, self.report, planned, detected, regions)


def shown_rounds(run: Run) -> list[ShownRound | BadInput]:
    """All rounds of a run; in the place of one that cannot be read is what cannot be read of it."""
    return [_shown_or_not(run, index) for index in range(len(run.rounds))]


def _shown_or_not(run: Run, index: int) -> ShownRound | BadInput:
    try:
        return _shown(run, index)
    except BadInput as error:
        return error
    except OSError as error:
        return BadInput(f"round {index}", f"cannot be read: {error.strerror or error}")


def _shown(run: Run, index: int) -> ShownRound:
    done = run.rounds[index]
    taken = done.repair is None or done.repair.accepted
    names = (done.image, done.layout, done.report)
    if not taken:  # `Round` names what counts after it, which is the picture before
        folder = Path(done.images[0]).parent
        about = read_json(inside(run.folder, f"{folder}/report.json"))
        names = (f"{folder}/{about.get('image')}", f"{folder}/layout.json", f"{folder}/report.json")
    picture, plan, about_it = (inside(run.folder, name) for name in names)
    layout = load_layout(plan, boxes="xywh")
    report = read_report(about_it)
    if any(verdict.instance >= len(layout.instances) for verdict in report.verdicts):
        raise BadInput(str(about_it), f"speaks of more things than the {len(layout.instances)} of the plan")
    pictures.readable(picture)
    if done.repair:
        regions = done.repair.regions
        sentences = [*tried(done.repair), "accepted" if taken else NOT_TAKEN]
    else:
        regions, sentences = _edited(run, index, picture)
    return ShownRound(picture, layout, report, taken, regions, sentences)


def tried(repair: RepairRecord) -> list[str]:
    """What a repair does for each thing, and on how much of the picture."""
    return [*(step.sentence for step in repair.steps), _extent(repair.share)]


def _extent(share: float) -> str:
    if share >= 1:
        return "the whole picture is painted anew"
    if share > 0:
        return f"{max(share, 0.01):.0%} of the picture is painted anew"
    return "nothing is painted: the plan alone changes"


def _edited(run: Run, index: int, picture: Path) -> tuple[tuple[Box, ...], list[str]]:
    """Where the first round of an edit has changed the picture before, and that in words."""
    edited = run.request.edited
    if index or edited is None:
        return (), []
    if edited.keep:
        return (), ["the picture as it was; nothing is painted"]
    if not edited.regions or "changed_from" not in read_png(picture)[1]:  # not every engine can paint a part
        return (), []
    return edited.regions, [_extent(covered_share(edited.regions))]


def cost(evaluations: int, seconds: float) -> str:
    """What painting and looking took."""
    return f"{evaluations:,} evaluations of the UNet, {seconds:.1f} s"


def show_rounds(run: Run, rounds: list[ShownRound | BadInput]) -> None:
    """The pictures, with the marks that are chosen, and under each what is to be said of it."""
    name = run.folder.name
    toggles = st.container(horizontal=True)
    planned = toggles.toggle("Planned boxes", value=True, key=f"planned-{name}")
    detected = toggles.toggle("Found boxes", value=True, key=f"found-{name}")
    painted = False
    if any(isinstance(shown, ShownRound) and shown.regions for shown in rounds):
        meaning = "What was painted anew is outlined in yellow; every pixel elsewhere stayed."
        painted = toggles.toggle("Painted regions", value=True, key=f"painted-{name}", help=meaning)
    for first in range(0, len(rounds), ROW):
        columns = st.columns(min(max(len(rounds), 2), ROW))
        for index, column in zip(range(first, min(first + ROW, len(rounds))), columns, strict=False):
            with column:
                shown = rounds[index]
                if isinstance(shown, BadInput):
                    st.error(plain(f"Round {index} cannot be read: {shown}"))
                    continue
                picture = shown.marked(planned, detected, painted)
                alt = f"the picture of round {index}"
                st.image(picture, width="stretch", output_format="PNG", alt=alt)  # else it is made a JPEG each time
                _about(run, index, shown)


def _about(run: Run, index: int, shown: ShownRound) -> None:
    """The figures of a round, what was mended, and what is different from the picture before."""
    done = run.rounds[index]
    best = ", the best" if index == run.best_round and len(run.rounds) > 1 else ""
    found = f"{shown.report.found} of {len(shown.layout.instances)} found"
    if not shown.report.checked:
        found = f"{len(shown.layout.instances)} planned, nobody looked"
    title = f"round {index}{best if shown.taken else ', not taken'}"
    overlap = f", mean IoU {shown.report.mean_iou:.2f}" if shown.report.checked else ""
    lines = [f"{title}: {found}{overlap}, seed {done.seed}", *shown.sentences]
    if done.seconds:  # older runs do not say what they took
        lines.append(cost(done.unet_evaluations, done.seconds))
    st.text("\n".join(lines))
    sentences = PlanNotes(notes=done.notes, findings=done.findings).sentences
    if index:
        try:
            before = load_layout(inside(run.folder, run.rounds[index - 1].layout), boxes="xywh")
            sentences += changes(before, shown.layout)
        except BadInput as error:
            sentences.append(f"what changed cannot be said: {error}")
    if sentences:
        with st.expander("Why it is so", expanded=len(run.rounds) > 1):
            for sentence in sentences:
                st.text(sentence)


def changes(before: Layout, after: Layout) -> list[str]:
    """One sentence for each thing that came, went, moved or was described otherwise.

    Things of one name are taken for each other in their order; boxes are x0 y0 x1 y1 in pixels.
    """
    unmatched: dict[str, list[Instance]] = defaultdict(list)
    for old in before.instances:
        unmatched[old.name].append(old)
    sentences = []
    for new in after.instances:
        if not unmatched[new.name]:
            sentences.append(f"{new.name}: new, at {place(new, after)}")
            continue
        old = unmatched[new.name].pop(0)
        if place(old, before) != place(new, after):
            sentences.append(f"{new.name}: from {place(old, before)} to {place(new, after)}")
        if old.caption != new.caption:
            sentences.append(f"{new.name}: described as {new.caption}, before as {old.caption}")
    sentences += [f"{old.name}: gone" for gone in unmatched.values() for old in gone]
    if before.caption != after.caption:
        sentences.append(f"the caption was: {before.caption}")
    return sentences
