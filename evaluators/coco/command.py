"""``python -m evaluators coco``: pictures painted from COCO annotations, and AP and AR of what a detector sees on them."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from evaluators.coco import painting, scoring
from evaluators.coco.dataset import SCORED_AT, Dataset, Sample, coco_truth
from evaluators.coco.figures import figures, to_results
from evaluators.coco.painting import Work
from evaluators.coco.scoring import Gallery
from evaluators.gallery import Seen, add_detector_arguments
from evaluators.reporting import progress_bar, write_results

OUT = Path("outputs/evaluations/coco")
METRICS = {
    f"{shape} {label}": f"{shape}.{name}"
    for shape in ("box", "mask")
    for label, name in (
        ("AP", "ap"), ("AP50", "ap50"), ("AP75", "ap75"), ("AR", "ar100"), ("AP small", "ap_small"), ("AP medium", "ap_medium"),
        ("AP large", "ap_large"), ("AR small", "ar_small"), ("AR medium", "ar_medium"), ("AR large", "ar_large"),
    )
}  # fmt: skip
HELP = """Paints the images of any annotation file in COCO's format, lets a detector look at the pictures, and scores what it sees
against the annotations by pycocotools: AP, AP50, AP75 and AR (of at most 100 detections a picture), of boxes and masks, also for
small, medium and large things (in pixels at 512 x 512). With --images the photographs are looked at too, by the same detector at
the same size: no painter can be expected to score more, and the row tells a weak painter from a weak detector.

As in the published evaluation, an instance is called by its category (or by its annotation's own caption), and the caption is the
image's first one in --captions, followed by the names of its instances. Only one kind of place is told (--places): a point is the
middle of the box, a scribble 20 points drawn from the mask, where the annotation gives none itself. Pictures are stretched to the
engine's size, and their places with them. Crowd regions are not painted. Of more than 30 things the 30 largest are told; the
others count as missed.

The detector (--detector) is the judge for pictures of the draft engine, else yolo, owlv2 or grounding-dino, whichever is here.

Pictures are kept below --out/PLACES and painted once: what was stopped goes on when it is started again, and is refused if the
annotations, the settings or the model have changed. Many machines can share the work: each paints its part (--num-jobs,
--job-index) into a folder of its own, and --merge scores all parts together; --ray paints in processes of one machine.

examples:
  python -m evaluators draft --export-coco held_out
  python -m evaluators coco --annotations held_out/annotations.json --images held_out/images --count 50
  python -m evaluators coco --annotations instances_val2017.json --captions captions_val2017.json --images val2017 --engine sd15
  python -m evaluators coco --annotations instances_val2017.json --engine sd15 --num-jobs 8 --job-index 0
  python -m evaluators coco --annotations instances_val2017.json --engine sd15 --merge --detector yolo:yolov8m-seg.pt"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    painting.add_arguments(parser, OUT)
    add_detector_arguments(parser, scoring.AUTO)


def run(args: argparse.Namespace) -> dict:
    """Paint what is missing, look and score.

    Raises:
        BadInput: an option or a file is wrong, or the folder holds pictures of other settings.
        ServiceError: the detector or Ray is not there.
    """
    work = painting.read_work(args)
    dataset = work.dataset()
    scoring.check_images(args.images, dataset.samples)
    if args.num_jobs is not None:
        return painted_part(args, work, dataset)
    with progress_bar() as progress:
        detector = None if args.merge else scoring.scorer(args, args.engine)
        notes = [] if args.merge else paint(args, work, dataset, progress)
        gallery = Gallery.of(work.folder, [sample.key for sample in dataset.samples])
        samples = scoring.ordered(dataset, gallery)
        detector = detector or scoring.scorer(args, gallery.engine, gallery)

        def look(images, what: str) -> Seen:
            return scoring.looked_at(detector, images, dataset.categories, what, len(samples), progress)

        start = time.monotonic()
        seen = (
            {scoring.REAL: look(scoring.photographs(samples, args.images, gallery.size), scoring.REAL)}
            if args.images
            else {}
        )
        seen[work.place] = look(gallery.images(), work.place)
        rows, more = score(dataset, samples, seen, lambda category: detector.canonical(category) or category)
    seconds = time.monotonic() - start
    looks = len(samples) * len(rows)
    notes.append(f"{looks} pictures looked at and scored in {seconds:.0f} s, {seconds / looks:.2f} s each")
    notes += [
        *more,
        *scoring.category_notes(detector, dataset.categories),
        *dataset.notes,
        *_about_photographs(args.images),
    ]
    theirs, source = scoring.published(work.place)
    title = (
        f"{args.annotations.name}, {len(samples)} pictures by {gallery.engine}, {work.place}; looked at by"
        f" {detector.name}"
    )
    result = {
        "evaluation": "coco", "annotations": args.annotations.name, "pictures": len(samples), "places": work.place,
        "painted_with": gallery.painted_with, "detector": args.detector, "rows": rows, "published": theirs,
        "notes": [*notes, source], "table": scoring.table(title, _metrics(rows), rows, theirs),
    }  # fmt: skip
    write_results(work.folder, result)
    return result


def painted_part(args: argparse.Namespace, work: Work, dataset: Dataset) -> dict:
    """Paint the part of one job; there is nothing to score yet."""
    total = len(dataset.samples[args.job_index :: args.num_jobs])
    with progress_bar() as progress:
        task = progress.add_task(f"painting part {args.job_index} of {args.num_jobs}", total=total)
        count = painting.paint_part(work, args.job_index, args.num_jobs, lambda some: progress.advance(task, some))
    note = (
        f"part {args.job_index} of {args.num_jobs}: {count} of {total} pictures painted now; when all parts are, score"
        " them with --merge"
    )
    return {"evaluation": args.evaluation, "painted": count, "of": total, "notes": [note]}


def paint(args: argparse.Namespace, work: Work, dataset: Dataset, progress) -> list[str]:
    """Paint what is missing; returns how long it took, in words."""
    start = time.monotonic()
    count = painting.paint_all(work, len(dataset.samples), args.ray, progress)
    seconds = time.monotonic() - start
    return [f"{count} pictures painted in {seconds:.0f} s, {seconds / count:.2f} s each"] if count else []


def score(
    dataset: Dataset, samples: Sequence[Sample], seen: dict[str, Seen], name: Callable[[str], str]
) -> tuple[dict[str, dict], list[str]]:
    """The figures of each row of what was seen on the pictures of the samples, and what is to be said about them.

    Args:
        name: what the detector calls a category.
    """
    masks = dataset.has_masks
    notes = []
    truth = coco_truth(dataset, name, masks)
    numbers = {category["name"]: category["id"] for category in truth["categories"]}
    rows: dict[str, dict] = {}
    for row, what in seen.items():
        rows[row] = {}
        for shape in ("box", "mask") if masks and what.has_masks else ("box",):
            results = [
                result
                for sample, detections in zip(samples, what.everything, strict=True)
                for result in to_results(sample.id, detections, numbers, SCORED_AT, shape)
            ]
            rows[row][shape] = figures(truth, results, shape)
    if not all("mask" in row for row in rows.values()):
        notes.append(
            "figures of masks need masks in the annotations and from the detector; there are none of one of them"
        )
    return rows, notes


def _metrics(rows: dict[str, dict]) -> dict[str, str]:
    """The figures that a row has."""
    shapes = {shape for row in rows.values() for shape in row}
    return {label: path for label, path in METRICS.items() if path.split(".")[0] in shapes}


def _about_photographs(images: Path | None) -> list[str]:
    if images:
        return [
            f"{scoring.REAL}: what the annotations were made of, at the same size by the same detector: the upper bound"
        ]
    return ["the upper bound is left out; give the photographs with --images"]
