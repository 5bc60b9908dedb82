"""The rounds of painting and looking, as functions without files or state: runs and datasets both use them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent.planners.plan import Plan, Planner
from agent.repair.records import Step
from agent.repair.repairs import is_better
from agent.runs import Round
from evaluators.detectors import Detector
from evaluators.matching import EXTRA_SCORE, unchecked_report
from evaluators.report import Report
from evaluators.verifying import verify
from instdiff.formats import layout_from_json, layout_to_json
from instdiff.layout import Layout
from instdiff.render_settings import RenderSettings

if TYPE_CHECKING:
    from PIL.Image import Image

ANEW = Step(thing="the picture", failure="not as planned", move="planned and painted anew")
OTHER_NOISE = Step(thing="the picture", failure="not as planned", move="painted anew from other noise")


def round_seed(first: int, number: int, limit: int, images: int = 1) -> int:
    """The seed of the first picture of a round, from 0 up to ``limit``; rounds of ``images`` pictures share none."""
    return (first + number * images) % limit


def next_settings(asked: RenderSettings, plan: Plan, seed: int) -> RenderSettings:
    """How the next picture of a plan is painted: mis and alpha as the user gave them, else as the plan asks.

    What is None then is left to the engine.
    """
    mis = plan.mis if asked.mis is None else asked.mis
    alpha = plan.alpha if asked.alpha is None else asked.alpha
    return RenderSettings.parse({**dict(asked), "seed": seed, "num_images": 1, "mis": mis, "alpha": alpha})


def as_written(layout: Layout) -> Layout:
    """The layout as it is read back from a file, so that the files say exactly what is painted."""
    return layout_from_json(layout_to_json(layout), boxes="xywh")


def look(
    detector: Detector | None,
    images: Sequence[Image],
    layout: Layout,
    iou_threshold: float,
    unwanted: Sequence[str] = (),
) -> list[Report]:
    """A report on each picture of a layout; without a detector every instance is unchecked.

    What is seen of ``unwanted`` categories is among the extras.
    """
    if detector is None:
        return [unchecked_report(layout, iou_threshold)] * len(images)
    reports = verify(detector, images, [layout] * len(images), iou_threshold)
    if not unwanted:
        return reports
    every = detector.detect(list(images), list(unwanted))
    sure = [tuple(one for one in seen if one.score >= EXTRA_SCORE) for seen in every]
    return [
        report.model_copy(update={"extras": (*report.extras, *more)})
        for report, more in zip(reports, sure, strict=True)
    ]


def choose_early(
    detector: Detector, layout: Layout, iou_threshold: float, count: int, images: Sequence[Image]
) -> list[int]:
    """The indices of the most promising of several unfinished pictures: most found, then surest."""
    promise = [early_score(report) for report in look(detector, images, layout, iou_threshold)]
    order = sorted(range(len(images)), key=lambda index: promise[index], reverse=True)
    return sorted(order[:count])


def early_score(report: Report) -> tuple[float, float]:
    """How promising an unfinished picture is: share found, then how sure the detector is of everything planned."""
    sure = [verdict.sure or 0.0 for verdict in report.verdicts]
    return (report.score[0], sum(sure) / max(len(sure), 1))


def best_index(scores: Sequence[tuple]) -> int:
    """The index of the highest score, the first of equal ones."""
    return scores.index(max(scores))


def best_repair(before: tuple[Layout, Report], after: Sequence[tuple[Layout, Report]]) -> tuple[int, bool]:
    """The index of the best of several repaired pictures, and whether it takes the place of the picture before.

    It does only if everything that was found is still found, and more is.
    """
    better = [is_better(before, one) for one in after]
    best = best_index([(accepted, *report.score) for accepted, (_, report) in zip(better, after, strict=True)])
    return best, better[best]


def tried(rounds: Sequence[Round]) -> set[tuple[str, str]]:
    """(thing, move) of all repairs of a plan, which is another one where everything was planned and painted anew."""
    moves: set[tuple[str, str]] = set()
    for done in rounds:
        if done.repair and done.repair.anew and done.repair.accepted:
            moves.clear()
        elif done.repair:
            moves |= {(step.thing, step.move) for step in done.repair.tried}
    return moves


def as_painted(plan: Plan, seed: int, mis: float | None, alpha: float | None) -> Plan:
    """The plan with the seed and strengths of the picture that a report is about, so that a revision can keep them."""
    return plan.model_copy(update={"seed": seed, "mis": mis, "alpha": alpha})


def revise_plan(planner: Planner, prompt: str, painted: Plan, report: Report, seed: int) -> Plan:
    """The plan of the next round, with everything in it that was planned.

    Args:
        painted: as `as_painted` gives it.
        report: on its picture.
        seed: of the next round.

    Raises:
        ServiceError: the planner failed.
    """
    return complete_plan(planner.revise(prompt, painted, report, seed), painted, seed)


def complete_plan(revised: Plan, plan: Plan, seed: int) -> Plan:
    """The revised plan if it still has everything in it, else the plan before it with another seed.

    What failed must not be mended by leaving it out: the score counts what is planned.
    """
    missing = Counter(instance.name.lower() for instance in plan.layout.instances)
    missing -= Counter(instance.name.lower() for instance in revised.layout.instances)
    if not missing:
        return revised
    names = ", ".join(missing.elements())
    note = f"The revised plan left out {names}; the plan before it is painted with another seed."
    return plan.model_copy(update={"seed": seed, "notes": (*plan.notes, note)})


def is_same_picture(plan: Plan, painted: Plan, asked: RenderSettings) -> bool:
    """True if a plan with its seed would only give the picture of another plan again."""
    return plan.layout == painted.layout and (
        next_settings(asked, plan, plan.seed or 0) == next_settings(asked, painted, painted.seed or 0)
    )


def with_next_seed(revised: Plan, painted: Plan, asked: RenderSettings, seed: int) -> Plan:
    """The revised plan with a seed: its own, or ``seed`` where it has none or would give the painted picture again."""
    is_open = revised.seed is None or is_same_picture(revised, painted, asked)
    return revised.model_copy(update={"seed": seed}) if is_open else revised
