"""The pictures of a folder with a manifest, and what is on each: as it was made, and as a person put it right."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from agent.dataset.export.labels import LabelOptions, labels_of
from agent.dataset.folder import ITEMS, Folder, Item
from agent.dataset.review import correction
from evaluators.manifest import FILE, Manifest, Picture, read_manifest
from instdiff.formats import layouts_from_coco, read_png
from instdiff.formats.files import parse_json, read_bytes
from instdiff.layout import MAX_INSTANCES, Box, Instance, Layout

ANNOTATIONS = "annotations.json"
NAMES = re.compile(rb'"(?:category|category_name|caption)": *"((?:[^"\\]|\\.)*)"')  # in the JSON of an item


class OnPicture(NamedTuple):
    """What is on a picture as it was made.

    Attributes:
        layout: its labels.
        beyond: how many labels there are for which a layout has no room.
        regions: where something may be, and what: regions to ignore.
    """

    layout: Layout
    beyond: int = 0
    regions: tuple[tuple[str, Box], ...] = ()


def manifest_of(folder: Path) -> Manifest:
    """The manifest of a folder, read again where it was changed.

    Raises:
        BadInput: it cannot be read.
    """
    return _manifest(folder, (folder / FILE).stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _manifest(folder: Path, changed_ns: int) -> Manifest:
    return read_manifest(folder)


def dataset_of(folder: Path) -> Folder | None:
    """The dataset whose pictures lie in a folder; None where these are pictures and a manifest, and nothing else."""
    is_one = folder.name == ITEMS and any(folder.glob("[0-9]*.json"))
    return Folder(folder.parent) if is_one else None


def as_made(folder: Path, picture: Picture) -> OnPicture:
    """What a dataset's export would label; else the folder's annotations; else what the picture was painted from.

    Raises:
        BadInput: that cannot be read.
    """
    item = folder / f"{picture.key}.json"
    if item.exists():
        as_planned = manifest_of(folder).painted_with.get("accept") == "all"
        return _labelled(item, item.stat().st_mtime_ns, as_planned)
    path = folder / ANNOTATIONS
    annotated = _annotated(path, path.stat().st_mtime_ns) if path.exists() else {}
    return OnPicture(annotated.get(picture.file) or _painted_from(folder / picture.file, picture.sha256))


def corrected(folder: Path, picture: Picture) -> tuple[Instance, ...] | None:
    """What a person says is on a picture; None where nobody did. Raises BadInput if that cannot be read."""
    return correction(folder, picture.key, picture.sha256)


def on_picture(folder: Path, picture: Picture) -> Layout:
    """What is on a picture: as a person put it right, else as it was made. Raises BadInput if that cannot be read."""
    instances = corrected(folder, picture)
    layout = as_made(folder, picture).layout
    return layout if instances is None else layout.with_instances(instances[:MAX_INSTANCES])


def may_have(folder: Path, picture: Picture, word: str) -> bool:
    """False where it is clear, without reading all of it, that nothing on a picture has a word in its name."""
    item = folder / f"{picture.key}.json"
    if not word.isascii() or not item.exists() or corrected(folder, picture) is not None:
        return True
    return any(word.encode() in name.lower() for name in NAMES.findall(item.read_bytes()))


@lru_cache(maxsize=20_000)
def _labelled(path: Path, changed_ns: int, as_planned: bool) -> OnPicture:
    item = Item.parse(parse_json(read_bytes(path), str(path)), str(path))
    labels = labels_of(item, LabelOptions(), as_planned) or ()
    instances = [label.instance for label in labels if not label.ignore]
    layout = item.plan().with_instances(instances[:MAX_INSTANCES])
    regions = tuple((label.name, label.box) for label in labels if label.ignore)
    return OnPicture(layout, max(len(instances) - MAX_INSTANCES, 0), regions)


@lru_cache(maxsize=4)
def _annotated(path: Path, changed_ns: int) -> dict[str, Layout]:
    return {Path(str(record.get("file_name", ""))).name: layout for record, layout in layouts_from_coco(path)}


@lru_cache(maxsize=20_000)
def _painted_from(path: Path, sha256: str) -> Layout:
    return read_png(path)[0]
