"""``python -m evaluators coco``: pictures painted from COCO annotations; AP and AR of what a detector sees."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evaluators.coco import painting, scoring
from evaluators.coco.dataset import SCORED_AT, Dataset, Sample, coco_truth
from evaluators.coco.figures import figures, to_results
from evaluators.detectors import Detector
from evaluators.gallery import Detections, Gallery, add_detector_arguments
from evaluators.reporting import EvaluationResult, progress_bar

if TYPE_CHECKING:
    from PIL.Image import Image
    from rich.progress import Progress

OUT = Path("outputs/evaluations/coco")
SHAPES = ("box", "mask")
FIGURES = {"AP": "ap", "AP50": "ap50", "AP75": "ap75", "AR": "ar100"}
FIGURES |= {"AP small": "ap_small", "AP medium": "ap_medium", "AP large": "ap_large"}
FIGURES |= {"AR small": "ar_small", "AR medium": "ar_medium", "AR large": "ar_large"}
HELP = """Paints the images of any annotation file in COCO's format, lets a detector look at the pictures, and scores
what it sees against the annotations by pycocotools: AP, AP50, AP75 and AR (of at most 100 detections a picture), of
boxes and masks, also for small, medium and large things (in pixels at 512 x 512). With --images the photographs are
looked at too, by the same detector at the same size: no painter can be expected to score more, and the row tells a weak
painter from a weak detector.

As in the published evaluation, an instance is called by its category (or by its annotation's own caption), and the
caption is the image's first one in --captions, followed by the names of its instances. Only one kind of place is told
(--places): a point is the middle of the box, a scribble 20 points drawn from the mask, where the annotation gives none
itself. Pictures are stretched to the engine's size, and their places with them. Crowd regions are not painted. Of more
than 30 things the 30 largest are told; the others count as missed.

The detector (--detector) is the judge for pictures of the draft engine, else yolo, owlv2 or grounding-dino, whichever
is here.

Pictures are kept below --out/PLACES and painted once: what was stopped goes on when it is started again, and is refused
if the annotations, the settings or the model have changed. Many machines can share the work: each paints its part
(--num-jobs, --job-index) into a folder of its own, and --merge scores all parts together; --ray paints in processes of
one machine.

examples:
  python -m evaluators draft --export-coco held_out
  python -m evaluators coco --annotations held_out/annotations.json --images held_out/images --count 50
  python -m evaluators coco --annotations instances_val2017.json --captions captions_val2017.json --images val2017 \\
      --engine sd15
  python -m evaluators coco --annotations instances_val2017.json --engine sd15 --num-jobs 8 --job-index 0
  python -m evaluators coco --annotations instances_val2017.json --engine sd15 --merge --detector yolo:yolov8m-seg.pt"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    painting.add_arguments(parser, OUT)
    add_detector_arguments(parser, scoring.AUTO)


def run(args: argparse.Namespace) -> EvaluationResult:
    """Paint what is missing, look and score.

    Raises:
        BadInput: an option or a file is wrong, or the folder holds pictures of other settings.
        ServiceError: the detector or Ray is not there.
    """
    work = painting.read_work(args)
    dataset = work.dataset()
    if args.num_jobs is not None:
        return painting.run_part(args, work, dataset)
    scored = scoring.with_photographs(dataset, args.images)
    scoring.print_oddities(scored)
    with progress_bar() as progress:
        detector = None if args.merge else scoring.choose_scorer(args, args.engine)
        notes = [] if args.merge else painting.paint_missing(args, work, dataset, progress)
        gallery = Gallery.open(work.folder, [sample.key for sample in scored.samples])
        samples = scoring.samples_of(scored, gallery)
        detector = detector or scoring.choose_scorer(args, gallery.engine, gallery)
        pictures: dict[str, Iterable[Image]] = {work.place: gallery.images()}
        if args.images:
            pictures = {scoring.REAL: scoring.photographs(samples, args.images, gallery.size), **pictures}
        rows, score_notes = look_and_score(detector, scored, samples, pictures, progress)
    theirs, source = scoring.published(work.place)
    notes += [*score_notes, *scored.notes, _note_on_photographs(args.images), source]
    painted = f"{len(samples)} pictures by {gallery.engine}, {work.place}"
    title = f"{args.annotations.name}, {painted}; looked at by {detector.name}"
    measured = {"annotations": args.annotations.name, "pictures": len(samples), "places": work.place}
    measured |= {"painted_with": gallery.painted_with, "detector": args.detector, "rows": rows, "published": theirs}
    result = EvaluationResult("coco", measured, (scoring.make_table(title, _metrics(rows), rows, theirs),), notes)
    result.write(work.folder)
    return result


def look_and_score(
    detector: Detector,
    dataset: Dataset,
    samples: Sequence[Sample],
    pictures: dict[str, Iterable[Image]],
    progress: Progress,
) -> tuple[dict[str, dict], list[str]]:
    """The figures of each row of pictures of the samples, and notes on them."""
    start = time.monotonic()
    detections = {
        title: scoring.look_with_bar(detector, images, dataset.categories, title, len(samples), progress)
        for title, images in pictures.items()
    }
    rows, notes = score(dataset, samples, detections, lambda category: detector.canonical(category) or category)
    seconds = time.monotonic() - start
    looks = len(samples) * len(rows)
    note = f"{looks} pictures looked at and scored in {seconds:.0f} s, {seconds / looks:.2f} s each"
    return rows, [note, *notes, *scoring.category_notes(detector, dataset.categories)]


def score(
    dataset: Dataset, samples: Sequence[Sample], detections: dict[str, Detections], name: Callable[[str], str]
) -> tuple[dict[str, dict], list[str]]:
    """The figures of each row of detections on the pictures of the samples, and notes on them.

    Args:
        name: what the detector calls a category.
    """
    truth = coco_truth(dataset, name, dataset.has_masks)
    numbers = {category["name"]: category["id"] for category in truth["categories"]}
    rows: dict[str, dict] = {}
    for row, looks in detections.items():
        rows[row] = {}
        for shape in SHAPES if dataset.has_masks and looks.have_masks else SHAPES[:1]:
            results = []
            for sample, picture in zip(samples, looks.everything, strict=True):
                results += to_results(sample.id, picture, numbers, SCORED_AT, shape)
            rows[row][shape] = figures(truth, results, shape)
    if all("mask" in row for row in rows.values()):
        return rows, []
    note = "figures of masks need masks in the annotations and from the detector; there are none of one of them"
    return rows, [note]


def _metrics(rows: dict[str, dict]) -> dict[str, str]:
    """The figures that a row has, as label -> path."""
    shapes = [shape for shape in SHAPES if any(shape in row for row in rows.values())]
    return {f"{shape} {label}": f"{shape}.{name}" for shape in shapes for label, name in FIGURES.items()}


def _note_on_photographs(images: Path | None) -> str:
    if images:
        return f"{scoring.REAL}: what the annotations were made of, at this size by this detector: the upper bound"
    return "the upper bound is left out; give the photographs with --images"
