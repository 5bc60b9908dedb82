"""A picture is cut to the square in its middle and perhaps mirrored, and the places of its instances move along."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from instdiff.formats.coco import fitted_mask
from instdiff.layout import Box, Instance, Mask, Point, Scribble

if TYPE_CHECKING:
    from PIL.Image import Image

SMALLEST = 0.01  # share of the square; the published training leaves out what is smaller


@dataclass(frozen=True)
class Crop:
    """The square in the middle of a picture of ``size`` (width, height) pixels; mirrored if ``flip``."""

    size: tuple[int, int]
    flip: bool

    @property
    def corners(self) -> tuple[int, int, int, int]:
        """x0, y0, x1, y1 of the square in whole pixels."""
        width, height = self.size
        side = min(self.size)
        left, top = (width - side) // 2, (height - side) // 2
        return left, top, left + side, top + side

    def image(self, image: Image, side: int) -> Image:
        """The square of a picture, ``side`` pixels wide."""
        from PIL.Image import Resampling, Transpose

        square = image.resize((side, side), Resampling.LANCZOS, box=self.corners)
        return square.transpose(Transpose.FLIP_LEFT_RIGHT) if self.flip else square

    def instances(self, instances: list[Instance]) -> list[Instance]:
        """The instances that are still there, their places as fractions of the square."""
        return [moved for instance in instances if (moved := self._instance(instance))]

    def _instance(self, instance: Instance) -> Instance | None:
        places = {
            "box": instance.box and self._box(instance.box),
            "point": instance.point and self._point(instance.point),
            "scribble": instance.scribble and self._scribble(instance.scribble),
            "mask": instance.mask and self._mask(instance.mask),
        }
        gone = [kind for kind in ("box", "mask") if getattr(instance, kind) and not places[kind]]
        if gone or not any(places.values()):
            return None
        return Instance(caption=instance.caption, category=instance.category, **places)

    def _move(self, x: float, y: float) -> tuple[float, float]:
        """A place as fractions of the picture -> as fractions of the square, which it may leave."""
        x0, y0, x1, y1 = self.corners
        x, y = (x * self.size[0] - x0) / (x1 - x0), (y * self.size[1] - y0) / (y1 - y0)
        return (1 - x if self.flip else x), y

    def _box(self, box: Box) -> Box | None:
        (xa, ya), (xb, yb) = self._move(box.x0, box.y0), self._move(box.x1, box.y1)
        x0, x1 = (min(max(x, 0.0), 1.0) for x in sorted((xa, xb)))
        y0, y1 = (min(max(y, 0.0), 1.0) for y in (ya, yb))
        return Box(x0=x0, y0=y0, x1=x1, y1=y1) if (x1 - x0) * (y1 - y0) >= SMALLEST else None

    def _point(self, point: Point) -> Point | None:
        x, y = self._move(point.x, point.y)
        return Point(x=x, y=y) if 0 <= x <= 1 and 0 <= y <= 1 else None

    def _scribble(self, scribble: Scribble) -> Scribble | None:
        points = tuple(moved for point in scribble.points if (moved := self._point(point)))
        return Scribble(points=points) if points else None

    def _mask(self, mask: Mask) -> Mask | None:
        x0, y0, x1, y1 = self.corners
        square = fitted_mask(mask, self.size).array[y0:y1, x0:x1]
        return Mask.from_array(square[:, ::-1] if self.flip else square) if square.any() else None
