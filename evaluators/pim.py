"""Points in mask (PiM): do things lie where points and scribbles put them?"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np

from evaluators.coco import scoring
from evaluators.coco.dataset import SCORED_AT, SCRIBBLE_POINTS, Sample, read_dataset
from evaluators.detectors import Detector
from evaluators.gallery import Detections, Gallery, add_detector_arguments
from evaluators.report import Detection
from evaluators.reporting import EvaluationResult, progress_bar
from instdiff.cli import output_folder
from instdiff.errors import BadInput
from instdiff.formats.coco import fitted_mask, instances_from_coco
from instdiff.formats.coco_file import CROWD_HELP, Crowd
from instdiff.layout import Instance, Layout, Mask
from instdiff.model.mask_points import points_inside

if TYPE_CHECKING:
    from PIL.Image import Image

KINDS = ("point", "scribble")
PROTOCOLS = ("conditioned", "paper")
Masks = Sequence[np.ndarray]  # (H, W) bool each
HELP = """Scores pictures that were painted from points or scribbles: FOLDER has a manifest, or holds the parts that
`python -m evaluators coco --places point` (or scribble) painted.

protocols:
  conditioned  the share of all points of all things that lie in the mask of what was found for their thing. The points
               are those that the picture was painted from; they stand in the PNG. What is found is assigned one to one
               to things of its category, and the points of a thing that is not found count as outside. This compares
               painters.
  paper        as the published program counts, for figures that stand beside the published ones. The masks of the
               annotations take in turn the free found mask of highest IoU, of any category, even one that they do not
               touch. A pair scores the middle of the true mask's box, or 20 pixels drawn anew from the true mask,
               instead of the points that were painted from. Things without a partner, and pictures without any, do not
               count. So a painter gains by painting less. Everything is taken that the detector sees down to a low
               score. Needs --annotations.

With --annotations and --images the photographs are scored for the same points: the upper bound. The detector must give
masks; it is the judge for pictures of the draft engine, else yolo, if it is here.

examples:
  python -m evaluators pim outputs/evaluations/coco/point --kind point
  python -m evaluators pim outputs/evaluations/coco/scribble --kind scribble --annotations instances_val2017.json \\
      --images val2017"""


def pim(
    layouts: Sequence[Layout],
    detections: Sequence[Sequence[Detection]],
    kind: str,
    protocol: str = "conditioned",
    seed: int = 0,
) -> float | None:
    """Points in mask, 0..1; None where there is nothing to score.

    ``conditioned``: the share of all points of all instances that lie in the mask of what was found for their instance.
    The points are those that the layout itself gives, the ones that were painted from. A picture's detections are
    assigned to instances of the same category, one to one, so that most points are inside; the points of an instance
    that gets none count as outside.

    ``paper``: as the published evaluation counts (see `image_pim`), which is not fit for comparing layouts: masks of
    any category match, what is not matched does not count, and the points are drawn anew from the ground-truth masks.

    Args:
        layouts: for ``conditioned`` with points or scribbles, for ``paper`` with masks.
        detections: for each picture what was seen, with masks.
        kind: ``point`` or ``scribble``.
        seed: ``paper`` draws the scribbles of every picture from this seed.

    Raises:
        BadInput: unknown kind or protocol, or a mask is missing.
    """
    if kind not in KINDS or protocol not in PROTOCOLS:
        raise BadInput("pim", f"{kind}, {protocol}: choose from {', '.join(KINDS)}; {', '.join(PROTOCOLS)}")
    pairs = list(zip(layouts, detections, strict=True))
    if protocol == "paper":
        masks = (
            ([_mask(i, layout) for i in layout.instances], [_mask(d, layout) for d in picture])
            for layout, picture in pairs
        )
        return mean_pim(masks, kind, seed)
    counts = [_points_inside(layout, picture, kind) for layout, picture in pairs]
    total = sum(points for _, points in counts)
    return sum(inside for inside, _ in counts) / total if total else None


def _points_inside(layout: Layout, detections: Sequence[Detection], kind: str) -> tuple[float, int]:
    """How many of a layout's points lie in the masks of what was found for them, and how many points there are."""
    from scipy.optimize import linear_sum_assignment  # half a second to import

    named_points = [(instance.name, _points(instance, kind)) for instance in layout.instances]
    planned = [(name, points) for name, points in named_points if len(points)]
    masks = [(detection.category, _mask(detection, layout)) for detection in detections]
    hits = [[_hits(mask, points) if name == category else 0 for category, mask in masks] for name, points in planned]
    inside = np.array(hits).reshape(len(planned), len(masks))
    rows, columns = linear_sum_assignment(inside, maximize=True)
    return float(inside[rows, columns].sum()), sum(len(points) for _, points in planned)


def _points(instance: Instance, kind: str) -> np.ndarray:
    """(n, 2) x, y as fractions of the picture."""
    points = instance.scribble.points if instance.scribble else ()
    if kind == "point":
        points = (instance.point,) if instance.point else ()
    return np.array([(point.x, point.y) for point in points]).reshape(-1, 2)


def _hits(mask: np.ndarray, points: np.ndarray) -> int:
    """How many of the points (n, 2), fractions, fall on pixels of a mask (H, W)."""
    size = np.array(mask.shape)
    rows, columns = np.minimum((points[:, ::-1] * size).astype(int), size - 1).T
    return int(mask[rows, columns].sum())


def _mask(owner: Instance | Detection, layout: Layout) -> np.ndarray:
    """(height, width) bool at the layout's size."""
    if owner.mask is None:
        raise BadInput("mask", f'points in mask need masks, but a "{owner.category}" has none')
    return fitted_mask(owner.mask, layout.size).array


def mean_pim(pictures: Iterable[tuple[Masks, Masks]], kind: str, seed: int = 0) -> float | None:
    """The mean of `image_pim` over the pictures that count, each with its true and found masks; None without any."""
    values = [image_pim(truths, masks, kind, np.random.RandomState(seed)) for truths, masks in pictures]
    counted = [value for value in values if value is not None]
    return float(np.mean(counted)) if counted else None


def image_pim(truths: Masks, masks: Masks, kind: str, rng: np.random.RandomState) -> float | None:
    """One picture's value by the published protocol, None where the picture does not count.

    Every true mask in turn takes the free found mask of highest IoU, even one that it does not touch. A pair scores the
    share of the true mask's points that the found mask covers: the middle of its bounding box, which may lie outside of
    it, or 20 pixels drawn from it. Pairs whose true mask is empty, and true masks that get no partner, do not count.

    Args:
        truths, masks: what is to be there and what was found, (H, W) bool each.
        kind: ``point`` or ``scribble``.
        rng: what the scribbles are drawn from, one after the other.
    """
    values = []
    free = list(range(len(masks)))
    for truth in truths:
        if not free:
            break
        ious = {index: _iou(truth, masks[index]) for index in free}
        partner = max(free, key=ious.__getitem__)
        free.remove(partner)
        points = _middle(truth) if kind == "point" else points_inside(truth, SCRIBBLE_POINTS, rng).astype(int)
        if points.sum():  # an empty mask gives zeros; so does, in the published program, the pixel in the corner alone
            values.append(float(masks[partner][points[:, 1], points[:, 0]].mean()))
    return float(np.mean(values)) if values else None


def _middle(mask: np.ndarray) -> np.ndarray:
    """(1, 2) x, y of the middle pixel of a mask's bounding box; zeros for an empty mask."""
    rows = np.flatnonzero(mask.any(axis=1))
    columns = np.flatnonzero(mask.any(axis=0))
    return np.array([[(line[0] + line[-1]) // 2 if len(line) else 0 for line in (columns, rows)]])


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 0.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="the painted pictures")
    parser.add_argument("--kind", choices=KINDS, required=True, help="what the pictures were painted from")
    parser.add_argument("--protocol", choices=PROTOCOLS, default="conditioned", help="see above (default: %(default)s)")
    parser.add_argument("--annotations", type=Path, metavar="FILE", help="the COCO annotations they were painted from")
    parser.add_argument("--crowd", choices=get_args(Crowd), default="auto", help=CROWD_HELP)
    parser.add_argument("--captions", type=Path, metavar="FILE", help="the captions, if painted with --captions")
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="the photographs; needs --annotations")
    add_detector_arguments(parser, scoring.AUTO)
    parser.add_argument("--out", type=output_folder, dest="results", help="where results go (FOLDER/pim-PROTOCOL)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")


def run(args: argparse.Namespace) -> EvaluationResult:
    """Look and score; nothing is painted.

    Raises:
        BadInput: the folder has no manifest, or its pictures were painted without such places.
        ServiceError: the detector is not there.
    """
    if not args.annotations and (args.images or args.protocol == "paper"):
        reason = "are needed for the photographs and for the protocol of the paper"
        raise BadInput("annotations", f"{reason}; give --annotations FILE")
    gallery = Gallery.open(args.folder)
    layouts = gallery.layouts()
    if not any(getattr(instance, args.kind) for layout in layouts for instance in layout.instances):
        reason = f"no picture in {args.folder} was painted from a {args.kind}"
        raise BadInput("kind", f"{reason}; paint with coco --places {args.kind}")
    dataset = read_dataset(args.annotations, args.captions, crowd=args.crowd) if args.annotations else None
    samples = scoring.samples_of(dataset, gallery) if dataset else []
    scoring.check_images(args.images, samples)
    detector = scoring.choose_scorer(args, gallery.engine, gallery)
    vocabulary = sorted({instance.name for layout in layouts for instance in layout.instances})
    pictures: dict[str, Iterable[Image]] = {args.kind: gallery.images()}
    if args.images:
        pictures = {scoring.REAL: scoring.photographs(samples, args.images, gallery.size), **pictures}
    rows = {}
    with progress_bar() as progress:
        for title, images in pictures.items():
            detections = scoring.look_with_bar(detector, images, vocabulary, title, len(layouts), progress)
            if args.protocol == "paper":
                value = mean_pim(_masks(samples, detections), args.kind)
            else:
                value = pim([rename(layout, detector) for layout in layouts], detections.sure, args.kind)
            rows[title] = {"pim": value}
    return _result(args, gallery, rows, detector, vocabulary)


def rename(layout: Layout, detector: Detector) -> Layout:
    """The layout with the detector's own words for its categories, where it has some."""
    names = [detector.canonical(instance.name) or instance.name for instance in layout.instances]
    pairs = zip(layout.instances, names, strict=True)
    return layout.with_instances([instance.model_copy(update={"category": name}) for instance, name in pairs])


def _masks(samples: Sequence[Sample], detections: Detections) -> Iterator[tuple[list[np.ndarray], list[np.ndarray]]]:
    """The true and the found masks (H, W) of each picture, as the published program reads them: crowd regions too."""
    for sample, picture in zip(samples, detections.everything, strict=True):
        instances = instances_from_coco(sample.record, sample.annos)
        yield _arrays(instance.mask for instance in instances), _arrays(detection.mask for detection in picture)


def _arrays(masks: Iterable[Mask | None]) -> list[np.ndarray]:
    return [fitted_mask(mask, SCORED_AT).array for mask in masks if mask]


def _result(
    args: argparse.Namespace, gallery: Gallery, rows: dict, detector: Detector, vocabulary: list[str]
) -> EvaluationResult:
    theirs, source = scoring.published(args.kind)
    notes = scoring.category_notes(detector, vocabulary)
    if args.protocol != "paper":
        source += "; it was counted by --protocol paper"
    same = "the points and the detector are the same: the upper bound"
    bound = same if args.images else "left out; give --annotations and --images"
    notes += [f"{scoring.REAL}: {bound}", source]
    pictures = f"{len(gallery.keys)} pictures by {gallery.engine}"
    title = f"{args.kind}s in mask, {args.protocol}, {pictures}; looked at by {detector.name}"
    figures = {"kind": args.kind, "protocol": args.protocol, "pictures": len(gallery.keys), "detector": args.detector}
    figures |= {"painted_with": gallery.painted_with, "rows": rows, "published": theirs}
    table = scoring.make_table(title, {"points in mask": "pim"}, rows, theirs)
    result = EvaluationResult("pim", figures, (table,), notes)
    result.write(args.results or args.folder / f"pim-{args.protocol}")
    return result
