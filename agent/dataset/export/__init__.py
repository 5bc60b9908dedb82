"""A dataset as others read it, with a card that says what it is."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from agent.dataset.export import labelling, writers
from agent.dataset.export.card import SHEET, write_card
from agent.dataset.export.records import SPLITS, AnnotatedPicture, read_records
from agent.dataset.folder import Folder
from instdiff.errors import BadInput

WRITERS: dict[str, Callable[[Sequence[AnnotatedPicture], Path], None]] = {
    "coco": writers.write_coco,
    "yolo": writers.write_yolo,
    "webdataset": writers.write_webdataset,
    "parquet": writers.write_parquet,
    "label-studio": labelling.write_label_studio,
    "cvat": labelling.write_cvat,
    "labelme": labelling.write_labelme,
}


def export_all(folder: Folder, out: Path, formats: Sequence[str], link: bool = False) -> dict[str, object]:
    """Write the formats into folders of their names, then the card. Damaged items are left out, and named.

    Args:
        link: pictures are hard links to those of the dataset, where the disk has them, and no copies.

    Returns:
        counts: pictures and annotations, and pictures for training and for validation; ``damaged``, if any are.

    Raises:
        BadInput: ``out`` holds something else than an earlier export, or the folder holds no item that is whole.
        ServiceError: a package that a format needs is missing.
    """
    damaged: dict[str, str] = {}
    records = read_records(folder, damaged, link)
    if not records:
        raise BadInput(str(folder.path), "holds no items to export")
    _clear(out, formats)
    for name in formats:
        WRITERS[name](records, out / name)
    write_card(folder, records, out, formats)
    in_split = {split: sum(record.split == split for record in records) for split in SPLITS}
    annotations = sum(len(record.layout.instances) for record in records)
    found: dict[str, object] = {"pictures": len(records), "annotations": annotations, **in_split}
    if damaged:
        cure = f"python -m agent.dataset check {folder.path} --repair makes them again"
        found["damaged"] = [f"{len(damaged)} items are left out: {', '.join(sorted(damaged))}; {cure}"]
    return found


def _clear(out: Path, formats: Sequence[str]) -> None:
    """Remove what an earlier export left in ``out``, and nothing else."""
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / SHEET).exists())):
        raise BadInput("out", f"{out} holds something else than an earlier export; give another --out")
    for name in formats:
        shutil.rmtree(out / name, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
