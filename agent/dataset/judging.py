"""Labels against what another detector sees: the judge, which took no part in making the pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from agent.dataset.export.labels import SAME_THING_IOU, Label
from evaluators.detectors import Detector
from evaluators.matching import EXTRA_SCORE
from evaluators.questions import Question
from evaluators.report import Detection

if TYPE_CHECKING:
    from PIL.Image import Image

BATCH = 16  # pictures looked at together
IN_REGION = 0.5  # what has this share of its box in a region to ignore is ignored, as COCO counts it
COUNTS = ("labelled", "labelled by another name", "ignored", "neither", "labels", "labels seen")


def judge_labels(
    pictures: Iterable[tuple[Path, Sequence[Label]]], judge: Detector, categories: Sequence[str]
) -> dict[str, float]:
    """How many things that the judge sees have labels, and how many labels it agrees with.

    A thing is what the judge sees with a score of at least 0.5. A label has its thing if the judge, asked for that name
    in that box, is as sure as it must be to say yes; of names that the judge does not know it is not asked.

    Returns:
        pictures, things, and the shares of the things that are ``labelled`` by their name, ``labelled by another
        name``, ``ignored`` and ``neither``; labels and the share of them ``labels not seen``; the median IoU of labels
        and what the judge sees of them.
    """
    counts = dict.fromkeys(COUNTS, 0)
    ious: list[float] = []
    seen_pictures = 0
    rest = iter(pictures)
    while batch := list(islice(rest, BATCH)):
        images = [_open(path) for path, _ in batch]
        seen = judge.detect(images, list(categories), EXTRA_SCORE)
        asked = [[label for label in labels if not label.ignore and judge.knows(label.name)] for _, labels in batch]
        answers = judge.ask(images, [[Question(label.name, (label.box,)) for label in own] for own in asked])
        for (_, labels), things in zip(batch, seen, strict=True):
            for thing in things:
                counts[_fate(thing, labels, judge)] += 1
        for own, sighting in zip(asked, answers, strict=True):
            yes = [answer for answer in sighting.answers if answer and answer.score >= judge.found_score]
            counts["labels"] += len(own)
            counts["labels seen"] += len(yes)
            pairs = zip(own, sighting.answers, strict=True)
            ious += [label.box.iou(answer.box) for label, answer in pairs if answer and answer in yes]
        seen_pictures += len(batch)
    things_seen = sum(counts[name] for name in COUNTS[:4])
    shares = {name: round(counts[name] / max(things_seen, 1), 4) for name in COUNTS[:4]}
    unseen = round(1 - counts["labels seen"] / max(counts["labels"], 1), 4)
    middle = round(sorted(ious)[len(ious) // 2], 3) if ious else 0.0
    about = {"pictures": seen_pictures, "things": things_seen, **shares, "labels": counts["labels"]}
    return {**about, "labels not seen": unseen, "median IoU": middle}


def _fate(thing: Detection, labels: Sequence[Label], judge: Detector) -> str:
    """What became of a thing that the judge sees."""
    there = [label for label in labels if not label.ignore and label.box.iou(thing.box) >= SAME_THING_IOU]
    if any(judge.canonical(label.name) == judge.canonical(thing.category) for label in there):
        return "labelled"
    if there:
        return "labelled by another name"
    regions = [label.box for label in labels if label.ignore]
    covered = any(region.intersection(thing.box) >= IN_REGION * thing.box.area for region in regions)
    return "ignored" if covered else "neither"


def _open(path: Path) -> Image:
    from PIL import Image

    with Image.open(path) as image:
        return image.convert("RGB")
