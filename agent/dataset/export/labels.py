"""What a picture's labels are: what was planned and is there, what else is there, and where nobody knows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from agent.dataset.folder import Item
from evaluators.report import Detection, Verdict, VerdictKind
from instdiff.cli import Flag
from instdiff.formats.coco import fitted_mask
from instdiff.layout import Box, Instance, Mask
from instdiff.values import Fraction, Value
from instdiff.world.nouns import class_of, label_of, with_article

SAME_THING_IOU = 0.5  # boxes that share more show one thing
NEARLY_IOU = 0.7  # from there on plan and sight are two measurements of one box, and their mean is nearer than either
PART_OF_IT = 0.7  # what lies in a thing of its own kind with such a share may be a part of it, or one of two
COVERED = 0.6  # what is covered so far by what was planned may be a part of that, or be that
IN_PLACE = (VerdictKind.FOUND, VerdictKind.WRONG_ATTRIBUTE)
NOT_PLANNED = "not planned"
CELLS = 24  # of a side of a box, in which is looked whether other things lie there
LABELS = "labels"
FILTERS = "what is less than this is no label, but a region to ignore"
Step = Literal["drop", "add", "correct"]  # from the plan to labels
STEPS: tuple[Step, ...] = ("drop", "add", "correct")


def _steps(text: str) -> tuple[str, ...]:
    """ "drop,add" -> ("drop", "add"); "none" -> ()"""
    return () if text.strip() == "none" else tuple(part.strip() for part in text.split(",") if part.strip())


class LabelOptions(Value):
    """How labels come from what was planned and what was seen.

    ``refine`` names the steps from the plan to labels: things that are not there are dropped, others that are seen are
    added, boxes that moved are corrected; without any of them labels are the plan. What ``unverified``, ``extras`` and
    ``boxes`` say goes before it. Pictures that were kept as planned (``--accept all``) drop nothing by themselves.
    """

    refine: Annotated[tuple[Step, ...], Flag("A,B", group=LABELS, read=_steps)] = Field(
        default=STEPS,
        description="steps from the plan to labels: drop what is not there, add what else is, correct what moved; "
        "or none (default: drop,add,correct)",
    )
    unverified: Annotated[Literal["ignore", "drop", "label", "none"] | None, Flag(group=LABELS)] = Field(
        default=None,
        description="planned and not verified: a region to ignore; drop the picture; a label; or none "
        "(default: ignore; label with --accept all, or without drop in --refine)",
    )
    extras: Annotated[Literal["label", "ignore", "none"] | None, Flag(group=LABELS)] = Field(
        default=None,
        description="seen and not planned: a label; a region to ignore; or none "
        "(default: label; none without add in --refine)",
    )
    boxes: Annotated[Literal["plan", "seen", "mean"] | None, Flag(group=LABELS)] = Field(
        default=None,
        description="box and mask as planned; as seen; or the box between both where they nearly agree, else as seen "
        "(default: mean; plan without correct in --refine)",
    )
    extra_score: Annotated[Fraction, Flag("X", group=LABELS)] = Field(
        default=0.5, description="from this score on what is seen and not planned is a label (default: 0.5)"
    )
    ignore_score: Annotated[Fraction, Flag("X", group=LABELS)] = Field(
        default=0.25, description="from this score on it is a region to ignore (default: 0.25)"
    )
    min_score: Annotated[Fraction, Flag("X", group=FILTERS)] = Field(
        default=0.0, description="the verifier's score (default: 0)"
    )
    min_fit: Annotated[Fraction, Flag("X", group=FILTERS)] = Field(
        default=0.0, description="IoU of the planned place and what is seen, of planned things (default: 0)"
    )
    min_size: Annotated[Fraction, Flag("X", group=FILTERS)] = Field(
        default=0.0, description="root of the share of the picture; COCO's medium things begin at 0.125 (default: 0)"
    )
    min_free: Annotated[Fraction, Flag("X", group=FILTERS)] = Field(
        default=0.0, description="share of the box on which no other thing lies (default: 0)"
    )

    def resolved(self, as_planned: bool) -> LabelOptions:
        """The same with nothing left open.

        Args:
            as_planned: the pictures were kept as they were planned, whatever is on them.
        """
        drops = "drop" in self.refine and not as_planned
        return self.model_copy(
            update={
                "unverified": self.unverified or ("ignore" if drops else "label"),
                "extras": self.extras or ("label" if "add" in self.refine else "none"),
                "boxes": self.boxes or ("mean" if "correct" in self.refine else "plan"),
            }
        )


class Label(Value):
    """One label, or a region to ignore.

    Attributes:
        name: of its class.
        box, mask: fractions of the picture; the mask has the picture's pixels.
        source: ``plan``, ``seen`` or ``mean`` of both: where the box comes from.
        verdict: of the verifier on what was planned; ``not planned`` for other things.
        score: the verifier's, None where it did not look.
        iou: of the planned place and what was seen, 0 where either is missing.
        ignore: nobody knows what is there: no detector shall learn that it is background.
    """

    name: str
    caption: str
    box: Box
    mask: Mask | None = None
    source: str
    verdict: str
    score: float | None = None
    iou: float = 0.0
    ignore: bool = False

    @property
    def instance(self) -> Instance:
        """The label as a thing of a layout."""
        return Instance(caption=self.caption, category=self.name, box=self.box, mask=self.mask)


def labels_of(item: Item, options: LabelOptions, as_planned: bool = False) -> tuple[Label, ...] | None:
    """The labels and the regions to ignore of a picture, the planned ones first; None if the picture is dropped.

    Verified is what was found in its place, also in another colour, and what was seen elsewhere with certainty. What is
    seen of other things, or of planned ones once more, follows; each thing is there once.

    Args:
        as_planned: the picture was kept as it was planned, whatever is on it.
    """
    options = options.resolved(as_planned)
    unverified = options.unverified
    plan = item.plan()
    labels: list[Label] = []
    unsure: list[Label] = []
    for instance, verdict in zip(plan.instances, item.report.verdicts, strict=True):
        if verdict.instance in item.painted_out:
            continue
        if label := _verified(instance, verdict, plan.size, options):
            labels.append(label)
        if instance.extent is None or verdict.kind in IN_PLACE:
            continue
        planned = _planned(instance, verdict, plan.size, unverified == "ignore")
        if unverified == "label" and not label:
            labels.append(planned)
        elif unverified == "ignore":
            unsure.append(planned)
        elif unverified == "drop" and not label:
            return None
    labels += _extras(item, labels, options)
    known = [label for label in labels if not label.ignore]
    labels += [region for region in unsure if not _is_there(region.box, known)]
    return tuple(_doubted(label) if _is_doubtful(label, known, options) else label for label in labels)


def _verified(instance: Instance, verdict: Verdict, size: tuple[int, int], options: LabelOptions) -> Label | None:
    """The label of a planned thing that is on the picture."""
    seen = verdict.detection
    if seen is None or (verdict.kind not in IN_PLACE and seen.score < options.extra_score):
        return None
    misplaced = verdict.kind is VerdictKind.MISPLACED
    if misplaced and "correct" not in options.refine:
        return None
    source = "seen" if misplaced or instance.extent is None else str(options.boxes)
    box = seen.box
    if source == "mean" and verdict.iou < NEARLY_IOU:
        source = "seen"
    if source != "seen" and instance.extent:
        box = instance.extent if source == "plan" else _mean(instance.extent, seen.box)
    planned_mask, seen_mask = instance.mask, _fitted(seen.mask, size)
    mask = (planned_mask or seen_mask) if source == "plan" else (seen_mask or planned_mask)
    label = _name(instance)
    caption = instance.caption
    if verdict.kind is VerdictKind.WRONG_ATTRIBUTE:
        caption = with_article(f"{seen.colour} {label}".strip())
    return Label(
        name=label,
        caption=caption,
        box=box,
        mask=mask if misplaced is False else seen_mask,
        source=source,
        verdict=verdict.kind.value,
        score=seen.score,
        iou=verdict.iou,
    )


def _planned(instance: Instance, verdict: Verdict, size: tuple[int, int], ignore: bool) -> Label:
    """What was planned, in its place."""
    assert instance.extent
    return Label(
        name=_name(instance),
        caption=instance.caption,
        box=instance.extent,
        mask=_fitted(instance.mask, size),
        source="plan",
        verdict=verdict.kind.value,
        score=verdict.sure,
        ignore=ignore,
    )


def _extras(item: Item, labels: Sequence[Label], options: LabelOptions) -> Iterator[Label]:
    """What is seen beside the labels, surest first, each thing once.

    A detector sees a car in one half of a car, a cow in two halves of two, a clock in the wheel of a bicycle, and a
    ball in a clock without hands. So what lies where something was planned, or in a thing of its own kind, is nothing,
    and where the detector is sure a region to ignore.
    """
    if options.extras == "none":
        return
    plan = item.plan()
    size = plan.size
    planned = [one.extent for index, one in enumerate(plan.instances) if one.extent and index not in item.painted_out]
    taken = list(labels)
    for seen in sorted(item.report.extras if item.seen is None else item.seen, key=lambda one: -one.score):
        if seen.score < options.ignore_score or _is_there(seen.box, taken):
            continue
        may_be_label = seen.score >= options.extra_score
        is_part = _is_part(seen, taken) or _covered(seen.box, planned) >= COVERED
        if is_part and not may_be_label:
            continue
        label = Label(
            name=seen.category,
            caption=with_article(f"{seen.colour} {seen.category}".strip()),
            box=seen.box,
            mask=_fitted(seen.mask, size),
            source="seen",
            verdict=NOT_PLANNED,
            score=seen.score,
            ignore=not may_be_label or options.extras != "label" or is_part,
        )
        taken.append(label)
        yield label


def _is_there(box: Box, labels: Sequence[Label]) -> bool:
    """True if one of the labels is in this place."""
    return any(label.box.iou(box) >= SAME_THING_IOU for label in labels)


def _is_part(seen: Detection, labels: Sequence[Label]) -> bool:
    """True if what is seen lies within a thing of its own kind, or around it."""
    return any(
        class_of(label.name, (seen.category,)) and seen.box.intersection(label.box) >= PART_OF_IT * smaller
        for label in labels
        for smaller in [min(seen.box.area, label.box.area)]
    )


def _is_doubtful(label: Label, labels: Sequence[Label], options: LabelOptions) -> bool:
    """True if a label is one of those that are filtered out; ``labels`` are all of the picture."""
    if label.ignore:
        return False
    unsure = label.score is not None and label.score < options.min_score
    moved = label.verdict != NOT_PLANNED and label.iou < options.min_fit
    others = [other for other in labels if other is not label]
    return unsure or moved or label.box.area**0.5 < options.min_size or _free(label, others) < options.min_free


def _free(label: Label, others: Sequence[Label]) -> float:
    """The share of a label's box on which no other thing lies, by their masks, or boxes where they have none."""
    xs, ys = _cells(label.box)
    covered = np.zeros((CELLS, CELLS), dtype=bool)
    for other in others:
        if not other.box.intersection(label.box):
            continue
        if other.mask:
            array = other.mask.array
            height, width = array.shape
            rows = (ys * height).astype(int).clip(0, height - 1)
            columns = (xs * width).astype(int).clip(0, width - 1)
            covered |= array[np.ix_(rows, columns)]
        else:
            covered |= _within(other.box, xs, ys)
    return 1 - float(covered.mean())


def _covered(box: Box, others: Sequence[Box]) -> float:
    """The share of a box that others cover together."""
    xs, ys = _cells(box)
    return float(np.any([_within(other, xs, ys) for other in others], axis=0).mean()) if others else 0.0


def _cells(box: Box) -> tuple[np.ndarray, np.ndarray]:
    """Where columns and rows of cells in a box have their middles."""
    x0, y0, x1, y1 = box.xyxy
    middles = (np.arange(CELLS) + 0.5) / CELLS
    return x0 + middles * (x1 - x0), y0 + middles * (y1 - y0)


def _within(box: Box, xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    """Which cells (rows, columns) lie in a box."""
    left, top, right, bottom = box.xyxy
    return np.outer((top <= ys) & (ys < bottom), (left <= xs) & (xs < right))


def _doubted(label: Label) -> Label:
    return label.model_copy(update={"ignore": True})


def _name(instance: Instance) -> str:
    return (instance.category or label_of(instance.caption))[:200]


def _mean(first: Box, second: Box) -> Box:
    sides = [(one + other) / 2 for one, other in zip(first.xyxy, second.xyxy, strict=True)]
    return Box(x0=sides[0], y0=sides[1], x1=sides[2], y1=sides[3])


def _fitted(mask: Mask | None, size: tuple[int, int]) -> Mask | None:
    """A mask in the pixels of the picture; None if nothing is in it."""
    fitted = fitted_mask(mask, size) if mask else None
    return fitted if fitted and fitted.box else None
