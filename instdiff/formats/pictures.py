"""What readers of other people's files hand on: pictures with shapes that are records of COCO.

They are checked, cut at the border, counted and drawn in one place for all formats, `instdiff.formats.coco_file`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath

from instdiff.errors import BadInput
from instdiff.formats.coco_records import MAX_NAME
from instdiff.formats.fields import numbers_in
from instdiff.formats.photographs import find_photograph, photograph_size
from instdiff.formats.tally import Tally
from instdiff.layout import Layout

Size = tuple[int, int]  # width, height in pixels
NamedLayout = tuple[str, Layout]  # the file name of the picture, and what is on it

NO_LABEL = "shapes left out, as they have no label"
NO_SHAPE = "shapes left out, as their coordinates cannot be read"
NO_MASK = "masks left out, as they cannot be read or are too large"
NO_PLACE = "labels of whole pictures left out, as they are of no place"
OTHER_KIND = "shapes left out, as their kind is none that is read"
ASSUMED = (512, 512)
ASSUMED_SIZE = "pictures that are not there to ask for their size: 512 x 512 is taken, as places are fractions"


@dataclass
class Picture:
    """One picture and the shapes on it.

    Args:
        name: its file's name, as it is written.
        size: None where nothing says it.
        shapes: records of COCO: ``bbox``, ``segmentation``, ``point``, ``scribble`` in pixels, each where there is one,
            ``category_name``, ``caption``, and ``group``: what the file calls a thing that several shapes are drawn of.
    """

    name: str
    size: Size | None
    shapes: list[dict] = field(default_factory=list)
    caption: str = ""
    negative_caption: str = ""

    def add(
        self,
        findings: Findings,
        where: str,
        label: str | None,
        read_place: Callable[[], dict | None],
        kind: object = "",
        caption: object = "",
        group: object = None,
    ) -> None:
        """Add a shape, or count why it is left out.

        Args:
            read_place: gives what a function of `instdiff.formats.places` gives, None for a kind that is not read; a
                ValueError is a place that cannot be read.
            kind: "mask" or "brush" for what is read pixel by pixel, else any word.
        """
        if not label:
            return findings.leave_out(NO_LABEL, where)
        try:
            place = read_place()
        except ValueError:
            return findings.leave_out(NO_MASK if kind in ("mask", "brush") else NO_SHAPE, where)
        if place is None:
            return findings.leave_out(OTHER_KIND, f"{where}, {str(kind)[:40]}")
        self.shapes.append(shape_of(label, place, caption, group))


class Findings(Tally):
    """What was odd in a file, and how many of its shapes were left out for that."""

    def __init__(self) -> None:
        super().__init__()
        self.left_out = 0

    def leave_out(self, kind: str, name: str) -> None:
        """Count a shape that is left out."""
        self.left_out += 1
        self.add(kind, name)


def to_coco(pictures: Sequence[Picture]) -> dict:
    """Pictures as COCO has them: images numbered from 1, and annotations named by their picture and place on it."""
    images = []
    annotations = []
    for number, picture in enumerate(pictures, start=1):
        record = {"id": number, "file_name": picture.name, "caption": picture.caption}
        record |= {"negative_caption": picture.negative_caption} if picture.negative_caption else {}
        if picture.size:
            record |= {"width": picture.size[0], "height": picture.size[1]}
        images.append(record)
        for index, shape in enumerate(map(_settle_box, _join_groups(picture.shapes)), start=1):
            own = f"{index} of picture {number}" if len(pictures) > 1 else str(index)
            annotations.append({"id": own, "image_id": number, **shape})
    return {"images": images, "annotations": annotations, "categories": []}


def _join_groups(shapes: list[dict]) -> list[dict]:
    """Shapes of one label and group are one thing, as COCO converters of labelme and CVAT take them.

    A thing has one place of each kind: a second box, or a point beside a point, begins another thing.
    """
    things: list[dict] = []
    of_group: dict[tuple, dict] = {}
    for shape in shapes:
        key = (shape["category_name"], shape.get("group"))
        thing = of_group.get(key) if key[1] is not None else None
        if thing is None or not _add(thing, shape):
            of_group[key] = thing = dict(shape)
            things.append(thing)
    return things


def _add(thing: dict, shape: dict) -> bool:
    """Add the places of a shape to a thing, if it has room for them."""
    added = {key: shape[key] for key in ("bbox", "point", "scribble", "segmentation") if shape.get(key)}
    both = isinstance(added.get("segmentation"), list) and isinstance(thing.get("segmentation"), list)
    rings = added.pop("segmentation") if both else []
    if any(thing.get(key) for key in added):
        return False
    thing |= added
    if rings:
        thing["segmentation"].extend(rings)  # a list that was made for this thing
    if shape.get("around"):
        thing["around"] = _union(thing["around"], shape["around"]) if thing.get("around") else shape["around"]
    thing["caption"] = thing.get("caption") or shape.get("caption", "")
    return True


def _union(a: list[float], b: list[float]) -> list[float]:
    """The box around two boxes, each ``[x, y, width, height]``."""
    x, y = min(a[0], b[0]), min(a[1], b[1])
    return [x, y, max(a[0] + a[2], b[0] + b[2]) - x, max(a[1] + a[3], b[1] + b[3]) - y]


def _settle_box(thing: dict) -> dict:
    """An outline without a box of its own gets the one around it, for that is what its file means."""
    around = thing.get("around")
    return {"bbox": around, **thing} if around else thing


def named(label: object) -> str | None:
    """A label as text; None if there is none."""
    if isinstance(label, int) and not isinstance(label, bool):
        label = str(label)
    return label.strip() or None if isinstance(label, str) else None


def shape_of(label: str, place: dict, caption: object = "", group: object = None) -> dict:
    """The record of a shape; ``place`` is what one of the functions above gives."""
    words = {"category_name": label[:MAX_NAME], "caption": caption if isinstance(caption, str) else ""}
    return {**place, **words, "group": group if isinstance(group, int | str) else None}


def read_size(width: object, height: object) -> Size | None:
    """The size of a picture in pixels as a file has it, as numbers or text; None if it is none."""
    try:
        across, down = (int(number) for number in numbers_in([width, height]))
    except ValueError:
        return None
    return (across, down) if across > 0 and down > 0 else None


def size_beside(folder: Path, name: str) -> Size | None:
    """The size of a picture in a folder or below it; None if it is not there.

    Args:
        name: from a file that anybody may have written: what it leads out of the folder to is not looked at.
    """
    try:
        return photograph_size(find_photograph({"id": name, "file_name": name}, folder))
    except (BadInput, OSError, ValueError):  # of names that no file can have
        return None


def base_name(path: str) -> str:
    """The last part of a path of any system, or of an address, without what follows its question mark."""
    return PureWindowsPath(re.sub(r"\?(?!d=).*$", "", path)).name or path
