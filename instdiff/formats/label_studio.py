"""Label Studio's JSON, full and JSON-MIN: tasks with the regions that somebody drew on their picture, in percent."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import quoteattr

from instdiff.errors import BadInput
from instdiff.formats.brush import decode_brush, encode_brush
from instdiff.formats.fields import numbers_in, sequence
from instdiff.formats.outlines import turn
from instdiff.formats.parts import caption_beside, label_of, parts_of
from instdiff.formats.pictures import Findings, NamedLayout, Picture, Size, base_name, named, read_size
from instdiff.formats.places import box_place, ellipse_place, line_place, mask_place, pairs_in, ring_place
from instdiff.layout import Instance, Layout

OTHER_ANNOTATORS = "annotations of further annotators left out, as the first of each picture counts"
PREDICTIONS = "pictures with predictions alone, which are taken"
NO_PERCENT = "regions left out, as they lie off the picture: Label Studio counts in percent"
MOST_PERCENT = 110.0  # what lies farther is in another unit; what is off the picture by less is cut
ON_TURNED = "regions left out, as they were drawn on a turned picture"
# The key of a region that tells its kind, whatever control drew it.
KINDS = {"rle": "brush", "points": "polygon", "vertices": "polygon", "radiusX": "ellipse", "x": "rectangle"}
SIZES = ("original_width", "original_height")
CONTROLS = {"box": "RectangleLabels", "mask": "BrushLabels", "line": "PolygonLabels", "point": "KeyPointLabels"}
POINT_WIDTH = 0.5  # percent of the picture, as points are shown


class Region(NamedTuple):
    """What a task says of one region: all results of one id together."""

    kind: str
    value: dict
    size: Size
    label: str
    caption: str
    group: object


def is_task(data: object) -> bool:
    """Whether this is a task of the full JSON or of JSON-MIN, or one annotation with its task, as storages get them."""
    if not isinstance(data, dict):
        return False
    if isinstance(data.get("task"), dict):
        return isinstance(data.get("result"), list)
    is_full = isinstance(data.get("data"), dict) and any(key in data for key in ("annotations", "completions", "id"))
    return is_full or ("annotation_id" in data and "annotator" in data) or any(_regions_of_min(data))


def read(data: list | dict, source: str, findings: Findings) -> list[Picture]:
    """The pictures of a file, with the regions of the first annotation that was not cancelled.

    Texts of a region (``meta.text``, or a text area for each region) are its caption.

    Raises:
        BadInput: all regions are as small as fractions of the picture are where percents are meant.
    """
    tasks = data if isinstance(data, list) else [data]
    numbered = enumerate(tasks, 1)
    pictures = [_read_task(task, f"task {index}", findings) for index, task in numbered if isinstance(task, dict)]
    _refuse_fractions(pictures, source)
    return pictures


def _refuse_fractions(pictures: Iterable[Picture], source: str) -> None:
    """Raise BadInput where all regions lie within one percent of the corner."""
    ends = [
        max((box[0] + box[2]) / picture.size[0], (box[1] + box[3]) / picture.size[1])
        for picture in pictures
        for box in (shape.get("bbox") or shape.get("around") for shape in picture.shapes)
        if picture.size and box
    ]
    if ends and max(ends) <= 0.01:
        raise BadInput(source, f"all {len(ends)} regions lie within 0..1, and Label Studio counts in percent")


def _read_task(task: dict, where: str, findings: Findings) -> Picture:
    if isinstance(task.get("task"), dict):
        task = {**task["task"], "annotations": [task]}
    data = task["data"] if isinstance(task.get("data"), dict) else task
    words = {key: data[key] for key in ("caption", "negative_caption") if isinstance(data.get(key), str)}
    picture = Picture(_picture_name(data) or str(task.get("id", where)), None, **words)
    results = _results(task, where, findings)
    regions: dict[object, list[dict]] = {}
    for index, result in enumerate(results):
        if isinstance(result, dict):
            own = result.get("id")
            regions.setdefault(own if isinstance(own, str | int) else index, []).append(result)
    for index, parts in enumerate(regions.values(), start=1):
        _read_region(parts, f"{where}, region {index}", picture, findings)
    return picture


def _picture_name(data: dict) -> str:
    """The file name of a task's picture, which stands under any key, as an address or a path of many kinds."""
    for key in sorted((key for key in data if isinstance(data[key], str)), key=lambda key: key not in ("image", "img")):
        value = data[key]
        if re.match(r"(https?|s3|gs|azure-blob):|[/\\]", value) or re.search(r"\.\w{2,5}$", value):
            try:
                address = urlsplit(value)
                local = parse_qs(address.query).get("d") or parse_qs(address.query).get("path")
            except ValueError:
                return base_name(value)
            return base_name(local[0] if local else unquote(address.path)) or value
    return ""


def _results(task: dict, where: str, findings: Findings) -> list:
    """The results of the annotation that counts."""
    written = task.get("annotations", task.get("completions"))
    made = [one for one in written if isinstance(one, dict)] if isinstance(written, list) else []
    kept = [one for one in made if not one.get("was_cancelled") and not one.get("skipped")]
    kept.sort(key=lambda one: not one.get("ground_truth"))
    if len(kept) > 1:
        findings.add(OTHER_ANNOTATORS, where, len(kept) - 1)
    predictions = task.get("predictions")
    if not made and isinstance(predictions, list) and predictions and isinstance(predictions[-1], dict):
        findings.add(PREDICTIONS, where)
        kept = [predictions[-1]]
    if kept:
        return sequence(kept[0].get("result") or [], f"{where}.result")
    return list(_regions_of_min(task))


def _regions_of_min(task: dict) -> Iterable[dict]:
    """The regions of JSON-MIN as results: they stand under the names of their controls."""
    for regions in task.values():
        for value in regions if isinstance(regions, list) else ():
            if not isinstance(value, dict):
                continue
            label_key = next((key for key in value if key.endswith("labels")), None)
            if label_key and "original_width" in value:
                yield {"type": label_key, "value": value, **{key: value.get(key) for key in SIZES}}


def _read_region(parts: list[dict], where: str, picture: Picture, findings: Findings) -> None:
    """Add a region to the picture; texts that are of no region are the picture's caption."""
    region = _joined(parts)
    if isinstance(region, str):
        picture.caption = picture.caption or region
        return
    if region is None:
        return
    if picture.size is None:
        picture.size = region.size
    is_turned = any(part.get("image_rotation") for part in parts) or region.size != picture.size
    if region.label and is_turned:
        return findings.leave_out(ON_TURNED, where)
    if region.label and _is_beyond(region):
        return findings.leave_out(NO_PERCENT, where)
    words = region.kind, region.caption, region.group
    picture.add(findings, where, region.label, lambda: _place(region.kind, region.value, region.size), *words)


def _joined(parts: list[dict]) -> Region | str | None:
    """The results of one region; a text where they are of none; None where they say nothing of the picture."""
    drawn = None
    label = ""
    texts: list[str] = []
    group = None
    for part in parts:
        value = part["value"] if isinstance(part.get("value"), dict) else {}
        size = _size(part)
        kind = next((kind for key, kind in KINDS.items() if key in value), "")
        if drawn is None and size and kind:
            is_point = str(part.get("type")).startswith("keypoint")
            drawn = "keypoint" if is_point else kind, value, size
        labels = next((value[key] for key in value if key.endswith("labels")), None)
        if isinstance(labels, list) and labels:
            label = label or named(labels[0]) or ""
        meta = part["meta"] if isinstance(part.get("meta"), dict) else {}
        group = meta.get("group", group)
        said = value.get("text") if part.get("type") == "textarea" else meta.get("text")
        texts += [text for text in (said if isinstance(said, list) else [said]) if isinstance(text, str) and text]
    if drawn:
        return Region(*drawn, label, " ".join(texts), group if isinstance(group, int | str) else None)
    return " ".join(texts) if texts else None


def _size(part: dict) -> Size | None:
    width, height = (part.get(key) for key in SIZES)
    return read_size(width, height)


def _is_beyond(region: Region) -> bool:
    """Whether a rectangle ends so far off the picture that it must be in pixels."""
    if region.kind != "rectangle" or region.value.get("rotation"):
        return False
    try:
        x, y, width, height = numbers_in([region.value.get(key) for key in ("x", "y", "width", "height")])
    except ValueError:
        return False  # which is said where its place is read
    return max(x + width, y + height) > MOST_PERCENT


def _place(kind: str, value: dict, size: Size) -> dict:
    """Where a region is."""
    across, down = size[0] / 100, size[1] / 100
    if kind == "brush":
        return mask_place(decode_brush(value.get("rle"), size), 0, 0, size)
    if kind == "polygon":
        written = value.get("points", value.get("vertices"))
        if isinstance(written, list) and written and isinstance(written[0], dict):
            written = [[point.get("x"), point.get("y")] for point in written if isinstance(point, dict)]
        points = [[x * across, y * down] for x, y in pairs_in(written)]
        return line_place(points) if value.get("closed") is False else ring_place(points)
    x, y, degrees = numbers_in([value.get("x"), value.get("y"), value.get("rotation") or 0])
    if kind == "keypoint":
        return line_place([[x * across, y * down]])
    if kind == "ellipse":
        rx, ry = numbers_in([value.get("radiusX"), value.get("radiusY")])
        return ellipse_place(x * across, y * down, rx * across, ry * down, degrees)
    width, height = numbers_in([value.get("width"), value.get("height")])
    left, top, right, bottom = x * across, y * down, (x + width) * across, (y + height) * down
    if degrees % 360 == 0:
        return box_place(left, top, right, bottom)
    corners = [[left, top], [right, top], [right, bottom], [left, bottom]]
    return ring_place(turn(corners, (left, top), degrees))  # about the first corner


def write(layouts: Iterable[NamedLayout], prefix: str = "/data/local-files/?d=") -> list[dict]:
    """Tasks to import, with one annotation each; `config` is the labelling interface that shows them.

    Args:
        prefix: what stands before the names of pictures to make addresses that Label Studio can open.
    """
    return list(write_tasks(layouts, prefix))


def write_tasks(layouts: Iterable[NamedLayout], prefix: str = "/data/local-files/?d=") -> Iterator[dict]:
    """The tasks of `write`, one at a time."""
    for number, (name, layout) in enumerate(layouts, start=1):
        yield _task(number, prefix + name, layout)


def config(layouts: Iterable[NamedLayout]) -> str:
    """The labelling interface for what `write` gives, with the controls that it needs and no other.

    Key points have an order there, without which Label Studio refuses to export COCO; and it exports no names of other
    things beside them.
    """
    labels: set[str] = set()
    drawn: set[str] = set()  # names of controls
    for _, layout in layouts:
        for instance in layout.instances:
            labels.add(label_of(instance))
            drawn |= {name for name, part in parts_of(instance, layout.size)._asdict().items() if part is not None}
    values = [f"    <Label value={quoteattr(label)}" for label in sorted(labels)]
    lines = ["<View>", '  <Image name="image" value="$image"/>']
    for name, tag in CONTROLS.items():
        if name in drawn:
            order = [f' model_index="{index}"' if name == "point" else "" for index in range(len(values))]
            lines.append(f'  <{tag} name="{name}" toName="image">')
            lines += [f"{value}{place}/>" for value, place in zip(values, order, strict=True)]
            lines.append(f"  </{tag}>")
    return "\n".join([*lines, "</View>", ""])


def _task(number: int, address: str, layout: Layout) -> dict:
    data = {"image": address, "caption": layout.caption}
    data |= {"negative_caption": layout.negative_caption} if layout.negative_caption else {}
    results = [
        result
        for index, instance in enumerate(layout.instances, 1)
        for result in _regions(instance, layout.size, index)
    ]
    for index, result in enumerate(results):
        result["id"] = uuid.uuid5(uuid.NAMESPACE_URL, f"{address} {index}").hex[:10]  # the same each time
    return {"id": number, "data": data, "annotations": [{"id": number, "result": results, "ground_truth": False}]}


def _regions(instance: Instance, size: Size, number: int) -> list[dict]:
    width, height = size
    box, mask, line, point = parts = parts_of(instance, size)
    drawn: list[tuple[str, dict]] = []
    if box:
        x0, y0, x1, y1 = box[0] / width, box[1] / height, box[2] / width, box[3] / height
        place = {"x": 100 * x0, "y": 100 * y0, "width": 100 * (x1 - x0), "height": 100 * (y1 - y0), "rotation": 0}
        drawn.append(("box", place))
    if mask is not None:
        drawn.append(("mask", {"format": "rle", "rle": encode_brush(mask)}))
    if line:
        points = [[100 * x / width, 100 * y / height] for x, y in line]
        drawn.append(("line", {"points": points, "closed": False}))
    if point:
        drawn.append(("point", {"x": 100 * point[0] / width, "y": 100 * point[1] / height, "width": POINT_WIDTH}))
    caption = caption_beside(instance)
    meta: dict = {"text": [caption]} if caption else {}
    meta |= {"group": number} if parts.are_several else {}
    return [_result(name, place, label_of(instance), size, meta) for name, place in drawn]


def _result(name: str, place: dict, label: str, size: Size, meta: dict) -> dict:
    kind = CONTROLS[name].lower()
    frame = {"original_width": size[0], "original_height": size[1], "image_rotation": 0}
    result = {"from_name": name, "to_name": "image", "type": kind, "value": {**place, kind: [label]}, **frame}
    return {**result, "origin": "manual", **({"meta": meta} if meta else {})}
