"""Datumaro's JSON: items with annotations of many types, their labels by number."""

from __future__ import annotations

from collections.abc import Iterable

from instdiff import rle
from instdiff.formats.coco_records import canvas_size
from instdiff.formats.fields import mapping, numbers_in, sequence
from instdiff.formats.outlines import read_outline
from instdiff.formats.parts import caption_beside, label_of, labels_of, parts_of
from instdiff.formats.pictures import (
    NO_PLACE,
    NO_SHAPE,
    Findings,
    NamedLayout,
    Picture,
    Size,
    base_name,
    named,
    read_size,
)
from instdiff.formats.places import box_place, ellipse_place, line_place, pairs_in, ring_place
from instdiff.layout import Instance, Layout

VERSION = "1.0"


def read(data: dict, source: str, findings: Findings) -> list[Picture]:
    """The pictures of a file; an annotation's attribute ``caption`` is its caption, shapes of one group are one thing.

    Raises:
        BadInput: there are no items.
    """
    names = _labels(data.get("categories"))
    items = sequence(data.get("items"), f"{source}.items")
    return [_read_item(mapping(item, f"items[{index}]"), index, names, findings) for index, item in enumerate(items)]


def _labels(categories: object) -> list[str]:
    """Names of labels by their numbers; empty where one has none."""
    table = categories.get("label") if isinstance(categories, dict) else None
    labels = table.get("labels") if isinstance(table, dict) else None
    found = labels if isinstance(labels, list) else []
    return [named(label.get("name") if isinstance(label, dict) else label) or "" for label in found]


def _read_item(item: dict, index: int, names: list[str], findings: Findings) -> Picture:
    image = item["image"] if isinstance(item.get("image"), dict) else {}
    path = image.get("path")
    own = str(item.get("id", index))
    picture = Picture(base_name(path) if isinstance(path, str) and path else own, _size(image.get("size")))
    annotations = item.get("annotations")
    for number, annotation in enumerate(annotations if isinstance(annotations, list) else []):
        if isinstance(annotation, dict):
            _read_annotation(annotation, f"{own[:80]}, annotation {number}", picture, names, findings)
        else:
            findings.leave_out(NO_SHAPE, f"{own[:80]}, annotation {number}")
    return picture


def _size(value: object) -> Size | None:
    """``[height, width]`` -> width, height."""
    return read_size(*value[::-1]) if isinstance(value, list) and len(value) == 2 else None


def _read_annotation(anno: dict, where: str, picture: Picture, names: list[str], findings: Findings) -> None:
    kind = anno.get("type")
    if kind == "caption":
        words = anno.get("caption")
        if isinstance(words, str):
            picture.caption = picture.caption or words
        return
    if kind == "label":
        return findings.add(NO_PLACE, where)
    number = anno.get("label_id")
    label = names[number] if isinstance(number, int) and 0 <= number < len(names) else ""
    attributes = anno["attributes"] if isinstance(anno.get("attributes"), dict) else {}
    words = kind, attributes.get("caption"), anno.get("group") or None
    return picture.add(findings, where, label, lambda: _place(kind, anno, picture.size), *words)


def _place(kind: object, anno: dict, size: Size | None) -> dict | None:
    """Where an annotation is; None if its type is not read."""
    if kind == "bbox":
        x, y, width, height = _exactly(anno.get("bbox"), 4)
        return box_place(x, y, x + width, y + height)
    if kind == "rotated_bbox":
        x, y, width, height, degrees = _exactly(anno.get("points"), 5)
        return box_place(x - width / 2, y - height / 2, x + width / 2, y + height / 2, degrees)
    if kind == "ellipse":
        x0, y0, x1, y1 = _exactly(anno.get("points"), 4)
        return ellipse_place((x0 + x1) / 2, (y0 + y1) / 2, abs(x1 - x0) / 2, abs(y1 - y0) / 2)
    if kind == "polygon":
        return ring_place(pairs_in(anno.get("points")))
    if kind in ("polyline", "points"):
        return line_place(pairs_in(anno.get("points")))
    if kind == "mask" and size:
        return _mask(anno.get("rle"), size)
    return None


def _exactly(value: object, count: int) -> list[float]:
    numbers = numbers_in(value)
    if len(numbers) != count:
        raise ValueError("too few numbers, or too many")
    return numbers


def _mask(runs: object, size: Size) -> dict:
    """Run lengths as COCO has them."""
    outline = read_outline(runs if isinstance(runs, dict) else {}, size, canvas_size(size))
    bounds = outline.bounds(size)
    if bounds is None:
        raise ValueError("no mask")
    return {"around": box_place(*bounds)["bbox"], "segmentation": outline.runs}


def write(layouts: Iterable[NamedLayout]) -> dict:
    """The file of many pictures; captions of pictures are annotations of type ``caption``."""
    layouts = list(layouts)
    labels = labels_of(layouts)
    numbers = {label: number for number, label in enumerate(labels)}
    named_labels = [{"name": label, "parent": "", "attributes": ["caption"]} for label in labels]
    items = [_item(name, layout, numbers) for name, layout in layouts]
    return {
        "dm_format_version": VERSION,
        "media_type": 2,  # an image
        "infos": {},
        "categories": {"label": {"labels": named_labels, "label_groups": [], "attributes": []}},
        "items": items,
    }


def _item(name: str, layout: Layout, numbers: dict[str, int]) -> dict:
    annotations = [
        annotation
        for group, instance in enumerate(layout.instances, start=1)
        for annotation in _annotations(instance, layout.size, group, numbers[label_of(instance)])
    ]
    if layout.caption:
        annotations.append({"type": "caption", "attributes": {}, "group": 0, "caption": layout.caption})
    annotations = [{"id": index, **annotation} for index, annotation in enumerate(annotations)]
    image = {"path": name, "size": [layout.height, layout.width]}
    return {"id": name.rpartition(".")[0] or name, "annotations": annotations, "image": image}


def _annotations(instance: Instance, size: Size, group: int, label: int) -> list[dict]:
    box, mask, line, point = parts = parts_of(instance, size)
    caption = caption_beside(instance)
    common = {"attributes": {"caption": caption} if caption else {}, "label_id": label, "z_order": 0}
    common["group"] = group if parts.are_several else 0
    drawn: list[dict] = []
    if box:
        drawn.append({"type": "bbox", "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]]})
    if mask is not None:
        counts = rle.counts_to_string(rle.encode(mask))
        drawn.append({"type": "mask", "rle": {"counts": counts, "size": list(mask.shape)}})
    if line:
        drawn.append({"type": "polyline", "points": [value for xy in line for value in xy]})
    if point:
        drawn.append({"type": "points", "points": point, "visibility": [2]})
    return [{**common, **shape} for shape in drawn]
