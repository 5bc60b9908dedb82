"""FiftyOne's exports: ``samples.json`` of a whole dataset, and ``labels.json`` of boxes alone; all as fractions."""

from __future__ import annotations

import io
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from instdiff.formats.fields import mapping, numbers_in, sequence
from instdiff.formats.parts import caption_beside, crop_to_mask, label_of, parts_of
from instdiff.formats.pictures import (
    ASSUMED,
    ASSUMED_SIZE,
    NO_MASK,
    Findings,
    NamedLayout,
    Picture,
    Size,
    base_name,
    named,
    read_size,
    size_beside,
)
from instdiff.formats.places import MAX_MASK_PIXELS, box_place, line_place, mask_place, pairs_in, ring_place
from instdiff.layout import Instance, Layout

TRUTH = "ground_truth"
DATA = "data"  # the folder of the pictures
MAX_HEAD = 1024  # bytes before the numbers of an array
OTHER_FIELDS = "fields of labels left out, as one of their kind counts"


def is_export(data: object) -> bool:
    """Whether this is one of the two."""
    if not isinstance(data, dict):
        return False
    return isinstance(data.get("samples"), list) or (isinstance(data.get("labels"), dict) and "classes" in data)


def read(data: dict, path: Path, findings: Findings) -> list[Picture]:
    """The pictures of an export: detections, polylines and key points of their field ``ground_truth``, else the first.

    Raises:
        BadInput: there are no samples.
    """
    if "samples" not in data:
        return _read_labels(data, path, findings)
    samples = sequence(data["samples"], f"{path}.samples")
    return [_read_sample(mapping(one, f"samples[{index}]"), index, path, findings) for index, one in enumerate(samples)]


def _read_labels(data: dict, path: Path, findings: Findings) -> list[Picture]:
    """``{"classes": [...], "labels": {name of a picture without its ending: [{"label", "bounding_box"}]}}``"""
    classes = data["classes"] if isinstance(data.get("classes"), list) else []
    endings = {picture.stem: picture.name for picture in sorted((path.parent / DATA).glob("*.*"))}
    pictures = []
    for own, found in mapping(data["labels"], "labels").items():
        picture = Picture(endings.get(own, own), _size(endings.get(own, own), None, path, findings))
        for index, one in enumerate(found if isinstance(found, list) else []):
            number = one.get("label") if isinstance(one, dict) else None
            if isinstance(number, int) and 0 <= number < len(classes):
                one = {**one, "label": classes[number]}
            _read_label(one, f"{own[:80]}, label {index}", picture, findings)
        pictures.append(picture)
    return pictures


def _read_sample(sample: dict, index: int, path: Path, findings: Findings) -> Picture:
    written = sample.get("filepath")
    file = written if isinstance(written, str) and written else f"sample {index}"
    metadata = sample["metadata"] if isinstance(sample.get("metadata"), dict) else {}
    captions = {key: sample[key] for key in ("caption", "negative_caption") if isinstance(sample.get(key), str)}
    picture = Picture(base_name(file), _size(file, metadata, path, findings), **captions)
    for kind, labels in (("Detections", "detections"), ("Polylines", "polylines"), ("Keypoints", "keypoints")):
        fields = [key for key, value in sample.items() if isinstance(value, dict) and value.get("_cls") == kind]
        fields.sort(key=lambda key: not key.startswith(TRUTH))
        if len(fields) > 1:
            findings.add(OTHER_FIELDS, ", ".join(field[:40] for field in fields[1:4]), len(fields) - 1)
        found = sample[fields[0]].get(labels) if fields else None
        for number, label in enumerate(found if isinstance(found, list) else []):
            _read_label(label, f"{picture.name[:80]}, {labels}[{number}]", picture, findings)
    return picture


def _size(file: str, metadata: dict | None, path: Path, findings: Findings) -> Size:
    if metadata and (stated := read_size(metadata.get("width"), metadata.get("height"))):
        return stated
    size = size_beside(path.parent, file) or size_beside(path.parent / DATA, base_name(file))
    if size is None:
        findings.add(ASSUMED_SIZE, base_name(file)[:80])
    return size or ASSUMED


def _read_label(one: object, where: str, picture: Picture, findings: Findings) -> None:
    label = one if isinstance(one, dict) else {}
    size = picture.size or ASSUMED

    def place() -> dict:
        found = _place(label, size)
        if label.get("mask"):
            try:
                return {**_read_mask(label["mask"], found["bbox"], size), "around": found["bbox"]}
            except (ValueError, KeyError):
                findings.add(NO_MASK, where)
        return found

    picture.add(findings, where, named(label.get("label")), place, "", label.get("caption"), label.get("group"))


def _place(one: dict, size: Size) -> dict:
    width, height = size
    if "bounding_box" in one:
        x, y, across, down = numbers_in(one["bounding_box"])
        return box_place(x * width, y * height, (x + across) * width, (y + down) * height)
    written = one.get("points")
    is_key_points = one.get("_cls") == "Keypoint"
    rings = [written] if is_key_points else written if isinstance(written, list) else []
    paths = [[[x * width, y * height] for x, y in pairs_in(ring)] for ring in rings]
    if not paths:
        raise ValueError("no points")
    if is_key_points or not (one.get("closed") or one.get("filled")):
        return line_place(paths[0])
    parts = [ring_place(path) for path in paths]
    outer = ring_place([point for path in paths for point in path])
    return {"around": outer["around"], "segmentation": [part["segmentation"][0] for part in parts]}


def _read_mask(value: object, bbox: list[float], size: Size) -> dict:
    """An array over the box, compressed: base64, or as MongoDB writes it, ``{"$binary": {"base64": ...}}``."""
    binary = value.get("$binary") if isinstance(value, dict) else value
    text = binary.get("base64") if isinstance(binary, dict) else binary
    try:
        array = _load_array(b64decode(text)) if isinstance(text, str) else np.array(value)
    except Exception as error:  # of any kind, where bytes are not what they should be
        raise ValueError("no mask") from error
    if array.ndim != 2 or not array.size or array.dtype.kind not in "biuf":
        raise ValueError("no mask")
    left, top = round(bbox[0]), round(bbox[1])
    across, down = max(round(bbox[0] + bbox[2]) - left, 1), max(round(bbox[1] + bbox[3]) - top, 1)
    if across * down > MAX_MASK_PIXELS:
        raise ValueError("too large")
    rows = ((np.arange(down) + 0.5) * array.shape[0] / down).astype(int)
    columns = ((np.arange(across) + 0.5) * array.shape[1] / across).astype(int)
    return mask_place(array[np.ix_(rows, columns)] > 0, left, top, size)


def _load_array(data: bytes) -> np.ndarray:
    """A compressed array in numpy's own format, of which no more is unfolded than its head says."""
    unpacker = zlib.decompressobj()
    content = unpacker.decompress(data, MAX_HEAD)
    head = io.BytesIO(content)
    version = np.lib.format.read_magic(head)
    read_head = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, is_fortran, dtype = read_head(head)
    count = int(np.prod([int(side) for side in shape], dtype=object))
    if dtype.hasobject or count * dtype.itemsize > MAX_MASK_PIXELS:
        raise ValueError("too large")
    numbers = content[head.tell() :]
    numbers += unpacker.decompress(unpacker.unconsumed_tail, max(count * dtype.itemsize - len(numbers), 1))
    array = np.frombuffer(numbers, dtype, count)
    return array.reshape(shape, order="F" if is_fortran else "C")


def write(layouts: Iterable[NamedLayout], folder: str = DATA) -> dict:
    """``samples.json`` of a dataset whose pictures lie in ``folder``.

    Captions, and the numbers that join several shapes to one thing, are attributes of labels.
    """
    return {"samples": [_sample(f"{folder}/{name}", layout) for name, layout in layouts]}


def _sample(file: str, layout: Layout) -> dict:
    found: dict[str, list[dict]] = {"Detections": [], "Polylines": [], "Keypoints": []}
    for number, instance in enumerate(layout.instances, start=1):
        for kind, label in _labels(instance, layout.size, number):
            found[kind].append(label)
    captions = {"caption": layout.caption, "negative_caption": layout.negative_caption}
    fields = {"Detections": TRUTH, "Polylines": f"{TRUTH}_lines", "Keypoints": f"{TRUTH}_points"}
    return {
        "filepath": file,
        "metadata": {"_cls": "ImageMetadata", "width": layout.width, "height": layout.height},
        **{key: value for key, value in captions.items() if value},
        **{fields[kind]: {"_cls": kind, kind.lower(): labels} for kind, labels in found.items() if labels},
    }


def _labels(instance: Instance, size: Size, number: int) -> list[tuple[str, dict]]:
    width, height = size
    box, mask, line, point = parts = parts_of(instance, size)
    caption = caption_beside(instance)
    words: dict[str, object] = {"label": label_of(instance), **({"caption": caption} if caption else {})}
    words |= {"group": number} if parts.are_several else {}
    drawn: list[tuple[str, dict]] = []
    if box:
        drawn.append(("Detections", {"_cls": "Detection", **words, "bounding_box": _fractions(box, size)}))
    if mask is not None:
        crop, left, top = crop_to_mask(mask)
        corners = [left, top, left + crop.shape[1], top + crop.shape[0]]
        place = {"bounding_box": _fractions(corners, size), "mask": _binary(crop)}
        drawn.append(("Detections", {"_cls": "Detection", **words, **place}))
    if line:
        points = [[x / width, y / height] for x, y in line]
        drawn.append(("Polylines", {"_cls": "Polyline", **words, "points": [points], "closed": False, "filled": False}))
    if point:
        spot = [point[0] / width, point[1] / height]
        drawn.append(("Keypoints", {"_cls": "Keypoint", **words, "points": [spot]}))
    return drawn


def _fractions(corners: list[float] | list[int], size: Size) -> list[float]:
    """x0, y0, x1, y1 in pixels -> x, y, width, height as fractions."""
    x0, y0, x1, y1 = (value / side for value, side in zip(corners, size * 2, strict=True))
    return [x0, y0, x1 - x0, y1 - y0]


def _binary(mask: np.ndarray) -> dict:
    buffer = io.BytesIO()
    np.save(buffer, mask, allow_pickle=False)
    return {"$binary": {"base64": b64encode(zlib.compress(buffer.getvalue())).decode(), "subType": "00"}}
