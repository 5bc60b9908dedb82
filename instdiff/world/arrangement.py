"""A layout in the making, and the camera that sees it.

Boxes are fractions of the picture, distances are metres.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from instdiff.layout import Box
from instdiff.world.scene import SceneObject

ROOMY = 12  # so many things leave room for all to be large enough; of more, the smallest are smaller
HANDY = 0.7  # how fully real sizes count between a thing and its carrier: 1 would draw a cup on a table as a speck


@dataclass(frozen=True)
class Camera:
    """Looks straight ahead; the focal length is 1 in picture heights.

    ``aspect`` is picture width / height; ``finest`` is how much smaller than usual the smallest thing may be.
    """

    horizon: float
    height_m: float
    aspect: float
    finest: float = 1.0

    def ground(self, distance_m: float) -> float:
        """Where the ground at this distance is seen, 0 = top and 1 = bottom of the picture."""
        return self.horizon + self.height_m / distance_m

    def extent(self, width_m: float, height_m: float, distance_m: float) -> tuple[float, float]:
        """(width, height) as fractions of the picture."""
        return width_m / distance_m / self.aspect, height_m / distance_m


@dataclass
class Arrangement:
    """A layout in the making, by ids: the boxes placed so far, how far each is, how much of each is hidden.

    ``faults`` sums up what is wrong.
    """

    boxes: dict[str, Box] = field(default_factory=dict)
    distance: dict[str, float] = field(default_factory=dict)
    hidden: dict[str, float] = field(default_factory=dict)
    faults: float = 0.0


def finest(count: int) -> float:
    """How much smaller than usual the smallest thing may be on a picture with so many, as a factor."""
    return min(1.0, (ROOMY / max(count, 1)) ** 0.5)


def enlargement_on(carrier: SceneObject, item: SceneObject) -> float:
    """How much larger than real, beside its carrier, a thing is drawn; below 1 for what is larger than its carrier."""
    return (carrier.size_m / item.size_m) ** (1 - HANDY)
