"""A dataset as labelling tools read it: Label Studio, CVAT and labelme; written picture by picture."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from agent.dataset.export.records import Records, copy_picture
from instdiff.formats import cvat, label_studio, whole_file
from instdiff.formats.files import write_bytes
from instdiff.formats.other_tools import save_annotations
from instdiff.formats.pictures import NamedLayout


def write_label_studio(records: Records, out: Path) -> None:
    """Write tasks for all splits, the pictures they are of, and the labelling interface that shows them."""
    for split in records.splits:
        named = _copy_pictures(records, split, out, f"images/{split}/")
        _write_parts(out / f"{split}.json", _json_list(label_studio.write_tasks(named)))
    every = ((record.path.name, record.layout) for record in records)
    write_bytes(out / "config.xml", label_studio.config(every).encode())


def write_cvat(records: Records, out: Path) -> None:
    """Write "CVAT 1.1" for all splits, and the pictures, which a task in CVAT knows by their names."""
    for split in records.splits:
        named = _copy_pictures(records, split, out, f"images/{split}/")
        plain = ((Path(name).name, layout) for name, layout in named)
        _write_parts(out / f"{split}.xml", cvat.write_parts(plain, records.classes, records.number_in(split)))


def write_labelme(records: Records, out: Path) -> None:
    """Write the pictures, each with its file beside it."""
    for split in records.splits:
        for name, layout in _copy_pictures(records, split, out, f"{split}/"):
            picture = out / name
            save_annotations([(picture.name, layout)], picture.with_suffix(".json"), "labelme")


def _copy_pictures(records: Records, split: str, out: Path, folder: str) -> Iterator[NamedLayout]:
    """Copy the pictures of a split into ``folder`` of ``out``; their names from there, with what is annotated."""
    for record in records.of(split):
        copy_picture(record, out / folder / record.path.name)
        yield folder + record.path.name, record.layout


def _json_list(entries: Iterable[dict]) -> Iterator[bytes]:
    for place, entry in enumerate(entries):
        yield (",\n" if place else "[").encode() + json.dumps(entry, ensure_ascii=False).encode()
    yield b"]\n"


def _write_parts(path: Path, parts: Iterable[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as temporary, temporary.open("wb") as file:
        file.writelines(parts)
