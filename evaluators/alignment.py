"""Alignment: do the boxes that a vision-language model (or any detector) reports lie where the plan put things?

What was planned and what was seen is matched one to one within each category; what nothing was matched to counts as a
miss, with an IoU of 0.
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
from evaluators.report import Detection, Report
from evaluators.reporting import add_output_arguments, percent, progress_bar, write_results
from instdiff.errors import BadInput
from instdiff.formats import layout_from_json
from instdiff.formats.files import parse_json, read_bytes
from instdiff.layout import Box, Layout
from instdiff.world.nouns import open_name

if TYPE_CHECKING:
    from PIL.Image import Image

OUT = Path("outputs/evaluations/alignment")
SHEET = "alignment.png"
RECORDED = "pairs.json"
FOUND_IOU = 0.5
SIDE = 384
MOST_ON_SHEET = 40
HELP = """Boxes of what is seen on pictures against the boxes of the plan, for each category: how many were planned, the share that was
found with an IoU of at least 0.5, and the mean IoU, where what was not found counts 0.

PLACE is either

  a folder with a manifest   painted pictures, which --detector looks at (such as vlm:MODEL with --detector-url)
  a folder with pairs.json   plans and boxes that a model reported before, [{"id", "plan", "cogvlm_coco_names"}, ...]; "plan" is a
                             layout and "cogvlm_coco_names" a list of {"bbox", "category_name"}, both with corners
                             [x0, y0, x1, y1] in pixels of the plan

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


def run(args: argparse.Namespace) -> dict:
    """The command.

    Raises:
        BadInput: the place holds neither, or the detector steered the painting.
        ServiceError: the detector fails.
    """
    if (args.place / RECORDED).exists():
        pairs = recorded_pairs(args.place / RECORDED)
        who = "recorded boxes"
    elif (args.place / MANIFEST).exists():
        pairs = list(_looked(args))
        who = args.detector
    else:
        raise BadInput(str(args.place), f"holds neither {MANIFEST} (painted pictures) nor {RECORDED} (recorded boxes)")
    result = figures(pairs, who)
    contact_sheet([_tile(pair) for pair in pairs[:MOST_ON_SHEET]], args.folder / SHEET, SIDE, columns=4)
    result["notes"].append(f"plans (solid) and what was seen (dashed): {args.folder / SHEET}")
    write_results(args.folder, result)
    return result


def recorded_pairs(path: Path) -> list[Pair]:
    """Plans and the boxes that were reported for them; boxes without area are left out.

    Raises:
        BadInput: the file is something else.
    """
    data = parse_json(read_bytes(path), str(path))
    if not isinstance(data, list) or not data or not all(isinstance(one, dict) for one in data):
        raise BadInput(str(path), 'must be a list of {"id", "plan", "cogvlm_coco_names"}')
    pairs = []
    for number, one in enumerate(data):
        if "plan" not in one or not isinstance(one.get("cogvlm_coco_names"), list):
            raise BadInput(f"{path}[{number}]", 'needs "plan" and "cogvlm_coco_names"')
        plan = layout_from_json(one["plan"], boxes="corners")
        seen = [
            _detection(box, plan.size, f"{path}[{number}].cogvlm_coco_names[{k}]")
            for k, box in enumerate(one["cogvlm_coco_names"])
        ]
        pairs.append(_pair(str(one.get("id", number)), plan, [box for box in seen if box]))
    return pairs


def _detection(data: object, size: tuple[int, int], field: str) -> Detection | None:
    """One reported box; None if it has no area."""
    corners = data.get("bbox") if isinstance(data, dict) else None
    if not isinstance(corners, list) or len(corners) != 4 or not all(type(value) in (int, float) for value in corners):
        raise BadInput(field, 'must be {"bbox": [x0, y0, x1, y1], "category_name": "..."}')
    x0, y0, x1, y1 = corners
    if x0 >= min(x1, size[0]) or y0 >= min(y1, size[1]) or x1 <= 0 or y1 <= 0:
        return None
    return Detection(category=str(data.get("category_name", ""))[:200], score=1.0, box=Box.from_corners(corners, size))


def _pair(name: str, plan: Layout, seen: Sequence[Detection], canonical=open_name, image: Image | None = None) -> Pair:
    return Pair(name, plan, match(plan, seen, canonical, FOUND_IOU), image)


def _looked(args: argparse.Namespace) -> Iterator[Pair]:
    """The painted pictures, looked at one by one."""
    gallery = Gallery.open(args.place)
    check_scorer(args.detector, gallery.manifest)
    detector = load_scorer(args)
    with progress_bar() as progress:
        for one in progress.track(gallery.pictures(), total=len(gallery.keys), description="looking"):
            [seen] = detector.detect([one.image], sorted({instance.name for instance in one.layout.instances}))
            yield _pair(one.key, one.layout, seen, detector.canonical, one.image)


def figures(pairs: Sequence[Pair], who: str) -> dict:
    """Recall and mean IoU by category and in all; what the detector cannot judge is left out, and counted in a note."""
    by_category: dict[str, list[float]] = {}
    for pair in pairs:
        for verdict in pair.report.verdicts:
            if verdict.kind != "unchecked":
                by_category.setdefault(verdict.name.lower(), []).append(verdict.iou)
    groups = dict(sorted(by_category.items(), key=lambda item: (-len(item[1]), item[0])))
    every = [iou for ious in groups.values() for iou in ious]
    if not every:
        raise BadInput("place", f"nothing was planned that {who} could judge")
    categories = {name: _of(ious) for name, ious in {**groups, "all": every}.items()}
    unchecked = sum(len(pair.report.verdicts) - pair.report.checked for pair in pairs)
    notes = [
        f"{len(pairs)} pictures; {sum(len(pair.report.extras) for pair in pairs)} more things were seen, which match"
        " nothing planned"
    ]
    notes += (
        [f"{unchecked} planned things are of categories that {who} does not know, and are left out"]
        if unchecked
        else []
    )
    rows = [
        [name, str(one["planned"]), percent(one["recall"]), f"{one['mean_iou']:.3f}"]
        for name, one in categories.items()
    ]
    columns = ["category", "planned", "recall@0.5, percent", "mean IoU"]
    table = {"title": f"Alignment of plan and {who}", "columns": columns, "rows": rows}
    pictures = {pair.name: _of([v.iou for v in pair.report.verdicts if v.kind != "unchecked"]) for pair in pairs}
    return {
        "evaluation": "alignment",
        "seen_by": who,
        "categories": categories,
        "pictures": pictures,
        "notes": notes,
        "table": table,
    }


def _of(ious: Sequence[float]) -> dict:
    """What became of things with these IoUs; of none, the shares are None."""
    found = sum(iou >= FOUND_IOU for iou in ious)
    count = len(ious)
    return {
        "planned": count,
        "found": found,
        "recall": found / count if count else None,
        "mean_iou": sum(ious) / count if count else None,
    }


def _tile(pair: Pair) -> Tile:
    from PIL import Image

    from evaluators.drawing import draw_report

    image = pair.image or Image.new("RGB", pair.plan.size, "white")
    found = f"{pair.report.found} of {pair.report.checked} in place, mean IoU {pair.report.mean_iou:.2f}"
    return Tile(draw_report(image, pair.plan, pair.report), (f"{pair.name}: {pair.plan.caption}", found))
