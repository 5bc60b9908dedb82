"""A dataset as COCO, with masks as run lengths or as polygons; written picture by picture."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import numpy as np

from agent.dataset.export.labels import Label
from agent.dataset.export.records import AnnotatedPicture, Records, copy_picture
from instdiff import rle
from instdiff.formats import whole_file
from instdiff.formats.native import pixels
from instdiff.formats.yolo import outline

FEWEST_POINTS = 3  # of a polygon
INSTANCES = {"info": {"description": "painted by InstanceDiffusion, verified"}, "licenses": []}


def write_coco(records: Records, out: Path, polygons: bool = False) -> None:
    """Write all splits; a category has the same number in each, and an image is numbered as its item.

    A region to ignore has ``iscrowd`` 1 and, as COCO wants it there, its shape as run lengths. Beside COCO's keys an
    annotation has ``caption``, ``score``, ``iou``, ``verdict`` and ``source``.
    """
    numbers = {name: number for number, name in enumerate(records.classes, start=1)}
    categories = [{"id": number, "name": name, "supercategory": "thing"} for name, number in numbers.items()]
    folder = out / "annotations"
    folder.mkdir(parents=True, exist_ok=True)
    for split in records.splits:
        instances = _lists(folder / f"instances_{split}.json", {**INSTANCES, "categories": categories})
        captions = _lists(folder / f"captions_{split}.json", {"info": {}, "licenses": []})
        with instances as add, captions as add_caption:
            number = 0
            for place, record in enumerate(records.of(split), start=1):
                copy_picture(record, out / "images" / split / record.path.name)
                image = _image(record)
                about = {"caption": record.caption, "seed": record.item.seed, "score": record.item.score}
                add("images", {**image, **about})
                add_caption("images", image)
                add_caption("annotations", {"id": place, "image_id": image["id"], "caption": record.caption})
                for label in record.every:
                    number += 1
                    ids = {"id": number, "image_id": image["id"], "category_id": numbers[label.name]}
                    add("annotations", {**ids, **_annotation(label, record.size, polygons)})


def write_coco_polygons(records: Records, out: Path) -> None:
    """As `write_coco`, with masks as polygons."""
    write_coco(records, out, polygons=True)


def _image(record: AnnotatedPicture) -> dict:
    width, height = record.size
    return {"id": record.item.index, "file_name": record.path.name, "width": width, "height": height}


def _annotation(label: Label, size: tuple[int, int], polygons: bool) -> dict:
    bbox = pixels(label.box.to_coco(size))
    more = {"caption": label.caption, "score": label.score, "iou": label.iou, "verdict": label.verdict}
    record = {"bbox": bbox, "area": bbox[2] * bbox[3], "iscrowd": int(label.ignore), **more, "source": label.source}
    if label.mask is None:
        return {**record, "segmentation": _box_runs(bbox, size) if label.ignore else []}
    record["area"] = sum(rle.string_to_counts(label.mask.counts)[1::2])
    if polygons and not label.ignore:
        return {**record, "segmentation": polygon_of(label, size)}
    return {**record, "segmentation": {"size": list(label.mask.size), "counts": label.mask.counts}}


def polygon_of(label: Label, size: tuple[int, int]) -> list[list[float]]:
    """One polygon around a label's mask, ``[[x, y, ...]]`` in pixels; parts and holes hang on it by bridges."""
    if label.mask is None:
        return []
    line = outline(label.mask)
    points = [round(value * side, 2) for value, side in zip(line, size * (len(line) // 2), strict=True)]
    return [points] if len(points) >= 2 * FEWEST_POINTS else []


def _box_runs(bbox: Sequence[float], size: tuple[int, int]) -> dict:
    """A box as run lengths, which crowd regions must have."""
    from pycocotools import mask as masks

    width, height = size
    (runs,) = masks.frPyObjects(np.array([bbox], dtype=float), height, width)
    return {"size": [height, width], "counts": runs["counts"].decode()}


@contextmanager
def _lists(path: Path, head: dict) -> Iterator:
    """A JSON object of a head and of lists, each entry of which is written when it is added: ``add(list, entry)``."""
    with ExitStack() as stack:
        parts: dict[str, IO[bytes]] = {}
        for name in ("images", "annotations"):
            parts[name] = stack.enter_context(TemporaryFile(dir=path.parent))

        def add(name: str, entry: dict) -> None:
            comma = b",\n" if parts[name].tell() else b""
            parts[name].write(comma + json.dumps(entry, ensure_ascii=False).encode())

        yield add
        with whole_file(path) as temporary, temporary.open("wb") as file:
            file.write(json.dumps(head, ensure_ascii=False).encode()[:-1])
            for name, part in parts.items():
                file.write(f', "{name}": [\n'.encode())
                part.seek(0)
                shutil.copyfileobj(part, file)
                file.write(b"]")
            file.write(b"}\n")
