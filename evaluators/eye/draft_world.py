"""The examination on pictures of the draft world, all of them drawn from what is on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from evaluators.detectors import Detector
from evaluators.draft.held_out import FIRST_SEED
from evaluators.eye import tables
from evaluators.eye.answers import KnownPicture
from evaluators.eye.examination import OWN, TIMED, Examination, Examined
from evaluators.eye.pictures import (
    SWAPPED,
    ComposedPicture,
    compose,
    draw_alone,
    draw_plan,
    drawable,
    load_autoencoder,
    repaint,
)
from evaluators.eye.spoiling import KINDS, TWICE, Spoiler
from evaluators.reporting import Table, percent
from instdiff.layout import Layout

if TYPE_CHECKING:
    from rich.progress import Progress

    from instdiff.training.draft.composer import Composer


@dataclass(frozen=True)
class DraftWorld:
    """What is drawn: ``count`` composed pictures, half of which give figures, and each category ``each`` times.

    ``plans`` are layouts to draw.
    """

    composer: Composer
    plans: Sequence[Layout]
    count: int
    each: int

    def composed(self, figures: bool, progress: Progress, title: str) -> Iterable[ComposedPicture]:
        """Those of odd seeds give the figures, the others calibrate."""
        count = self.count // 2
        pictures = compose(self.composer, FIRST_SEED + figures, count)
        return progress.track(pictures, total=count, description=title)


def examine(
    detector: Detector, world: DraftWorld, parts: Sequence[str], false_yes: float, progress: Progress
) -> Examined:
    """The examination, its figures by part, their tables, and notes."""
    calibration = (picture.known for picture in world.composed(False, progress, "calibrating"))
    examination = Examination(detector, world.composer.names, calibration, false_yes)
    figures: dict = {}
    notes: list[str] = []
    if "composed" in parts:
        pictures = world.composed(True, progress, "composed")
        figures["composed"] = examination.as_planned("composed", (picture.known for picture in pictures))
    if "painted" in parts:
        autoencoder = load_autoencoder()
        pictures = world.composed(True, progress, "painted")
        figures["painted"] = examination.as_planned("painted", (repaint(picture, autoencoder) for picture in pictures))
    if "spoiled" in parts:
        figures["spoiled"] = examination.of_plans("composed", _spoiled(world, examination, progress), list(KINDS))
        told = figures["spoiled"][OWN][TWICE]["extra_told"]
        notes.append(f"{TWICE}: the second one is told on {percent(told)} % of the pictures")
    if "planned" in parts:
        plans = [layout for layout in world.plans if drawable(layout, world.composer)]
        if left_out := len(world.plans) - len(plans):
            notes.append(f"{left_out} of {len(world.plans)} plans are left out: they have things without a drawing")
        figures["planned"] = examination.of_plans("planned", _drawn(plans, world.composer, progress), [SWAPPED])
    if "categories" in parts:
        figures["categories"] = examination.of_things(_alone(world, detector, progress))
    timed = [picture.known for picture in islice(compose(world.composer, FIRST_SEED + 1, TIMED), TIMED)]
    figures["milliseconds"] = examination.milliseconds(timed)
    return Examined(examination, figures, make_tables(detector.name, figures, world), notes)


def _spoiled(world: DraftWorld, examination: Examination, progress: Progress) -> Iterator[KnownPicture]:
    spoiler = Spoiler(world.composer, examination.similar)
    for picture in world.composed(True, progress, "spoiled"):
        yield from filter(None, (spoiler.spoil(kind, picture) for kind in KINDS))


def _drawn(plans: Sequence[Layout], composer: Composer, progress: Progress) -> Iterator[KnownPicture]:
    for swapped in (False, True):
        for seed, layout in enumerate(progress.track(plans, description="planned, swapped" if swapped else "planned")):
            yield draw_plan(layout, composer, seed, swapped)


def _alone(world: DraftWorld, detector: Detector, progress: Progress) -> Iterator[KnownPicture]:
    names = [name for name in world.composer.names if detector.knows(name)]
    pictures = draw_alone(world.composer, names, world.each)
    yield from progress.track(pictures, total=len(names) * world.each, description="categories")


def make_tables(name: str, figures: dict, world: DraftWorld) -> list[Table]:
    """Those of the parts that there are."""
    made = []
    if rows := {part: figures[part] for part in ("composed", "painted") if part in figures}:
        made.append(tables.main_table(f"The eye of {name}, {world.count // 2} composed pictures", rows))
        made.append(tables.worst_table("Categories that are missed most", next(iter(rows.values()))))
    if "spoiled" in figures:
        made.append(tables.spoiled_table("Composed pictures with one thing spoiled", figures["spoiled"]))
    if "planned" in figures:
        made.append(tables.planned_table(f"{len(world.plans)} plans, drawn perfectly", figures["planned"]))
    if "categories" in figures:
        made.append(tables.alone_table(f"Every category alone, {world.each} times", figures["categories"]))
    return made
