"""The language of the project: what is where on the picture.

Inside, every coordinate is a fraction of the picture's width (x) or height (y), and every box is
``x0, y0, x1, y1``. Pixels and ``[x, y, width, height]`` exist at the edges only: in files and other libraries' arrays.

Coordinates have twelve decimals, a hundred-millionth of a pixel. With all the digits of a floating-point number, many
fractions would be the quotient of no number of pixels: what is read from a file would not be what was written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, Field, field_validator, model_validator

from instdiff import rle
from instdiff.errors import BadInput
from instdiff.values import Fraction, Value, Words

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_INSTANCES = 30
SCRIBBLE_POINTS = 20  # of a scribble that is drawn from a mask, and that the model reads
MAX_SIDE = 4096
STEPS = 10**12  # of a coordinate, from 0 to 1


def rounded(coordinate: float) -> float:
    """A coordinate to twelve decimals."""
    return int(coordinate * STEPS + 0.5) / STEPS


Coordinate = Annotated[Fraction, AfterValidator(rounded)]


class Point(Value):
    """A place given by one point, as fractions of width and height."""

    x: Coordinate
    y: Coordinate


class Box(Value):
    """An axis-aligned rectangle, 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1."""

    x0: Fraction
    y0: Fraction
    x1: Fraction
    y1: Fraction

    @model_validator(mode="after")
    def _has_area(self) -> Box:
        if self.x0 >= self.x1 or self.y0 >= self.y1:
            sides = ", ".join(f"{side:g}" for side in self.xyxy)
            raise ValueError(f"box {sides} has no area; give x0 < x1 and y0 < y1")
        x0, y0, x1, y1 = map(rounded, self.xyxy)
        if x0 < x1 and y0 < y1:  # else it is as thin as a rounding, and stays what it is
            self.__dict__.update(x0=x0, y0=y0, x1=x1, y1=y1)
        return self

    @classmethod
    def from_corners(cls, corners: Sequence[float], size: tuple[int, int]) -> Box:
        """``[x0, y0, x1, y1]`` in pixels of a (width, height) picture; what lies outside is cut off.

        Examples:
            >>> Box.from_corners([64, 32, 192, 300], size=(256, 256)).xyxy
            (0.25, 0.125, 0.75, 1.0)
        """
        sides = zip(corners, size * 2, strict=True)
        x0, y0, x1, y1 = (min(max(float(value) / side, 0.0), 1.0) for value, side in sides)
        return cls(x0=x0, y0=y0, x1=x1, y1=y1)

    @classmethod
    def from_coco(cls, xywh: Sequence[float], size: tuple[int, int]) -> Box:
        """``[x, y, width, height]`` in pixels of a (width, height) picture; what lies outside is cut off.

        Examples:
            >>> Box.from_coco([64, 32, 128, 64], size=(256, 256)).xyxy
            (0.25, 0.125, 0.75, 0.375)
        """
        x, y, w, h = (float(value) for value in xywh)
        return cls.from_corners([x, y, x + w, y + h], size)

    def to_corners(self, size: tuple[int, int]) -> list[float]:
        """``[x0, y0, x1, y1]`` in pixels."""
        width, height = size
        return [self.x0 * width, self.y0 * height, self.x1 * width, self.y1 * height]

    def to_coco(self, size: tuple[int, int]) -> list[float]:
        """``[x, y, width, height]`` in pixels."""
        x0, y0, x1, y1 = self.to_corners(size)
        return [x0, y0, x1 - x0, y1 - y0]

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        return (self.x0, self.y0, self.x1, self.y1)

    @property
    def width(self) -> float:
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        return self.y1 - self.y0

    @property
    def area(self) -> float:
        """Share of the picture, 0..1."""
        return (self.x1 - self.x0) * (self.y1 - self.y0)

    @property
    def centre(self) -> Point:
        return Point(x=(self.x0 + self.x1) / 2, y=(self.y0 + self.y1) / 2)

    def intersection(self, box: Box) -> float:
        """Area shared with another box, as a share of the picture."""
        width = min(self.x1, box.x1) - max(self.x0, box.x0)
        height = min(self.y1, box.y1) - max(self.y0, box.y0)
        return max(width, 0.0) * max(height, 0.0)

    def iou(self, box: Box) -> float:
        """Intersection over union with another box, 0..1.

        Examples:
            >>> left = Box(x0=0.0, y0=0.0, x1=0.5, y1=1.0)
            >>> left.iou(Box(x0=0.25, y0=0.0, x1=0.75, y1=1.0))
            0.3333333333333333
        """
        shared = self.intersection(box)
        return shared / (self.area + box.area - shared)


class Scribble(Value):
    """A place given by a few points along the object, in drawing order."""

    points: tuple[Point, ...] = Field(min_length=1, max_length=1000)

    if TYPE_CHECKING:  # a list is as good

        def __init__(self, *, points: Iterable[Point]) -> None: ...

    @property
    def box(self) -> Box | None:
        """The tight box of the points, or None if they have no extent."""
        xs = [p.x for p in self.points]
        ys = [p.y for p in self.points]
        if min(xs) == max(xs) or min(ys) == max(ys):
            return None
        return Box(x0=min(xs), y0=min(ys), x1=max(xs), y1=max(ys))


class Mask(Value):
    """The exact shape of an instance as COCO run lengths.

    ``size`` is (height, width) in pixels as in COCO; it may differ from the layout's size, of which the
    mask always covers the whole.
    """

    size: tuple[int, int]
    counts: str = Field(max_length=rle.MAX_TEXT)

    if TYPE_CHECKING:

        def __init__(self, *, size: Sequence[int], counts: str) -> None: ...

    @model_validator(mode="after")
    def _runs_fit(self) -> Mask:
        try:
            rle.check_counts(rle.string_to_counts(self.counts), *self.size)
        except BadInput as error:
            raise ValueError(error.reason) from error
        return self

    @classmethod
    def from_array(cls, mask: np.ndarray) -> Mask:
        """From a (height, width) array; everything above 0 belongs to the instance.

        Examples:
            >>> shape = np.zeros((4, 8))
            >>> shape[1:3, 2:6] = 1
            >>> mask = Mask.from_array(shape)
            >>> mask.size, mask.box.xyxy
            ((4, 8), (0.25, 0.25, 0.75, 0.75))
        """
        height, width = mask.shape
        return cls(size=(height, width), counts=rle.counts_to_string(rle.encode(np.asarray(mask) > 0)))

    @cached_property
    def array(self) -> np.ndarray:
        """(height, width) bool."""
        return rle.decode(rle.string_to_counts(self.counts), *self.size)

    @property
    def box(self) -> Box | None:
        """The tight box around the mask, or None if the mask is empty."""
        rows = np.flatnonzero(self.array.any(axis=1))
        columns = np.flatnonzero(self.array.any(axis=0))
        if not len(rows):
            return None
        height, width = self.size
        return Box(x0=columns[0] / width, y0=rows[0] / height, x1=(columns[-1] + 1) / width, y1=(rows[-1] + 1) / height)


class Instance(Value):
    """One thing on the picture: what it is, and where, by any mix of places (at least one)."""

    caption: Words = Field(max_length=2000)
    category: Words = Field(default="", max_length=200)
    box: Box | None = None
    point: Point | None = None
    scribble: Scribble | None = None
    mask: Mask | None = None

    @model_validator(mode="after")
    def _is_somewhere(self) -> Instance:
        if self.box is self.point is self.scribble is self.mask is None:
            raise ValueError(f'"{self.name}" has no place; give a box, point, scribble or mask')
        if not self.name:
            raise ValueError("an instance needs a caption or a category")
        return self

    @property
    def name(self) -> str:
        """What to call it: the category, or the caption where there is none."""
        return self.category or self.caption

    @property
    def extent(self) -> Box | None:
        """The box of the place: as given, or around the mask or the scribble; None for a bare point.

        Examples:
            >>> line = Scribble(points=[Point(x=0.25, y=0.5), Point(x=0.75, y=1.0)])
            >>> Instance(caption="a river", scribble=line).extent.xyxy
            (0.25, 0.5, 0.75, 1.0)
        """
        if self.box:
            return self.box
        return (self.mask and self.mask.box) or (self.scribble and self.scribble.box) or None


class Layout(Value):
    """What is where on a picture of ``width`` x ``height`` pixels."""

    width: int = Field(default=512, ge=64, le=MAX_SIDE)
    height: int = Field(default=512, ge=64, le=MAX_SIDE)
    caption: Words = Field(max_length=8000)
    negative_caption: Words = Field(default="", max_length=8000)
    instances: tuple[Instance, ...] = ()

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            caption: str,
            width: int = 512,
            height: int = 512,
            negative_caption: str = "",
            instances: Iterable[Instance] = (),
        ) -> None: ...

    @field_validator("instances")
    @classmethod
    def _not_too_many(cls, instances: tuple[Instance, ...]) -> tuple[Instance, ...]:
        if len(instances) > MAX_INSTANCES:
            raise ValueError(f"{len(instances)} instances; the model has room for {MAX_INSTANCES}")
        return instances

    @classmethod
    def from_file(cls, path: str | Path, boxes: str = "auto", picture: str | None = None) -> Layout:
        """Read a layout, like `instdiff.load_layout`; a file of many pictures is read by `instdiff.layouts_from_coco`.

        Args:
            path: JSON of InstanceDiffusion, a PNG that was painted here, or annotations of another tool.
            boxes: ``xywh``, ``corners`` or ``auto``, of the JSON of InstanceDiffusion.
            picture: which picture of a file of many, by its file name or id.

        Raises:
            BadInput: see `instdiff.load_layout`.
        """
        from instdiff.formats import load_layout  # which imports this module

        return load_layout(path, boxes, picture)

    @classmethod
    def from_boxes(
        cls,
        boxes: Any,
        labels: Iterable[str],
        size: Sequence[int],
        captions: Sequence[str] | None = None,
        *,
        caption: str | None = None,
        box_format: Literal["xyxy", "xywh", "cxcywh"] = "xyxy",
        normalized: bool | None = None,
    ) -> Layout:
        """A layout of boxes with labels.

        Args:
            boxes: (N, 4), N up to 30: an array, a tensor or lists.
            labels: N categories.
            size: (width, height) of the picture in pixels.
            captions: N phrases that say what each thing looks like; None: its label.
            caption: of the whole picture; None: made from the captions, such as "a dog and two cats".
            box_format: corners ``xyxy``, ``xywh`` from the upper left corner, or ``cxcywh`` from the middle.
            normalized: True for fractions of the picture, False for pixels. None: pixels, but where all numbers lie
                within 0..1, fractions, with a `BoxFormatWarning`.

        Raises:
            BadInput: there are too many boxes, labels are missing, or a box has no area or leaves the picture by more
                than a pixel.

        Examples:
            >>> boxes = [[20, 130, 120, 220], [140, 120, 240, 225]]
            >>> layout = Layout.from_boxes(boxes, ["dog", "car"], (256, 256), captions=["a brown dog", "a red car"])
            >>> layout.caption, len(layout.instances)
            ('a brown dog and a red car', 2)
        """
        from instdiff.detections import layout_of_boxes

        return layout_of_boxes(boxes, labels, size, captions, caption, box_format, normalized)

    @classmethod
    def from_detections(
        cls,
        detections: Any,
        size: Sequence[int],
        names: Mapping[int, str] | Sequence[str] | None = None,
        *,
        caption: str | None = None,
    ) -> Layout:
        """A layout of what a detector has found on one picture.

        Boxes are cut at the border. Of more than 30 detections the 30 with the best scores are kept, or the largest
        where there are no scores; a `LayoutWarning` says so, and what else is left out: detections that have no label,
        or no area on the picture.

        Args:
            detections: ``supervision.Detections``; what a torchvision detector gives for a picture (``boxes``,
                ``labels``, ``scores`` and ``masks``); or one of what ``post_process_...`` of transformers gives
                (``boxes``, ``labels`` or ``text_labels``, ``scores``). Masks are kept.
            size: (width, height) of that picture in pixels.
            names: of the numbers in ``labels``, such as ``model.config.id2label`` or ``weights.meta["categories"]``.
            caption: of the whole picture; None: made from the labels, such as "a dog and two cats".

        Raises:
            BadInput: these are no detections of one picture, or a number has no name.

        Examples:
            >>> found = {"boxes": [[0, 64, 128, 256]], "labels": [18], "scores": [0.9]}
            >>> layout = Layout.from_detections(found, (256, 256), names={18: "dog"})
            >>> layout.instances[0].name, layout.instances[0].box.xyxy
            ('dog', (0.0, 0.25, 0.5, 1.0))
        """
        from instdiff.detections import layout_of_detections

        return layout_of_detections(detections, size, names, caption)

    def draw(self, image: Image | None = None) -> Image:
        """A picture of the plan: masks, boxes, scribbles and points, each instance with its number and name.

        Args:
            image: what it is drawn over, a copy of it; None draws on plain ground.

        Returns:
            RGB, at least 768 pixels on its longer side.
        """
        from instdiff.drawing import draw_layout

        return draw_layout(self, image)

    def _repr_html_(self) -> str:
        """The plan in a notebook."""
        from instdiff.notebook import layout_html

        return layout_html(self)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return (self.width, self.height)

    def with_size(self, width: int, height: int) -> Layout:
        """The same layout on a picture of another size; places are fractions and stay."""
        return Layout.parse({**dict(self), "width": width, "height": height})

    def with_instances(self, instances: Iterable[Instance]) -> Layout:
        """The same layout with other instances."""
        return Layout.parse({**dict(self), "instances": tuple(instances)})
