"""A dataset as labelling tools read it: Label Studio, CVAT and labelme."""

from __future__ import annotations

from pathlib import Path

from agent.dataset.export.records import Records, copy_picture
from instdiff.formats import label_studio
from instdiff.formats.files import write_bytes
from instdiff.formats.other_tools import save_annotations
from instdiff.formats.pictures import NamedLayout


def write_label_studio(records: Records, out: Path) -> None:
    """Write tasks for all splits, the pictures they are of, and the labelling interface that shows them."""
    for split in records.splits:
        named = _copy_pictures(records, split, out, f"images/{split}/")
        save_annotations(named, out / f"{split}.json", "label-studio")
    every = [(record.path.name, record.layout) for record in records]
    write_bytes(out / "config.xml", label_studio.config(every).encode())


def write_cvat(records: Records, out: Path) -> None:
    """Write "CVAT 1.1" for all splits, and the pictures, which a task in CVAT knows by their names."""
    for split in records.splits:
        named = _copy_pictures(records, split, out, f"images/{split}/")
        save_annotations([(Path(name).name, layout) for name, layout in named], out / f"{split}.xml", "cvat")


def write_labelme(records: Records, out: Path) -> None:
    """Write the pictures, each with its file beside it."""
    for split in records.splits:
        named = _copy_pictures(records, split, out, f"{split}/")
        save_annotations([(Path(name).name, layout) for name, layout in named], out / split, "labelme")


def _copy_pictures(records: Records, split: str, out: Path, folder: str) -> list[NamedLayout]:
    """Copy the pictures of a split into ``folder`` of ``out``; their names from there, with what is annotated."""
    out.mkdir(parents=True, exist_ok=True)
    named = []
    for record in records.of(split):
        copy_picture(record, out / folder / record.path.name)
        named.append((folder + record.path.name, record.layout))
    return named
