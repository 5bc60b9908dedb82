"""The items of a dataset as all exports see them: the picture and its annotations, without what was not verified."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.dataset.folder import Folder, Item
from evaluators.report import Verdict
from instdiff.errors import BadInput
from instdiff.formats.coco import fitted_mask
from instdiff.formats.native import pixels
from instdiff.layout import Layout, Mask

SPLITS = ("train", "val")


@dataclass(frozen=True)
class Record:
    """One picture. ``layout`` holds the annotations alone, with ``verdicts`` of the same length.

    The mask of an instance is the planned one; where none was planned, the shape that the verifier saw.
    """

    item: Item
    path: Path
    layout: Layout
    verdicts: tuple[Verdict, ...]

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


def read_records(folder: Folder) -> list[Record]:
    """All items, in order; bare points, for which no format has a box, are left out.

    Raises:
        BadInput: the folder holds no dataset, or a picture is not the one that its item describes.
    """
    if not folder.items.is_dir():
        raise BadInput("folder", f"{folder.path} holds no dataset; make one with python -m agent.dataset make")
    return [_record(folder, item) for item in folder.read()]


def categories(records: Sequence[Record]) -> list[str]:
    """The names of all annotated things, sorted; a number of a category is its place here."""
    return sorted({instance.name for record in records for instance in record.layout.instances})


def objects_of(record: Record) -> list[dict]:
    """The annotations of a picture; boxes are ``[x, y, width, height]`` in pixels, as in COCO, ``score`` is the
    verifier's.
    """
    return [
        {
            "bbox": pixels(instance.extent.to_coco(record.size)),
            "category": instance.name,
            "caption": instance.caption,
            "iou": verdict.iou,
            "score": verdict.detection.score if verdict.detection else None,
        }
        for instance, verdict in zip(record.layout.instances, record.verdicts, strict=True)
    ]


def about(record: Record) -> dict:
    """All that is said of a picture."""
    item = {"key": record.key, "prompt": record.item.prompt, "caption": record.layout.caption, "seed": record.item.seed}
    return {
        **item,
        "width": record.size[0],
        "height": record.size[1],
        "score": record.item.score,
        "objects": objects_of(record),
    }


def copy_picture(record: Record, path: Path) -> None:
    """Put a picture elsewhere, as a file of its own: whoever edits it there must not edit the dataset."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # what is there may be a link to the dataset's own picture
    shutil.copyfile(record.path, path)


def _record(folder: Folder, item: Item) -> Record:
    path = folder.items / f"{item.key}.png"
    plan = item.plan()
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != item.sha256:
        raise BadInput(
            str(path), "is missing, or is not the picture that was painted; python -m agent.dataset check says more"
        )
    instances = []
    verdicts = []
    for index in item.annotated:
        instance = plan.instances[index]
        verdict = item.report.verdicts[index]
        if instance.extent is None:
            continue
        seen = verdict.detection and verdict.detection.mask
        instances.append(instance.model_copy(update={"mask": instance.mask or _at_size(seen, plan.size)}))
        verdicts.append(verdict)
    return Record(item, path, plan.with_instances(instances), tuple(verdicts))


def _at_size(mask: Mask | None, size: tuple[int, int]) -> Mask | None:
    """A detector's mask in the pixels of the picture; None if nothing is in it."""
    fitted = mask and fitted_mask(mask, size)
    return fitted if fitted and fitted.box else None
