"""Boxes and detections as other libraries hold them -> layouts. None of those libraries is imported."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from instdiff.errors import BadInput
from instdiff.formats.boxes import BoxFormatWarning, LayoutWarning
from instdiff.formats.coco_records import canvas_size
from instdiff.formats.fields import whole
from instdiff.formats.fractions import SLACK
from instdiff.layout import MAX_INSTANCES, Instance, Layout, Mask
from instdiff.world.nouns import ARTICLES, number_word, plural_of, with_article

BOX_FORMATS = ("xyxy", "xywh", "cxcywh")
TOLERANCE_PX = 1.0  # boxes that were rounded outwards reach this far past the border; they are cut in silence
MASK_THRESHOLD = 0.5  # of masks that are probabilities

Names = Mapping[int, str] | Sequence[str] | None


class Found(NamedTuple):
    """What a detector has found on one picture.

    Args:
        boxes: (N, 4) float, corners in pixels, or as fractions.
        labels: N of them, words or numbers.
        scores: (N,) float; None where it gives none.
        masks: (N, H, W) or (N, 1, H, W), of the whole picture; None where it gives none.
    """

    boxes: np.ndarray
    labels: list
    scores: np.ndarray | None
    masks: Any


def layout_of_boxes(
    boxes: Any,
    labels: Iterable[str],
    size: Sequence[int],
    captions: Sequence[str] | None,
    caption: str | None,
    box_format: str,
    normalized: bool | None,
) -> Layout:
    """See `instdiff.layout.Layout.from_boxes`."""
    if box_format not in BOX_FORMATS:
        raise BadInput("box_format", f"{box_format!r} is unknown; say {', '.join(BOX_FORMATS)}")
    picture = _size(size)
    corners = _corners(_numbers(boxes, "boxes"), box_format)
    names = _labels(labels, len(corners), "labels", None)
    if isinstance(captions, str):
        raise BadInput("captions", "is one text; captions are one for each box, caption= is that of the picture")
    phrases = names if captions is None else _labels(captions, len(corners), "captions", None)
    if len(corners) > MAX_INSTANCES:
        raise BadInput("boxes", f"{len(corners)} boxes; the model has room for {MAX_INSTANCES}")
    if normalized is None and (normalized := _are_fractions(corners)):
        reason = "all boxes lie within 0..1 and are read as fractions of the picture"
        warnings.warn(f"{reason}; say normalized=True, or False for pixels", BoxFormatWarning, stacklevel=3)
    if normalized:
        corners = corners * np.array(picture * 2)
    instances = []
    for index, xyxy in enumerate(corners):
        field = f'boxes[{index}] "{names[index][:40]}"'
        _check_inside(xyxy, picture, field, box_format)
        instances.append(_instance(xyxy, picture, {"caption": phrases[index], "category": names[index]}, field))
    return _layout(instances, picture, caption)


def layout_of_detections(detections: Any, size: Sequence[int], names: Names, caption: str | None) -> Layout:
    """See `instdiff.layout.Layout.from_detections`."""
    picture = _size(size)
    found = read_detections(detections)
    corners = found.boxes
    if _are_fractions(corners):  # what transformers gives where it is not told the size
        corners = corners * np.array(picture * 2)
    labels = _labels(found.labels, len(corners), "labels", names)
    kept = _usable(corners, labels, picture)
    if len(kept) > MAX_INSTANCES:
        kept = _best(kept, found.scores, corners)
    instances = []
    for index in kept:
        parts: dict[str, object] = {"caption": labels[index], "category": labels[index]}
        if found.masks is not None:
            parts["mask"] = _mask(found.masks[index], picture, f"masks[{index}]")
        instances.append(_instance(corners[index], picture, parts, f'detections[{index}] "{labels[index][:40]}"'))
    return _layout(instances, picture, caption)


def read_detections(detections: Any) -> Found:
    """The parts of supervision's object, or of the dict of torchvision or transformers, told apart by their names."""
    if isinstance(detections, Mapping):
        parts = dict(detections)
        if parts.get("text_labels") is not None:
            parts["labels"] = parts["text_labels"]
    elif hasattr(detections, "xyxy") and hasattr(detections, "class_id"):
        words = (getattr(detections, "data", None) or {}).get("class_name")
        labels = detections.class_id if words is None else words
        parts = {"boxes": detections.xyxy, "labels": labels, "scores": detections.confidence, "masks": detections.mask}
    elif isinstance(detections, list | tuple):
        raise BadInput("detections", f"is a list of {len(detections)}; give those of one picture, such as results[0]")
    else:
        known = "supervision.Detections, or a dict of torchvision or transformers"
        raise BadInput("detections", f"is {type(detections).__name__}; give {known}")
    if parts.get("boxes") is None or parts.get("labels") is None:
        what = "boxes" if parts.get("boxes") is None else "labels"
        raise BadInput("detections", f"has no {what}; it has {', '.join(map(str, parts)) or 'nothing'}")
    boxes = _corners(_numbers(parts["boxes"], "boxes"), "xyxy")
    scores = None if parts.get("scores") is None else _numbers(parts["scores"], "scores")
    masks = parts.get("masks")
    for field, values in (("scores", scores), ("masks", masks)):
        if values is not None and len(values) != len(boxes):
            raise BadInput(field, f"{len(values)} of them for {len(boxes)} boxes")
    return Found(boxes, parts["labels"], scores, masks)


def _size(size: Sequence[int]) -> tuple[int, int]:
    """(width, height) of the picture."""
    sides = _plain(size)
    if not isinstance(sides, list | tuple) or len(sides) != 2:
        raise BadInput("size", f"must be (width, height) in pixels, not {size!r}")
    width, height = (whole(side, "size") for side in sides)
    if min(width, height) < 1:
        raise BadInput("size", f"must be (width, height) in pixels, not {width}, {height}")
    return width, height


def _plain(value: Any) -> Any:
    """Arrays and tensors, of any device and precision, as lists and numbers; the rest as it is."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _numbers(value: Any, field: str) -> np.ndarray:
    """Finite numbers in an array of floats."""
    try:
        numbers = np.asarray(_plain(value), dtype=float)
    except (TypeError, ValueError):
        numbers = None
    if numbers is None:
        raise BadInput(field, "must be an array, a tensor or lists of numbers, as many in each row")
    if not np.isfinite(numbers).all():
        raise BadInput(field, "holds NaN or infinity")
    return numbers


def _corners(boxes: np.ndarray, box_format: str) -> np.ndarray:
    """(N, 4) boxes of a format -> x0, y0, x1, y1."""
    if boxes.size == 0:
        return np.zeros((0, 4))
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise BadInput("boxes", f"has the shape {boxes.shape}; give (N, 4), four numbers for each box")
    first, second = boxes[:, :2], boxes[:, 2:]
    if box_format == "cxcywh":
        first = first - second / 2
    return np.concatenate([first, second if box_format == "xyxy" else first + second], axis=1)


def _are_fractions(corners: np.ndarray) -> bool:
    """True where all numbers lie within 0..1, and some are not whole."""
    return bool(
        corners.size and corners.min() >= -SLACK and corners.max() <= 1 + SLACK and (corners != corners.round()).any()
    )


def _labels(values: Any, count: int, field: str, names: Names) -> list[str]:
    """A word for each box; numbers are looked up in ``names``."""
    if isinstance(values, str):
        raise BadInput(field, f"is one text; give a list of {count}")
    labels = _plain(values)
    labels = list(labels) if isinstance(labels, Iterable) else [labels]
    if len(labels) != count:
        raise BadInput(field, f"{len(labels)} of them for {count} boxes")
    return [
        label.strip() if isinstance(label, str) else _name(label, f"{field}[{i}]", names)
        for i, label in enumerate(labels)
    ]


def _name(label: Any, field: str, names: Names) -> str:
    number = whole(label, field)
    if names is None:
        cure = 'names=model.config.id2label, weights.meta["categories"] or a list of names'
        raise BadInput(field, f"is the number {number}; give words, or detections with {cure}")
    if isinstance(names, Mapping):
        name = names.get(number)
    else:
        name = names[number] if 0 <= number < len(names) else None
    if not isinstance(name, str):
        raise BadInput("names", f"has no name for class {number}; it has {len(names)} names")
    return name.strip()


def _check_inside(corners: np.ndarray, size: tuple[int, int], field: str, box_format: str) -> None:
    """Refuse a box without area or beyond the border: most likely it is of another format."""
    x0, y0, x1, y1 = corners.tolist()
    cure = f"boxes are read as {box_format}; if they are another format, say box_format={' or '.join(BOX_FORMATS)}"
    for low, high, first, last, side in (("x0", "x1", x0, x1, size[0]), ("y0", "y1", y0, y1, size[1])):
        if last <= first:
            raise BadInput(field, f"{high} = {last:g} is not above {low} = {first:g}; {cure}")
        if last > side + TOLERANCE_PX or first < -TOLERANCE_PX:
            name, value = (high, last) if last > side + TOLERANCE_PX else (low, first)
            raise BadInput(field, f"{name} = {value:g} is off the picture, 0..{side}; {cure}")


def _usable(corners: np.ndarray, labels: list[str], size: tuple[int, int]) -> list[int]:
    """The detections that have a label, and some area on the picture; what is left out or cut is said."""
    cut = np.clip(corners, 0, np.array(size * 2))
    has_area = (cut[:, 2] > cut[:, 0]) & (cut[:, 3] > cut[:, 1])
    over = (np.abs(cut - corners) > TOLERANCE_PX).any(axis=1)
    kept = [index for index in range(len(corners)) if has_area[index] and labels[index]]
    if over.any():
        picture = f"the {size[0]} x {size[1]} picture, given as (width, height)"
        _note(f"{over.sum()} of {len(corners)} boxes are cut at the border of {picture}")
    if len(kept) < len(corners):
        _note(f"{len(corners) - len(kept)} of {len(corners)} detections have no area or no label and are left out")
    return kept


def _best(kept: list[int], scores: np.ndarray | None, corners: np.ndarray) -> list[int]:
    """As many as a layout holds, in their order: those with the best scores, or the largest where there are none."""
    areas = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
    worth = areas if scores is None else scores
    best = sorted(kept, key=lambda index: -worth[index])[:MAX_INSTANCES]
    which = "largest are kept" if scores is None else f"best are kept, with scores from {worth[best[-1]]:.2f} on"
    _note(f"{len(kept)} detections; the {MAX_INSTANCES} {which}")
    return sorted(best)


def _note(text: str) -> None:
    warnings.warn(text, LayoutWarning, stacklevel=5)


def _mask(mask: Any, size: tuple[int, int], field: str) -> Mask | None:
    """(H, W) or (1, H, W), of the picture's size; None if nothing is in it."""
    if hasattr(mask, "detach"):
        mask = mask.detach().cpu()
        mask = (mask > MASK_THRESHOLD if mask.is_floating_point() else mask > 0).numpy()
    array = np.asarray(mask)
    array = array > (MASK_THRESHOLD if array.dtype.kind == "f" else 0)
    array = array[0] if array.ndim == 3 and len(array) == 1 else array
    if array.shape != (size[1], size[0]):
        raise BadInput(
            field, f"has the shape {array.shape}; a mask is (height, width) of the picture, {size[1]}, {size[0]}"
        )
    return Mask.from_array(array) if array.any() else None


def _instance(corners: np.ndarray, size: tuple[int, int], parts: dict, field: str) -> Instance:
    x0, y0, x1, y1 = np.clip(corners / np.array(size * 2), 0, 1).tolist()
    return Instance.parse({**parts, "box": {"x0": x0, "y0": y0, "x1": x1, "y1": y1}}, field)


def _layout(instances: list[Instance], size: tuple[int, int], caption: str | None) -> Layout:
    width, height = canvas_size(size)
    words = caption_of([instance.caption for instance in instances]) if caption is None else caption
    return Layout.parse({"width": width, "height": height, "caption": words, "instances": instances})


def caption_of(phrases: Sequence[str]) -> str:
    """What is on a picture, in words: ``["dog", "cat", "cat"]`` -> "a dog and two cats"."""
    groups = []
    for phrase in dict.fromkeys(phrases):
        number = phrases.count(phrase)
        first, _, rest = phrase.partition(" ")
        has_article = first.lower() in ARTICLES
        if number > 1:
            groups.append(f"{number_word(number)} {plural_of(rest if has_article else phrase)}")
        else:
            groups.append(phrase if has_article else with_article(phrase))
    return " and ".join(filter(None, [", ".join(groups[:-1]), *groups[-1:]]))
