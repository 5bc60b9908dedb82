"""COCO annotations (``instances_*.json``), and what is written like them, <-> layouts."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import overload

import numpy as np

from instdiff import rle
from instdiff.errors import BadInput
from instdiff.formats.boxes import LayoutWarning
from instdiff.formats.coco_file import REGIONS, CocoFile, Crowd, read_coco
from instdiff.formats.coco_records import canvas_size, drawing_of
from instdiff.formats.native import drawn_places, pixels, read_instance
from instdiff.layout import MAX_INSTANCES, Box, Instance, Layout, Mask


def layouts_from_coco(source: dict | str | Path, crowd: Crowd = "auto") -> CocoLayouts:
    """COCO annotations -> one layout per image, with the image record it belongs to.

    The file is checked as a whole, and what it holds that cannot be used is counted in a `LayoutWarning` of each kind;
    a layout is made when it is asked for, so that a few of a large file take little time. The caption of an instance is
    its annotation's ``caption`` where there is one, else the name of its category; the caption of the picture is the
    image record's ``caption``. Of more than 30 annotations the 30 largest are kept.

    Args:
        source: the parsed annotations, or the path of a file of at most 1 GiB.
        crowd: what annotations with ``iscrowd`` are, see `CocoFile`.

    Raises:
        BadInput: the source cannot be read, an id names two records, or not one of its annotations can be used.
    """
    layouts = CocoLayouts(read_coco(source, crowd))
    for sentence in layouts.notes:
        warnings.warn(f"{layouts.file.source}: {sentence}", LayoutWarning, stacklevel=2)
    return layouts


class CocoLayouts(Sequence[tuple[dict, Layout]]):
    """Image records with their layouts, in the order of the file; a layout is made when it is asked for."""

    def __init__(self, file: CocoFile):
        self.file = file

    def __len__(self) -> int:
        return len(self.file.images)

    @overload
    def __getitem__(self, index: int) -> tuple[dict, Layout]: ...
    @overload
    def __getitem__(self, index: slice) -> list[tuple[dict, Layout]]: ...
    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        record = self.file.images[index]
        singles = [anno for anno in self.file.annotations(range(len(self))[index]) if not anno["iscrowd"]]
        width, height = canvas_size(image_size(record))
        layout = Layout(width=width, height=height, caption=record["caption"])
        return record, layout.with_instances(instances_from_coco(record, largest(singles)))

    @property
    def notes(self) -> list[str]:
        """What of the file is not as it is written, one sentence for each kind."""
        file = self.file
        notes = file.notes
        if file.regions:
            notes.append(f"{REGIONS}: {file.regions}")
        counts = file.counts
        if full := [index for index, count in enumerate(counts) if count > MAX_INSTANCES]:
            first = f"image {file.images[full[0]]['id']} has {counts[full[0]]} annotations"
            more = f", and so of {len(full) - 1} other images" if full[1:] else ""
            notes.append(f"{first}; the {MAX_INSTANCES} largest are kept{more}")
        return notes


def instances_from_coco(record: dict, annos: list[dict]) -> list[Instance]:
    """Annotations of one image, as `CocoFile.annotations` gives them, as instances, however many there are."""
    size = image_size(record)
    return [_instance(anno, size, canvas_size(size)) for anno in annos]


def _instance(anno: dict, size: tuple[int, int], canvas: tuple[int, int]) -> Instance:
    box = anno["bbox"] and Box.from_coco(anno["bbox"], size)
    named = {"caption": anno["caption"] or anno["category_name"], "category_name": anno["category_name"]}
    instance = read_instance({**named, **drawing_of(anno)}, box, size, f"annotation {anno['id']}")
    mask = anno["outline"].draw(size, canvas)
    return instance.model_copy(update={"mask": mask}) if mask else instance


def image_size(record: dict) -> tuple[int, int]:
    """(width, height) in pixels of an image record."""
    return record["width"], record["height"]


def largest(annos: list[dict], count: int = MAX_INSTANCES) -> list[dict]:
    """The largest annotations of an image by area, in their order."""
    by_area = sorted(range(len(annos)), key=lambda index: -annos[index]["area"])
    return [annos[index] for index in sorted(by_area[:count])]


def layouts_to_coco(layouts: list[Layout]) -> dict:
    """Layouts -> COCO annotations; images, annotations and categories are numbered from 1.

    Points and scribbles stand beside the box under the same names as in the JSON of InstanceDiffusion.

    Raises:
        BadInput: an instance is a bare point, for which COCO has no box.
    """
    names = sorted({instance.name for layout in layouts for instance in layout.instances})
    numbers = {name: index for index, name in enumerate(names, start=1)}
    images: list[dict] = []
    annotations: list[dict] = []
    for image_id, layout in enumerate(layouts, start=1):
        images.append({"id": image_id, "width": layout.width, "height": layout.height, "caption": layout.caption})
        for index, instance in enumerate(layout.instances):
            record = _annotation(instance, layout.size, f"layout {image_id}, instances[{index}]")
            ids = {"id": len(annotations) + 1, "image_id": image_id, "category_id": numbers[instance.name]}
            annotations.append({**ids, **record})
    categories = [{"id": index, "name": name} for name, index in numbers.items()]
    return {"images": images, "annotations": annotations, "categories": categories}


def _annotation(instance: Instance, size: tuple[int, int], where: str) -> dict:
    if instance.extent is None:
        raise BadInput(where, f'"{instance.name}" is a bare point, and a COCO annotation needs a box')
    bbox = pixels(instance.extent.to_coco(size))
    record = {"bbox": bbox, "area": bbox[2] * bbox[3], "iscrowd": 0, "segmentation": []}
    if instance.mask:
        mask = fitted_mask(instance.mask, size)
        record["area"] = sum(rle.string_to_counts(mask.counts)[1::2])
        record["segmentation"] = {"size": list(mask.size), "counts": mask.counts}
    return {**record, "caption": instance.caption, **drawn_places(instance, size)}


def fitted_mask(mask: Mask, size: tuple[int, int]) -> Mask:
    """The mask at (width, height) pixels, as COCO wants it; each pixel takes the value under its centre."""
    width, height = size
    if mask.size == (height, width):
        return mask
    rows = ((np.arange(height) + 0.5) * mask.size[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * mask.size[1] / width).astype(int)
    array = rle.decode(rle.string_to_counts(mask.counts), *mask.size)  # not kept, as `mask.array` would be
    return Mask.from_array(array[np.ix_(rows, columns)])
