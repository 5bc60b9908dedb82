"""COCO annotations (``instances_*.json``) <-> layouts."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from instdiff.errors import BadInput
from instdiff.formats.boxes import LayoutWarning, resolve_boxes
from instdiff.formats.fields import mapping, number, sequence, text, whole
from instdiff.formats.files import parse_json, read_bytes
from instdiff.formats.native import drawn_places, pixels, read_instance
from instdiff.layout import MAX_INSTANCES, Box, Instance, Layout, Mask, Point

MAX_COCO_BYTES = 2**30  # the training annotations of COCO 2017 have 450 MB


def layouts_from_coco(source: dict | str | Path) -> list[tuple[dict, Layout]]:
    """COCO annotations -> one layout per image, with the image record it belongs to.

    The caption of an instance is its annotation's ``caption`` where there is one, else the name of its category; the
    caption of the picture is the image record's ``caption``. Crowd regions are no instances and are left out. Of more
    than 30 annotations the 30 largest are kept, with a `LayoutWarning`.

    Args:
        source: the parsed annotations, or the path of a file of at most 1 GiB.

    Raises:
        BadInput: the source cannot be read, refers to images or categories that it does not hold, or has boxes off the
            picture.
    """
    images = annotations_from_coco(source)
    return [(record, _layout(record, [anno for anno in annos if not anno.get("iscrowd")])) for record, annos in images]


def annotations_from_coco(source: dict | str | Path) -> list[tuple[dict, list[dict]]]:
    """COCO annotations by image: the records of images, each with its annotations as written, crowd regions too.

    An annotation also says its ``category_name``. Takes and raises what `layouts_from_coco` does.
    """
    data = source if isinstance(source, dict) else parse_json(read_bytes(source, MAX_COCO_BYTES), str(source))
    data = mapping(data, "annotations file")
    names = {record["id"]: text(record, "name", "categories") for record in _records(data, "categories")}
    images: dict[int, tuple[dict, list[dict]]] = {record["id"]: (record, []) for record in _records(data, "images")}
    for index, anno in enumerate(sequence(data.get("annotations"), "annotations")):
        anno = mapping(anno, f"annotations[{index}]")
        for key, known_ids in (("image_id", images.keys()), ("category_id", names.keys())):
            if whole(anno.get(key), f"annotations[{index}].{key}") not in known_ids:
                raise BadInput(f"annotations[{index}].{key}", f"{anno[key]} is not in the file")
        images[anno["image_id"]][1].append({**anno, "category_name": names[anno["category_id"]]})
    return list(images.values())


def instances_from_coco(record: dict, annos: list[dict]) -> list[Instance]:
    """The annotations of one image, as `annotations_from_coco` gives them, as instances, however many there are."""
    where = f"image {record['id']}"
    size = image_size(record)
    try:
        places = resolve_boxes(annos, size, "xywh")
        return [_instance(anno, places.get(i), size, f"annos[{i}]") for i, anno in enumerate(annos)]
    except BadInput as error:
        raise BadInput(f"{where}, {error.field}", error.reason) from error


def image_size(record: dict) -> tuple[int, int]:
    """(width, height) in pixels of an image record."""
    where = f"image {record['id']}"
    return whole(record.get("width"), f"{where}.width"), whole(record.get("height"), f"{where}.height")


def largest(annos: list[dict], count: int = MAX_INSTANCES) -> list[dict]:
    """The largest annotations of an image by area, in their order."""
    by_area = sorted(range(len(annos)), key=lambda index: -area_px(annos[index]))
    return [annos[index] for index in sorted(by_area[:count])]


def _records(data: dict, key: str) -> list[dict]:
    """The records under a key, each with a whole-numbered id."""
    records = [mapping(record, f"{key}[{index}]") for index, record in enumerate(sequence(data.get(key), key))]
    return [{**record, "id": whole(record.get("id"), f"{key}[{index}].id")} for index, record in enumerate(records)]


def _layout(record: dict, annos: list[dict]) -> Layout:
    """The layout of one image; annotations carry the name of their category."""
    where = f"image {record['id']}"
    width, height = image_size(record)
    layout = Layout.parse({"width": width, "height": height, "caption": text(record, "caption", where)}, where)
    if len(annos) > MAX_INSTANCES:
        note = f"{where} has {len(annos)} annotations; the {MAX_INSTANCES} largest are kept"
        warnings.warn(note, LayoutWarning, stacklevel=4)
    return layout.with_instances(instances_from_coco(record, largest(annos)))


def _instance(anno: dict, place: Box | Point | None, size: tuple[int, int], field: str) -> Instance:
    caption = text(anno, "caption", field) or anno["category_name"]
    return read_instance({**anno, "caption": caption, "mask": anno.get("segmentation")}, place, size, field)


def area_px(anno: dict) -> float:
    """The area as stated, else that of the box, in square pixels."""
    if anno.get("area") is not None:
        return number(anno["area"], "area")
    box = [number(value, "bbox") for value in sequence(anno.get("bbox") or [], "bbox")]
    return box[2] * box[3] if len(box) == 4 else 0.0


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
        record["area"] = int(mask.array.sum())
        record["segmentation"] = {"size": list(mask.size), "counts": mask.counts}
    return {**record, "caption": instance.caption, **drawn_places(instance, size)}


def fitted_mask(mask: Mask, size: tuple[int, int]) -> Mask:
    """The mask at (width, height) pixels, as COCO wants it; each pixel takes the value under its centre."""
    width, height = size
    if mask.size == (height, width):
        return mask
    rows = ((np.arange(height) + 0.5) * mask.size[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * mask.size[1] / width).astype(int)
    return Mask.from_array(mask.array[np.ix_(rows, columns)])
