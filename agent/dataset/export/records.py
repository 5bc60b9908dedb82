"""The items of a dataset as all exports see them: the picture and its annotations, without what was not verified."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from agent.dataset.folder import Folder, Item
from evaluators.report import Verdict
from instdiff.errors import BadInput
from instdiff.formats.coco import fitted_mask
from instdiff.formats.native import pixels
from instdiff.layout import Box, Layout, Mask
from instdiff.world.nouns import label_of

SPLITS = ("train", "val")


@dataclass(frozen=True)
class AnnotatedPicture:
    """One picture. ``layout`` holds the annotations alone, with ``boxes`` (fractions) and ``verdicts`` of equal length.

    The mask of an instance is the planned one; where none was planned, the shape that the verifier saw. What has no
    category is labelled with the noun of its caption.
    """

    item: Item
    path: Path
    layout: Layout
    boxes: tuple[Box, ...]
    verdicts: tuple[Verdict, ...]
    link: bool = False  # others get hard links to the picture instead of copies

    @property
    def key(self) -> str:
        return self.item.key

    @property
    def split(self) -> str:
        return self.item.split

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.layout.size


def read_records(folder: Folder, damaged: dict[str, str] | None = None, link: bool = False) -> list[AnnotatedPicture]:
    """All items, in order; bare points, for which no format has a box, are left out.

    Args:
        damaged: takes the keys of the items that cannot be read or whose picture is not the one that was painted, and
            why; without it the first of them is an error.

    Raises:
        BadInput: the folder holds no dataset, or an item is damaged.
    """
    if not folder.items.is_dir():
        raise BadInput("folder", f"{folder.path} holds no dataset; make one with python -m agent.dataset make")
    records = []
    for item in folder.read(damaged):
        if folder.is_whole(item):
            records.append(replace(_record(folder, item), link=link))
            continue
        reason = "is missing, or is not the picture that was painted"
        if damaged is None:
            cure = "python -m agent.dataset check says more"
            raise BadInput(str(folder.items / f"{item.key}.png"), f"{reason}; {cure}")
        damaged[item.key] = reason
    return records


def categories(records: Sequence[AnnotatedPicture]) -> list[str]:
    """The names of all annotated things, sorted; a number of a category is its place here."""
    return sorted({instance.name for record in records for instance in record.layout.instances})


def objects_of(record: AnnotatedPicture) -> list[dict]:
    """Annotations of a picture; boxes are ``[x, y, width, height]`` in pixels, as in COCO, ``score`` the verifier's."""
    objects = []
    for instance, box, verdict in zip(record.layout.instances, record.boxes, record.verdicts, strict=True):
        named = {"category": instance.name, "caption": instance.caption}
        found = {"iou": verdict.iou, "score": verdict.detection.score if verdict.detection else None}
        objects.append({"bbox": pixels(box.to_coco(record.size)), **named, **found})
    return objects


def describe(record: AnnotatedPicture) -> dict:
    """A picture and its annotations as plain data, for one line or row."""
    item = record.item
    painted = {"key": item.key, "prompt": item.prompt, "caption": record.layout.caption, "seed": item.seed}
    size = {"width": record.layout.width, "height": record.layout.height}
    return {**painted, **size, "score": item.score, "objects": objects_of(record)}


def copy_picture(record: AnnotatedPicture, path: Path) -> None:
    """Put a picture elsewhere, as a file of its own: whoever edits it there must not edit the dataset.

    Where a link is asked for and the disk has it, it is the same file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # what is there may be a link to the dataset's own picture
    if record.link:
        with suppress(OSError):  # another disk, or one without links
            os.link(record.path, path)
            return
    shutil.copyfile(record.path, path)


def _record(folder: Folder, item: Item) -> AnnotatedPicture:
    path = folder.items / f"{item.key}.png"
    plan = item.plan()
    instances = []
    boxes = []
    verdicts = []
    for index in item.annotated:
        instance = plan.instances[index]
        verdict = item.report.verdicts[index]
        if instance.extent is None:
            continue
        mask = instance.mask or _seen_mask(verdict, plan.size)
        label = instance.category or label_of(instance.caption)
        instances.append(instance.model_copy(update={"mask": mask, "category": label[:200]}))
        boxes.append(instance.extent)
        verdicts.append(verdict)
    return AnnotatedPicture(item, path, plan.with_instances(instances), tuple(boxes), tuple(verdicts))


def _seen_mask(verdict: Verdict, size: tuple[int, int]) -> Mask | None:
    """The detector's mask in the pixels of the picture; None if nothing is in it."""
    if verdict.detection is None or verdict.detection.mask is None:
        return None
    mask = fitted_mask(verdict.detection.mask, size)
    return mask if mask.box else None
