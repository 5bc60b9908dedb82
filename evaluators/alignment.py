"""Alignment: do the boxes that a vision-language model (or any detector) reports lie where the plan put things?

What was planned and what was seen is matched one to one within each category; the unmatched are misses, of IoU 0.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evaluators.contact_sheet import Tile, contact_sheet
from evaluators.gallery import Gallery, add_detector_arguments, check_scorer, load_scorer
from evaluators.manifest import FILE as MANIFEST
from evaluators.matching import match
from evaluators.report import FOUND_IOU, Detection, Report, Verdict, VerdictKind
from evaluators.reporting import EvaluationResult, Table, add_output_arguments, percent, progress_bar
from evaluators.verifying import verify
from instdiff.errors import BadInput
from instdiff.formats import layout_from_json
from instdiff.formats.files import parse_json, read_bytes
from instdiff.layout import Box, Layout
from instdiff.world import nouns

if TYPE_CHECKING:
    from PIL.Image import Image

OUT = Path("outputs/evaluations/alignment")
SHEET = "alignment.png"
RECORDED = "pairs.json"
SIDE = 384
MOST_ON_SHEET = 40
HELP = """Boxes of what is seen on pictures against the boxes of the plan, for each category: how many were planned, the
share that was found with an IoU of at least 0.5, and the mean IoU, where what was not found counts 0.

PLACE is either

  a folder with a manifest   painted pictures, which --detector looks at (such as vlm:MODEL with --detector-url)
  a folder with pairs.json   plans and boxes that a model reported before,
                             [{"id", "plan", "cogvlm_coco_names"}, ...]; "plan" is a layout and "cogvlm_coco_names" a
                             list of {"bbox", "category_name"}, both with corners [x0, y0, x1, y1] in pixels of the plan

alignment.png under --out shows plans (solid) and what was seen (dashed)."""


@dataclass(frozen=True)
class Pair:
    """A plan and what was seen of it; ``image`` is None where the picture was not kept."""

    name: str
    plan: Layout
    report: Report
    image: Image | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m evaluators alignment``."""
    parser.add_argument("place", type=Path, metavar="PLACE", help="painted pictures, or recorded boxes")
    add_output_arguments(parser, OUT)
    add_detector_arguments(parser)


def run(args: argparse.Namespace) -> EvaluationResult:
    """The command.

    Raises:
        BadInput: the place holds neither, or the detector steered the painting.
        ServiceError: the detector fails.
    """
    if (args.place / RECORDED).exists():
        pairs = recorded_pairs(args.place / RECORDED)
        detector = "recorded boxes"
    elif (args.place / MANIFEST).exists():
        pairs = list(_detected_pairs(args))
        detector = args.detector
    else:
        raise BadInput(str(args.place), f"holds neither {MANIFEST} (painted pictures) nor {RECORDED} (recorded boxes)")
    sheet = args.folder / SHEET
    result = compare(pairs, detector, [f"plans (solid) and what was seen (dashed): {sheet}"])
    contact_sheet([_tile(pair) for pair in pairs[:MOST_ON_SHEET]], sheet, SIDE, columns=4)
    result.write(args.folder)
    return result


def recorded_pairs(path: Path) -> list[Pair]:
    """Plans and the boxes that were reported for them; boxes without area are left out.

    Raises:
        BadInput: the file is something else.
    """
    data = parse_json(read_bytes(path), str(path))
    if not isinstance(data, list) or not data or not all(isinstance(entry, dict) for entry in data):
        raise BadInput(str(path), 'must be a list of {"id", "plan", "cogvlm_coco_names"}')
    pairs = []
    for number, entry in enumerate(data):
        if "plan" not in entry or not isinstance(entry.get("cogvlm_coco_names"), list):
            raise BadInput(f"{path}[{number}]", 'needs "plan" and "cogvlm_coco_names"')
        plan = layout_from_json(entry["plan"], boxes="corners")
        field = f"{path}[{number}].cogvlm_coco_names"
        reported = [_detection(box, plan.size, f"{field}[{k}]") for k, box in enumerate(entry["cogvlm_coco_names"])]
        report = match(plan, [detection for detection in reported if detection], nouns.open_name, FOUND_IOU)
        pairs.append(Pair(str(entry.get("id", number)), plan, report))
    return pairs


def _detection(data: object, size: tuple[int, int], field: str) -> Detection | None:
    """One reported box; None if it has no area."""
    box = data if isinstance(data, dict) else {}
    corners = box.get("bbox")
    if not isinstance(corners, list) or len(corners) != 4 or not all(type(value) in (int, float) for value in corners):
        raise BadInput(field, 'must be {"bbox": [x0, y0, x1, y1], "category_name": "..."}')
    x0, y0, x1, y1 = corners
    if x0 >= min(x1, size[0]) or y0 >= min(y1, size[1]) or x1 <= 0 or y1 <= 0:
        return None
    return Detection(category=str(box.get("category_name", ""))[:200], score=1.0, box=Box.from_corners(corners, size))


def _detected_pairs(args: argparse.Namespace) -> Iterator[Pair]:
    """The painted pictures, looked at one by one."""
    gallery = Gallery.open(args.place)
    check_scorer(args.detector, gallery)
    detector = load_scorer(args)
    with progress_bar() as progress:
        for picture in progress.track(gallery.pictures(), total=len(gallery.keys), description="looking"):
            plan = picture.layout
            [report] = verify(detector, [picture.image], [plan], FOUND_IOU)
            yield Pair(picture.key, plan, report, picture.image)


def compare(pairs: Sequence[Pair], detector: str, notes: Sequence[str] = ()) -> EvaluationResult:
    """Recall and mean IoU by category and in all; what the detector cannot judge is left out, and counted in a note."""
    by_category: dict[str, list[float]] = {}
    for pair in pairs:
        for verdict in _judged(pair):
            by_category.setdefault(verdict.name.lower(), []).append(verdict.iou)
    groups = dict(sorted(by_category.items(), key=lambda item: (-len(item[1]), item[0])))
    every = [iou for ious in groups.values() for iou in ious]
    if not every:
        raise BadInput("place", f"nothing was planned that {detector} could judge")
    categories = {name: _shares(ious) for name, ious in {**groups, "all": every}.items()}
    extras = sum(len(pair.report.extras) for pair in pairs)
    unchecked = sum(len(pair.report.verdicts) - pair.report.checked for pair in pairs)
    counts = [f"{len(pairs)} pictures; {extras} more things were seen, which match nothing planned"]
    if unchecked:
        counts.append(f"{unchecked} planned things are of categories that {detector} does not know, and are left out")
    rows = [
        [name, str(shares["planned"]), percent(shares["recall"]), f"{shares['mean_iou']:.3f}"]
        for name, shares in categories.items()
    ]
    columns = ["category", "planned", "recall@0.5, percent", "mean IoU"]
    pictures = {pair.name: _shares([verdict.iou for verdict in _judged(pair)]) for pair in pairs}
    figures = {"seen_by": detector, "categories": categories, "pictures": pictures}
    table = Table(f"Alignment of plan and {detector}", columns, rows)
    return EvaluationResult("alignment", figures, (table,), [*counts, *notes])


def _judged(pair: Pair) -> list[Verdict]:
    return [verdict for verdict in pair.report.verdicts if verdict.kind is not VerdictKind.UNCHECKED]


def _shares(ious: Sequence[float]) -> dict:
    """How many planned things with these IoUs were found; of none, the shares are None."""
    found = sum(iou >= FOUND_IOU for iou in ious)
    if not ious:
        return {"planned": 0, "found": 0, "recall": None, "mean_iou": None}
    return {"planned": len(ious), "found": found, "recall": found / len(ious), "mean_iou": sum(ious) / len(ious)}


def _tile(pair: Pair) -> Tile:
    from PIL import Image

    from evaluators.drawing import draw_report

    image = pair.image or Image.new("RGB", pair.plan.size, "white")
    figures = f"{pair.report.found} of {pair.report.checked} in place, mean IoU {pair.report.mean_iou:.2f}"
    return Tile(draw_report(image, pair.plan, pair.report), (f"{pair.name}: {pair.plan.caption}", figures))
