"""COCO: ``images/SPLIT/*.png``, ``annotations/instances_SPLIT.json`` and ``annotations/captions_SPLIT.json``.

FiftyOne reads it as a COCODetectionDataset with ``data_path`` images/SPLIT and ``labels_path`` annotations/instances_SPLIT.json.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from agent.dataset.export.records import SPLITS, Record, categories, copy_picture
from instdiff.formats import layouts_to_coco
from instdiff.formats.files import write_bytes


def write(records: Sequence[Record], out: Path) -> None:
    """Write both splits; a category has the same number in both, and an image is numbered as its item."""
    numbers = {name: number for number, name in enumerate(categories(records), start=1)}
    (out / "annotations").mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        some = [record for record in records if record.split == split]
        for record in some:
            copy_picture(record, out / "images" / split / record.path.name)
        _write(out / "annotations" / f"instances_{split}.json", _instances(some, numbers))
        _write(out / "annotations" / f"captions_{split}.json", _captions(some))


def _instances(records: Sequence[Record], numbers: dict[str, int]) -> dict:
    """COCO annotations; beside its own keys, an annotation has ``caption``, ``score``, ``iou`` and ``verdict``."""
    data = layouts_to_coco([record.layout for record in records])
    names = {category["id"]: category["name"] for category in data["categories"]}
    for image, record in zip(data["images"], records, strict=True):
        image |= {"id": record.item.index, "file_name": record.path.name, "seed": record.item.seed, "score": record.item.score}
    verdicts = [(record, verdict) for record in records for verdict in record.verdicts]
    for annotation, (record, verdict) in zip(data["annotations"], verdicts, strict=True):
        annotation |= {"image_id": record.item.index, "category_id": numbers[names[annotation["category_id"]]]}
        annotation |= {"iou": verdict.iou, "verdict": verdict.kind.value}
        annotation |= {"score": verdict.detection.score} if verdict.detection else {}
    data["categories"] = [{"id": number, "name": name, "supercategory": "thing"} for name, number in numbers.items()]
    return {"info": {"description": "painted by InstanceDiffusion, verified"}, "licenses": [], **data}


def _captions(records: Sequence[Record]) -> dict:
    images = [{"id": r.item.index, "file_name": r.path.name, "width": r.size[0], "height": r.size[1]} for r in records]
    captions = [{"id": n, "image_id": r.item.index, "caption": r.layout.caption} for n, r in enumerate(records, start=1)]
    return {"info": {}, "licenses": [], "images": images, "annotations": captions}


def _write(path: Path, data: dict) -> None:
    write_bytes(path, json.dumps(data, ensure_ascii=False).encode())
