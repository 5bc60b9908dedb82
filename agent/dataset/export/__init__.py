"""A dataset as others read it, with a card that says what it is."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agent.dataset.export import coco, labelling, writers
from agent.dataset.export.card import CARD, SHEET, Figures, write_card
from agent.dataset.export.records import ExportOptions, Records, read_records
from agent.dataset.folder import Folder
from evaluators.reporting import progress_bar
from instdiff.errors import BadInput

if TYPE_CHECKING:
    from rich.progress import Progress

WRITERS: dict[str, Callable[[Records, Path], None]] = {
    "coco": coco.write_coco,
    "coco-polygons": coco.write_coco_polygons,
    "yolo": writers.write_yolo,
    "yolo-seg": writers.write_yolo_outlines,
    "webdataset": writers.write_webdataset,
    "parquet": writers.write_parquet,
    "label-studio": labelling.write_label_studio,
    "cvat": labelling.write_cvat,
    "labelme": labelling.write_labelme,
}
WITHOUT_IGNORE = ("yolo", "yolo-seg", "label-studio", "cvat", "labelme")  # have no place for regions to ignore


def export_all(
    folder: Folder, out: Path, formats: Sequence[str], options: ExportOptions | None = None, is_shown: bool = False
) -> dict[str, object]:
    """Write the formats into folders of their names, then the card, which speaks of those written before, too.

    Damaged items are left out, and named.

    Args:
        is_shown: bars on a terminal say how far it is.

    Returns:
        counts: pictures, labels, regions to ignore and pictures in each split; ``notes`` on what is left out, and
        ``damaged``, if there is any.

    Raises:
        BadInput: ``out`` holds something else than an earlier export, the folder holds no item that is whole, or the
            pictures cannot be split as asked.
        ServiceError: a package that a format needs is missing.
    """
    damaged: dict[str, str] = {}
    with progress_bar(is_shown) as bar:
        reading = bar.add_task("reading", total=None)
        records = read_records(folder, options, damaged)
        if not records:
            kind = "picture that a person accepted" if records.not_accepted else "items to export"
            raise BadInput(str(folder.path), f"holds no {kind}")
        bar.update(reading, total=len(records), completed=len(records))
        _clear(out, formats)
        for name in formats:
            _show(records, bar, f"writing {name}")
            WRITERS[name](records, out / name)
        there = [name for name in WRITERS if (out / name).is_dir()]
        _show(records, bar, "writing the card")
        figures = write_card(folder, records, out, there)
    found = _found(records, figures)
    if notes := _notes(records, figures.ignored, formats):
        found["notes"] = notes
    if damaged:
        cure = f"instdiff-agent dataset check {folder.path} --repair makes them again"
        found["damaged"] = [f"{len(damaged)} items are left out: {', '.join(sorted(damaged))}; {cure}"]
    return found


def _found(records: Records, figures: Figures) -> dict[str, object]:
    """Counts of what was written."""
    splits = {split: records.number_in(split) for split in records.splits}
    counts = {"pictures": len(records), "annotations": figures.names.total(), "ignored": figures.ignored}
    return {**counts, **splits}


def _show(records: Records, bar: Progress, title: str) -> None:
    """A bar for what reads all pictures from here on; it is full after once, some are read again."""
    task = bar.add_task(title, total=len(records))
    places = iter(range(1, len(records) + 1))
    records.on_read = lambda: bar.update(task, completed=next(places, len(records)))


def _notes(records: Records, ignored: int, formats: Sequence[str]) -> list[str]:
    """What is not in the export, one sentence each."""
    notes = []
    without = [name for name in formats if name in WITHOUT_IGNORE]
    if ignored and without:
        notes.append(f"{ignored} regions to ignore are left out of {', '.join(without)}, which have no place for them")
    if records.dropped:
        notes.append(f"{records.dropped} pictures are left out, as something planned on them was not verified")
    if records.not_accepted:
        notes.append(f"{records.not_accepted} pictures are left out, as nobody accepted them")
    if records.other_names:
        names = ", ".join(f"{name} ({count})" for name, count in records.other_names.most_common(10))
        notes.append(f"{records.other_names.total()} labels are left out, as --classes does not have them: {names}")
    return notes


def _clear(out: Path, formats: Sequence[str]) -> None:
    """Remove what an earlier export left in ``out``, and nothing else."""
    own = {*WRITERS, CARD, SHEET}  # also of an export that was stopped
    is_ours = out.is_dir() and ((out / SHEET).exists() or {path.name for path in out.iterdir()} <= own)
    if out.exists() and not is_ours:
        raise BadInput("out", f"{out} holds something else than an earlier export; give another --out")
    for name in formats:
        shutil.rmtree(out / name, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
