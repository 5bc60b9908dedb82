"""The examination on photographs with annotations in COCO's format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from evaluators.coco.dataset import Dataset, Sample, photograph
from evaluators.coco.scoring import category_notes
from evaluators.detectors import Detector
from evaluators.eye import tables
from evaluators.eye.answers import KnownPicture
from evaluators.eye.examination import TIMED, Examination, Examined
from instdiff.errors import BadInput
from instdiff.formats.coco import image_size

if TYPE_CHECKING:
    from rich.progress import Progress

TITLE = "photographs"


def annotated(dataset: Dataset) -> list[Sample]:
    """The images with things on them.

    Raises:
        BadInput: there are not two of them.
    """
    samples = [sample for sample in dataset.samples if sample.things]
    if len(samples) < 2:
        raise BadInput(
            "coco", f"{len(samples)} images have annotations; one has to calibrate, another to be asked about"
        )
    return samples


def examine(detector: Detector, dataset: Dataset, images: Path, false_yes: float, progress: Progress) -> Examined:
    """The examination, its figures, their tables, and notes.

    Every second image with annotations calibrates, the others give the figures.
    """
    samples = annotated(dataset)
    examined = samples[1::2]
    calibration = _known(progress.track(samples[::2], description="calibrating"), images)
    examination = Examination(detector, dataset.categories, calibration, false_yes)
    figures: dict = {TITLE: examination.as_planned(TITLE, _known(progress.track(examined, description=TITLE), images))}
    figures["milliseconds"] = examination.milliseconds(list(_known(examined[:TIMED], images)))
    rows = {TITLE: figures[TITLE]}
    made = [
        tables.main_table(f"The eye of {detector.name}, {len(examined)} photographs", rows),
        tables.worst_table("Categories that are missed most", figures[TITLE]),
    ]
    return Examined(examination, figures, made, category_notes(detector, dataset.categories))


def _known(samples: Iterable[Sample], images: Path) -> Iterator[KnownPicture]:
    """The photographs with what is annotated on them; one is read at a time."""
    for sample in samples:
        present = frozenset(anno["category_name"] for anno in sample.annos)
        yield KnownPicture(photograph(sample, images, image_size(sample.record)), sample.truth(), present)
