"""YOLO's text files: a line for each thing, with the number of its class and its box or outline as fractions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import yaml

from instdiff.errors import BadInput
from instdiff.formats.fields import numbers_in
from instdiff.formats.files import parse_json, read_bytes
from instdiff.formats.parts import label_of
from instdiff.formats.pictures import (
    ASSUMED,
    ASSUMED_SIZE,
    NO_SHAPE,
    Findings,
    NamedLayout,
    Picture,
    Size,
    named,
    shape_of,
    size_beside,
)
from instdiff.formats.places import box_place, ring_place
from instdiff.layout import Instance, Layout, Mask

LABELS = "labels"  # the folder of label files, beside which is that of the pictures
IMAGES = "images"
ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".JPG", ".JPEG", ".PNG")
DATA_FILES = ("data.yaml", "data.yml", "dataset.yaml")
NAME_FILES = ("classes.txt", "obj.names", "_darknet.labels", "classes.names")  # a name on each line
NO_LABEL_FILES = re.compile(r"(classes|labels|train|val|valid|test|trainval|readme.*|requirements|license)\.txt", re.I)
MAX_LINES = 100_000
MAX_NAMES_BYTES = 2**20
NO_CLASS = "lines left out, as their class has no name"
OUTSIDE = "lines left out, as their numbers are no fractions of the picture"
BOX_NUMBERS = (5, 6)  # class, x, y, width, height, and perhaps how sure a model was
CORNERS = "and all fit as corners; YOLO has the centre, the width and the height of a box"
CLEARLY = 0.02  # by which a box leaves the picture that was not just rounded
SLACK = 0.1  # by which fractions may lie outside the picture; what does is cut


def read_file(path: Path, findings: Findings) -> Picture:
    """The picture of one label file.

    Raises:
        BadInput: nothing names its classes, or it has more lines than any picture has things.
    """
    names, has_keypoints = _class_names(path)
    size = _picture_size(path)
    if size is None:
        findings.add(ASSUMED_SIZE, path.stem)
        size = ASSUMED
    picture = Picture(path.stem, size)
    lines = read_bytes(path).decode("utf-8-sig", errors="replace").splitlines()
    _refuse_corners(lines, path)
    if len(lines) > MAX_LINES:
        raise BadInput(str(path), f"has {len(lines)} lines; at most {MAX_LINES} are read of one picture")
    for number, line in enumerate(lines, start=1):
        if line.strip():
            _read_line(line.split(), f"{path.name} line {number}", picture, names, has_keypoints, findings)
    return picture


def _refuse_corners(lines: Sequence[str], path: Path) -> None:
    """Raise BadInput where boxes leave the picture by their centre and size, and all fit as corners."""
    rows = [line.split()[1:5] for line in lines if len(line.split()) in BOX_NUMBERS]
    try:
        boxes = [numbers_in(row) for row in rows]
    except ValueError:
        return
    leave = sum(min(_extent(box)) < -CLEARLY or max(_extent(box)) > 1 + CLEARLY for box in boxes)
    as_corners = all(0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1 for x0, y0, x1, y1 in boxes)
    if leave and len(boxes) > 1 and as_corners:
        raise BadInput(str(path), f"{leave} of {len(boxes)} boxes leave the picture, {CORNERS}")


def label_files(folder: Path) -> list[Path]:
    """The label files of a dataset: below its folders called ``labels``, else beside the names of its classes."""
    below = [*folder.glob(LABELS), *folder.glob(f"*/{LABELS}"), *folder.glob("obj_*_data")]  # the last: Darknet, CVAT
    if below:
        files = [path for labels in below for path in labels.rglob("*.txt")]
    elif LABELS in folder.parts or any((folder / name).is_file() for name in DATA_FILES + NAME_FILES):
        files = list(folder.glob("*.txt"))
    else:
        files = []
    return sorted(path for path in files if path.is_file() and not NO_LABEL_FILES.fullmatch(path.name))


def _read_line(
    words: list[str], where: str, picture: Picture, names: dict[int, str], has_keypoints: bool, findings: Findings
) -> None:
    is_number = re.fullmatch(r"\d{1,9}(\.0*)?", words[0])
    is_odd_number = not is_number and re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?", words[0], re.I)
    label = names.get(int(float(words[0]))) if is_number else None if is_odd_number else named(words[0])
    if not label:
        return findings.leave_out(NO_CLASS, where)
    try:
        numbers = numbers_in(words[1:5] if has_keypoints else words[1:])
        if any(not -SLACK <= number <= 1 + SLACK for number in _extent(numbers)):
            return findings.leave_out(OUTSIDE, where)
        picture.shapes.append(shape_of(label, _place(numbers, picture.size or ASSUMED)))
    except ValueError:
        findings.leave_out(NO_SHAPE, where)


def _extent(numbers: list[float]) -> list[float]:
    """The numbers of an outline, or the corners of a box."""
    if len(numbers) + 1 not in BOX_NUMBERS:
        return numbers
    x, y, across, down = numbers[:4]
    return [x - across / 2, y - down / 2, x + across / 2, y + down / 2]


def _place(numbers: list[float], size: Size) -> dict:
    width, height = size
    if len(numbers) + 1 in BOX_NUMBERS:
        return box_place(*(value * side for value, side in zip(_extent(numbers), size * 2, strict=True)))
    points = zip(numbers[::2], numbers[1::2], strict=True)
    return ring_place([[x * width, y * height] for x, y in points])


def _picture_size(path: Path) -> Size | None:
    """The size of the picture beside a label file, or in the folder ``images`` that stands for its ``labels``."""
    folders = [path.parent]
    parts = path.parent.parts
    if LABELS in parts:
        last = len(parts) - 1 - parts[::-1].index(LABELS)
        folders.insert(0, Path(*parts[:last], IMAGES, *parts[last + 1 :]))
    found = (size_beside(folder, path.stem + ending) for folder in folders for ending in ENDINGS)
    return next((size for size in found if size), None)


def _class_names(path: Path) -> tuple[dict[int, str], bool]:
    """The names of the classes by their numbers, and whether the lines hold key points too."""
    folders = [path.parent, path.parent.parent]  # Darknet, CVAT: obj_train_data/a.txt beside obj.names
    if LABELS in path.parent.parts[-3:]:  # the dataset begins beside the folder, or one level above (Roboflow)
        top = next(folder for folder in (path.parent, *path.parents) if folder.name == LABELS)
        folders += [*path.parent.parents[: len(path.parent.parts) - len(top.parts)], top.parent, top.parent.parent]
    for folder in folders:
        for name in DATA_FILES:
            if (folder / name).is_file():
                return _from_yaml(folder / name)
        for name in NAME_FILES:
            if (folder / name).is_file():
                lines = _read_names(folder / name).splitlines()
                return {number: line.strip() for number, line in enumerate(lines) if line.strip()}, False
        if (folder / "notes.json").is_file():  # Label Studio's
            return _from_notes(folder / "notes.json"), False
    cure = f"put {NAME_FILES[0]} with a name on each line, or {DATA_FILES[0]} with names, beside it"
    raise BadInput(str(path), f"nothing names the classes of a YOLO label file; {cure}")


def _read_names(path: Path) -> str:
    return read_bytes(path, MAX_NAMES_BYTES).decode("utf-8-sig", errors="replace")


def _from_yaml(path: Path) -> tuple[dict[int, str], bool]:
    try:
        data = yaml.load(_read_names(path), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError, TypeError, OverflowError) as error:
        raise BadInput(str(path), "is not YAML") from error
    names = data.get("names") if isinstance(data, dict) else None
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict):
        raise BadInput(f"{path}.names", "must be a list of the classes' names, or their names by number")
    found = {int(key): named(name) for key, name in names.items() if re.fullmatch(r"\d{1,9}", str(key)[:10])}
    return {number: name for number, name in found.items() if name}, "kpt_shape" in data


def _from_notes(path: Path) -> dict[int, str]:
    data = parse_json(_read_names(path), str(path))
    records = data.get("categories") if isinstance(data, dict) else None
    found = [record for record in records if isinstance(record, dict)] if isinstance(records, list) else []
    numbered = {record["id"]: named(record.get("name")) for record in found if isinstance(record.get("id"), int)}
    return {number: name for number, name in numbered.items() if name}


def write(layout: Layout, labels: Sequence[str], outlines: bool = False) -> bytes:
    """The label file of a picture.

    Args:
        labels: of the whole dataset; a class is a place in them.
        outlines: write the outline of every mask; else boxes alone. A dataset has one kind of line.

    Raises:
        BadInput: an instance is a bare point.
    """
    lines = [_line(labels.index(label_of(instance)), instance, outlines) for instance in layout.instances]
    return "".join(lines).encode()


def data_file(labels: Sequence[str], train: str, val: str) -> bytes:
    """``data.yaml``: where the pictures are, from its own folder, and what the classes are called."""
    data = {"train": train, "val": val, "names": dict(enumerate(labels))}
    return yaml.safe_dump(data, allow_unicode=True, sort_keys=False).encode()


def have_outlines(layouts: Iterable[NamedLayout]) -> bool:
    """Whether every instance has a mask, so that a dataset of outlines loses none."""
    instances = [instance for _, layout in layouts for instance in layout.instances if instance.extent]
    return bool(instances) and all(instance.mask and instance.mask.box for instance in instances)


def _line(number: int, instance: Instance, outlines: bool) -> str:
    box = instance.extent
    if box is None:
        raise BadInput(label_of(instance), "is a bare point, and a YOLO label needs a box")
    if outlines and instance.mask:
        values = outline(instance.mask)
    else:
        values = [box.centre.x, box.centre.y, box.width, box.height]
    return f"{number} {' '.join(f'{value:.6f}' for value in values)}\n"


def outline(mask: Mask) -> list[float]:
    """One closed line around a mask, ``x, y, x, y, ...`` as fractions; what is inside it is the mask, to the pixel.

    Parts and holes hang on it by bridges that go there and back, as YOLO has one outline for a thing.
    """
    from skimage.measure import find_contours  # costs half a second

    height, width = mask.size
    padded = np.pad(mask.array, 1)
    rings = [ring[:, ::-1] - 0.5 for ring in find_contours(padded.astype(np.uint8), 0.5)]  # (N, 2) x, y in pixels
    start = rings[0][:1]
    path = np.concatenate([rings[0], *(part for ring in rings[1:] for part in (ring, start))])
    return (path / (width, height)).ravel().tolist()
