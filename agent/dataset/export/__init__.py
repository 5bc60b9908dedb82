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


def export_all(folder: Folder, out: Path, formats: Sequence[str]) -> dict[str, int]:
    """Write the formats into folders of their names, then the card.

    Returns:
        counts: pictures and annotations, and pictures for training and for validation.

    Raises:
        BadInput: ``out`` holds something else than an earlier export, the folder holds no dataset, or a picture in it
            is not the one that was painted.
        ServiceError: a package that a format needs is missing.
    """
    records = read_records(folder)
    if not records:
        raise BadInput(str(folder.path), "holds no items to export")
    _clear(out, formats)
    for name in formats:
        WRITERS[name](records, out / name)
    write_card(folder, records, out, formats)
    in_split = {split: sum(record.split == split for record in records) for split in SPLITS}
    annotations = sum(len(record.layout.instances) for record in records)
    return {"pictures": len(records), "annotations": annotations, **in_split}


def _clear(out: Path, formats: Sequence[str]) -> None:
    """Remove what an earlier export left in ``out``, and nothing else."""
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / SHEET).exists())):
        raise BadInput("out", f"{out} holds something else than an earlier export; give another --out")
    for name in formats:
        shutil.rmtree(out / name, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
