"""``python -m evaluators pim``: do things lie where the points and scribbles put them that they were painted from?"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evaluators.coco_run import scoring
from evaluators.coco_run.dataset import SCORED_AT, Sample, read_dataset
from evaluators.coco_run.scoring import Gallery
from evaluators.looking import Seen
from evaluators.pim import KINDS, PROTOCOLS, mean_pim, pim
from evaluators.results import progress_bar, write_results
from evaluators.scored import add_detector_arguments
from instdiff.errors import BadInput
from instdiff.formats.coco import fitted_mask, instances_from_coco
from instdiff.formats.png import read_png
from instdiff.layout import Layout, Mask

if TYPE_CHECKING:
    from evaluators.detectors import Detector

HELP = """Scores pictures that were painted from points or scribbles: FOLDER has a manifest, or holds the parts that
`python -m evaluators coco --places point` (or scribble) painted.

protocols:
  conditioned  the share of all points of all things that lie in the mask of what was found for their thing. The points are those
               that the picture was painted from; they stand in the PNG. What is found is assigned one to one to things of its
               category, and the points of a thing that is not found count as outside. This compares painters.
  paper        as the published program counts, for figures that stand beside the published ones. The masks of the annotations
               take in turn the free found mask of highest IoU, of any category, even one that they do not touch. A pair scores
               the middle of the true mask's box, or 20 pixels drawn anew from the true mask, instead of the points that were
               painted from. Things without a partner, and pictures without any, do not count. So a painter gains by painting
               less. Everything is taken that the detector sees down to a low score. Needs --annotations.

With --annotations and --images the photographs are scored for the same points: the upper bound. The detector must give masks; it is
the judge for pictures of the draft engine, else yolo, if it is here.

examples:
  python -m evaluators pim outputs/evaluations/coco/point --kind point
  python -m evaluators pim outputs/evaluations/coco/scribble --kind scribble --annotations instances_val2017.json --images val2017"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="the painted pictures")
    parser.add_argument("--kind", choices=KINDS, required=True, help="what the pictures were painted from")
    parser.add_argument("--protocol", choices=PROTOCOLS, default="conditioned", help="see above (default: %(default)s)")
    parser.add_argument("--annotations", type=Path, metavar="FILE", help="the COCO annotations that the pictures were painted from")
    parser.add_argument("--captions", type=Path, metavar="FILE", help="the captions, if they were painted with --captions")
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="the photographs, for the upper bound; with --annotations")
    add_detector_arguments(parser, scoring.AUTO)
    parser.add_argument("--out", type=Path, dest="results", metavar="FOLDER", help="where the results go (default: FOLDER/pim-PROTOCOL)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.set_defaults(out=None)


def run(args: argparse.Namespace) -> dict:
    """Look and score; nothing is painted.

    Raises:
        BadInput: the folder has no manifest, or its pictures were painted without such places.
        ServiceError: the detector is not there.
    """
    if not args.annotations and (args.images or args.protocol == "paper"):
        raise BadInput("annotations", "are needed for the photographs and for the protocol of the paper; give --annotations FILE")
    gallery = Gallery.of(args.folder)
    layouts = [read_png(path)[0] for path in gallery.files]
    if not any(getattr(instance, args.kind) for layout in layouts for instance in layout.instances):
        raise BadInput("kind", f"no picture in {args.folder} was painted from a {args.kind}; paint with coco --places {args.kind}")
    samples = scoring.ordered(read_dataset(args.annotations, args.captions), gallery) if args.annotations else []
    scoring.check_images(args.images, samples)
    detector = scoring.scorer(args, gallery.engine, gallery)
    vocabulary = sorted({instance.name for layout in layouts for instance in layout.instances})
    rows = {}
    with progress_bar() as progress:
        pictures = {scoring.REAL: scoring.photographs(samples, args.images, gallery.size)} if args.images else {}
        for name, images in (pictures | {args.kind: gallery.images()}).items():
            seen = scoring.looked_at(detector, images, vocabulary, name, len(layouts), progress)
            if args.protocol == "paper":
                rows[name] = {"pim": mean_pim(_masks(samples, seen), args.kind)}
            else:
                rows[name] = {"pim": pim([named(layout, detector) for layout in layouts], seen.sure, args.kind)}
    return _result(args, gallery, rows, detector, vocabulary)


def named(layout: Layout, detector: Detector) -> Layout:
    """The layout with the detector's own words for its categories, where it has some."""
    return layout.with_instances(
        [one.model_copy(update={"category": detector.canonical(one.name) or one.name}) for one in layout.instances]
    )


def _masks(samples: Sequence[Sample], seen: Seen) -> Iterator[tuple[list[np.ndarray], list[np.ndarray]]]:
    """The true and the found masks (H, W) of each picture, as the published program reads them: crowd regions too."""
    for sample, detections in zip(samples, seen.everything, strict=True):
        truths = [one.mask for one in instances_from_coco(sample.record, sample.annos) if one.mask]
        yield [_array(mask) for mask in truths], [_array(one.mask) for one in detections if one.mask]


def _array(mask: Mask) -> np.ndarray:
    return fitted_mask(mask, SCORED_AT).array


def _result(args: argparse.Namespace, gallery: Gallery, rows: dict, detector: Detector, vocabulary: list[str]) -> dict:
    theirs, source = scoring.published(args.kind)
    notes = scoring.category_notes(detector, vocabulary)
    if args.protocol != "paper":
        source += "; it was counted by --protocol paper"
    bound = "the points and the detector are the same: the upper bound" if args.images else "left out; give --annotations and --images"
    notes += [f"{scoring.REAL}: {bound}", source]
    title = f"{args.kind}s in mask, {args.protocol}, {len(gallery.keys)} pictures by {gallery.engine}; looked at by {detector.name}"
    result = {
        "evaluation": "pim", "kind": args.kind, "protocol": args.protocol, "pictures": len(gallery.keys), "detector": args.detector,
        "painted_with": gallery.painted_with, "rows": rows, "published": theirs, "notes": notes,
        "table": scoring.table(title, {"points in mask": "pim"}, rows, theirs),
    }  # fmt: skip
    write_results(args.results or args.folder / f"pim-{args.protocol}", result)
    return result
