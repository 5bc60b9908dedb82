"""The items of a dataset as all exports see them: each picture with its labels, its split, and its classes' numbers."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, overload

from pydantic import Field

from agent.dataset.export.classes import class_in, numbered_classes, read_classes
from agent.dataset.export.corrections import corrected_labels
from agent.dataset.export.labels import Label, LabelOptions, labels_of
from agent.dataset.export.splits import SPLITS, group_keys, split_pictures
from agent.dataset.folder import Folder, Item, key_of
from agent.dataset.review import ACCEPTED, correction, decisions
from evaluators import manifest as manifests
from instdiff.cli import Flag
from instdiff.errors import BadInput
from instdiff.formats.native import pixels
from instdiff.layout import MAX_INSTANCES, Layout
from instdiff.values import Fraction

SPLIT = "splits and classes"


class ExportOptions(LabelOptions):
    """What an export makes of a dataset. ``val`` None is the share that the dataset was made with."""

    val: Annotated[Fraction | None, Flag("X", group=SPLIT)] = Field(
        default=None, description="share of pictures for validation (default: as it was made with)"
    )
    test: Annotated[Fraction, Flag("X", group=SPLIT)] = Field(
        default=0.0, description="share of pictures for a test (0)"
    )
    classes: Annotated[Path | None, Flag("FILE", group=SPLIT, read=Path)] = Field(
        default=None, description="names of the classes, one a line, or YOLO's data.yaml; other things are left out"
    )
    reviewed: Annotated[bool, Flag(group=SPLIT)] = Field(
        default=False, description="only the pictures that a person accepted on the dashboard, as corrected there"
    )
    link: Annotated[bool, Flag(group=SPLIT)] = Field(
        default=False, description="hard links to the pictures, no copies: whoever edits one edits the dataset"
    )


@dataclass(frozen=True)
class AnnotatedPicture:
    """One picture with what is known of it: its labels, and regions to ignore (`Label.ignore`)."""

    item: Item
    path: Path
    every: tuple[Label, ...]
    split: str
    link: bool = False  # others get hard links to the picture instead of copies

    @property
    def key(self) -> str:
        return self.item.key

    @property
    def labels(self) -> tuple[Label, ...]:
        return tuple(label for label in self.every if not label.ignore)

    @property
    def ignored(self) -> tuple[Label, ...]:
        return tuple(label for label in self.every if label.ignore)

    @property
    def layout(self) -> Layout:
        """The labels as a layout, which has no more than 30 things: the first of them."""
        return self.item.plan().with_instances([label.instance for label in self.labels[:MAX_INSTANCES]])

    @property
    def caption(self) -> str:
        return str(self.item.layout.get("caption", ""))

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return int(self.item.layout["width"]), int(self.item.layout["height"])


class Records(Sequence[AnnotatedPicture]):
    """The pictures of an export, each read from the disk when it is asked for, so that many take no more memory.

    Attributes:
        classes: the names, in the order of their numbers.
        splits: those that have pictures.
        dropped: how many pictures are left out, as something on them was not verified.
        not_accepted: how many are left out, as only those are asked for that a person accepted.
        other_names: how many labels are left out, by name, as ``--classes`` does not have them.
        on_read: is called for each picture that is read.
    """

    def __init__(self, folder: Folder, options: ExportOptions, damaged: dict[str, str] | None):
        self.folder = folder
        self.made_with = folder.made_with if (folder.items / manifests.FILE).exists() else {}
        self.as_planned = self.made_with.get("accept") == "all"
        self.options = options.model_copy(update=dict(options.resolved(self.as_planned)))
        self.dropped = 0
        self.not_accepted = 0
        self.on_read: Callable[[], None] = lambda: None
        self._decisions = decisions(folder.items) if options.reviewed else None
        self.other_names: Counter[str] = Counter()
        self._names: dict[str, str | None] = {}
        self._fixed = read_classes(options.classes) if options.classes else None
        rows = list(self._read_all(damaged))
        self.indices = [index for index, _, _ in rows]
        self.classes = self._fixed or numbered_classes(folder, {name for _, _, names in rows for name in names})
        self._known = frozenset(self.classes)
        self._splits = self._split(rows) if rows else {}
        self.splits = [split for split in SPLITS if split in self._splits.values()]

    def _read_all(self, damaged: dict[str, str] | None) -> Iterator[tuple[int, tuple[str, ...], Counter[str]]]:
        """The number, the keys and the names on each picture that is whole and not dropped."""
        for item in self.folder.read(damaged):
            if self._decisions is not None and self._decisions.get(item.key) != ACCEPTED:
                self.not_accepted += 1
                continue
            if not self.folder.is_whole(item):
                reason = "is missing, or is not the picture that was painted"
                if damaged is None:
                    cure = "instdiff-agent dataset check says more"
                    raise BadInput(str(self.folder.items / f"{item.key}.png"), f"{reason}; {cure}")
                damaged[item.key] = reason
                continue
            labels = self._labels(item)
            if labels is None:
                self.dropped += 1
                continue
            named = [(label, self.class_of(label.name)) for label in labels if not label.ignore]
            self.other_names.update(label.name for label, name in named if name is None)
            yield item.index, group_keys(self.folder, item), Counter(name for _, name in named if name is not None)

    def _labels(self, item: Item) -> tuple[Label, ...] | None:
        """The labels of a picture, as a person put them right where that is asked for; None if it is dropped."""
        labels = labels_of(item, self.options, self.as_planned)
        if self._decisions is None:
            return labels
        instances = correction(self.folder.items, item.key, item.sha256)
        return labels if instances is None else corrected_labels(labels or (), instances, item.plan().size)

    def class_of(self, name: str) -> str | None:
        """The class of things of this name; None where ``--classes`` leaves them out."""
        if self._fixed is None:
            return name
        if name not in self._names:
            self._names[name] = class_in(name, self._fixed)
        return self._names[name]

    def _split(self, rows: Sequence[tuple[int, tuple[str, ...], Counter[str]]]) -> dict[int, str]:
        val = float(self.made_with.get("val", 0.0)) if self.options.val is None else self.options.val
        if val + self.options.test >= 1:
            raise BadInput("test", f"--val {val} and --test {self.options.test} leave no picture for training")
        keys = [own for _, own, _ in rows]
        if self.options.val is None and not self.options.test and len({key for own in keys for key in own[:1]}) < 2:
            val = 0.0  # nobody asked for a split
        shares = {"train": 1.0 - val - self.options.test, "val": val, "test": self.options.test}
        splits = split_pictures(self.folder, keys, [names for _, _, names in rows], shares)
        return dict(zip(self.indices, splits, strict=True))

    def __len__(self) -> int:
        return len(self.indices)

    @overload
    def __getitem__(self, index: int) -> AnnotatedPicture: ...
    @overload
    def __getitem__(self, index: slice) -> list[AnnotatedPicture]: ...
    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        item = self.folder.item(self.indices[index])
        self.on_read()
        labels = self._labels(item) or ()
        named = [(label, self.class_of(label.name)) for label in labels]
        # a region to ignore is of no use where nothing of its class is labelled
        every = tuple(label.model_copy(update={"name": name}) for label, name in named if name in self._known)
        path = self.folder.items / f"{item.key}.png"
        return AnnotatedPicture(item, path, every, self._splits[item.index], self.options.link)

    def of(self, split: str) -> Iterator[AnnotatedPicture]:
        """The pictures of a split, in order."""
        return (self[place] for place, index in enumerate(self.indices) if self._splits[index] == split)

    def where(self, place: int) -> str:
        """ "000012 (train)": a picture and its split"""
        index = self.indices[place]
        return f"{key_of(index)} ({self._splits[index]})"

    def number_in(self, split: str) -> int:
        """How many pictures a split has."""
        return list(self._splits.values()).count(split)


def read_records(
    folder: Folder, options: ExportOptions | None = None, damaged: dict[str, str] | None = None
) -> Records:
    """All items, in order.

    Args:
        damaged: takes the keys of the items that cannot be read or whose picture is not the one that was painted, and
            why; without it the first of them is an error.

    Raises:
        BadInput: the folder holds no dataset, an item is damaged, or the pictures cannot be split as asked.
    """
    if not folder.items.is_dir():
        raise BadInput("folder", f"{folder.path} holds no dataset; make one with instdiff-agent dataset make")
    return Records(folder, options or ExportOptions(), damaged)


def objects_of(record: AnnotatedPicture) -> list[dict]:
    """Labels of a picture, and regions to ignore; boxes are ``[x, y, width, height]`` in pixels, as in COCO."""
    return [
        {
            "bbox": pixels(label.box.to_coco(record.size)),
            "category": label.name,
            "caption": label.caption,
            "iou": label.iou,
            "score": label.score,
            "source": label.source,
            "verdict": label.verdict,
            "ignore": label.ignore,
        }
        for label in record.every
    ]


def describe(record: AnnotatedPicture) -> dict:
    """A picture and its annotations as plain data, for one line or row."""
    item = record.item
    painted = {"key": item.key, "prompt": item.prompt, "caption": record.caption, "seed": item.seed}
    size = {"width": record.size[0], "height": record.size[1]}
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
