"""YOLO as ultralytics reads it: ``data.yaml``, ``images/SPLIT/*.png``, ``labels/SPLIT/*.txt``.

A label is ``class x y width height``: the number of the category from 0, then centre and size of the box as fractions.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from agent.dataset.export.records import SPLITS, Record, categories, copy_picture
from instdiff.formats.files import write_bytes


def write(records: Sequence[Record], out: Path) -> None:
    """Write both splits; a picture without annotations has an empty label file, and counts as background."""
    names = categories(records)
    for split in SPLITS:
        for kind in ("images", "labels"):
            (out / kind / split).mkdir(parents=True, exist_ok=True)
    for record in records:
        copy_picture(record, out / "images" / record.split / record.path.name)
        lines = [_line(names.index(instance.name), instance.extent) for instance in record.layout.instances]
        write_bytes(out / "labels" / record.split / f"{record.key}.txt", "".join(lines).encode())
    # a relative path counts from the folder of data.yaml; names are quoted as JSON, which YAML takes as it is
    listed = "".join(f"  {number}: {json.dumps(name)}\n" for number, name in enumerate(names))
    val = "val" if any(record.split == "val" for record in records) else "train"
    write_bytes(out / "data.yaml", f"train: images/train\nval: images/{val}\nnames:\n{listed}".encode())


def _line(number: int, box) -> str:
    return f"{number} {box.centre.x:.6f} {box.centre.y:.6f} {box.width:.6f} {box.height:.6f}\n"
