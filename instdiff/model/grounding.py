"""Layout -> the tensors that UniFusion reads, prepared as the published model was trained to see them."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
import torch.nn.functional as F

from instdiff.layout import MAX_INSTANCES, SCRIBBLE_POINTS, Box, Instance, Layout, Mask, Point
from instdiff.model.mask_points import points_along, points_inside, sort_by_norm
from instdiff.world import knowledge

POLYGON_POINTS = 256


@dataclass
class Grounding:
    """The grounding of B layouts with N slots for instances; what is absent is zero and False.

    All coordinates are fractions of the picture. ``has_*`` says per instance whether that kind of place is given.
    """

    text: torch.Tensor  # (B, N, D) pooled text feature of the instance caption
    used: torch.Tensor  # (B, N) bool: the slot holds an instance
    box_xy: torch.Tensor  # (B, N, 4) xyxy
    has_box: torch.Tensor  # (B, N) bool
    point_xy: torch.Tensor  # (B, N, 2)
    has_point: torch.Tensor
    scribble_xy: torch.Tensor  # (B, N, 40) x, y, x, y, ...
    has_scribble: torch.Tensor
    polygon_xy: torch.Tensor  # (B, N, 512) x, y, x, y, ...
    has_polygon: torch.Tensor
    segs: torch.Tensor  # (B, 30, S, S) 0 or 1; empty planes mean no mask
    regions: torch.Tensor  # (B, N, 32, 32) bool: the cells that the place covers, for instance-masked attention
    extent: torch.Tensor  # (B, N, 4) xyxy around the place, for the place map

    def map(self, function: Callable[[torch.Tensor], torch.Tensor]) -> Grounding:
        """The grounding with ``function`` applied to every tensor."""
        return Grounding(**{field.name: function(getattr(self, field.name)) for field in fields(self)})

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Grounding:
        """Move to a device, and the floating-point tensors to a dtype."""
        return self.map(lambda t: t.to(device=device, dtype=dtype if t.is_floating_point() else None))

    def null(self) -> Grounding:
        """The same shapes with nothing in them: the unconditional branch of classifier-free guidance."""
        return self.map(torch.zeros_like)

    def pick(self, sample: int, instance: int | None = None) -> Grounding:
        """Batch of one: sample ``sample``, or only its instance ``instance``, moved to slot 0."""
        whole = self.map(lambda t: t[sample : sample + 1])
        if instance is None:
            return whole
        alone = whole.null()
        for field in fields(self):
            getattr(alone, field.name)[:, 0] = getattr(whole, field.name)[:, instance]
        return alone

    @staticmethod
    def cat(groundings: list[Grounding]) -> Grounding:
        """Join batches."""
        return Grounding(**{f.name: torch.cat([getattr(g, f.name) for g in groundings]) for f in fields(Grounding)})


REGION_GRID = 32
# How far a bare point or a scribble is taken to reach, as a fraction of the picture's side.
POINT_REACH = 0.14
SCRIBBLE_REACH = 0.05


@dataclass(frozen=True)
class Modes:
    """Which kinds of place the model is told, for one layout.

    The published model has four configurations: boxes (with points), masks (boxes, points, outlines, planes), points
    alone, and scribbles (everything). A kind that no instance of the layout gives is left out, as there.
    """

    box: bool
    point: bool
    scribble: bool
    mask: bool

    @classmethod
    def of(cls, layout: Layout) -> Modes:
        """The configuration that fits the places of a layout."""
        scribble = any(instance.scribble for instance in layout.instances)
        mask = any(instance.mask for instance in layout.instances)
        box = any(_box(instance) for instance in layout.instances)
        return cls(box=box, point=True, scribble=scribble, mask=mask or scribble)


def place_grounding(
    layout: Layout, seed: int = 0, seg_size: int = 512, slots: int = MAX_INSTANCES, modes: Modes | None = None
) -> Grounding:
    """The places of one layout as tensors, a batch of one; captions are added by `with_text`.

    Args:
        seed: for the points drawn inside masks.
        seg_size: side of the segmentation planes.
        slots: room for instances; the published model has 30.
        modes: which kinds of place to tell; by default those that the layout gives.
    """
    modes = modes or Modes.of(layout)
    points_rng = np.random.RandomState(seed % 2**32)
    outline_rng = random.Random(seed)
    grounding = empty_grounding(slots, seg_size)
    for i, instance in enumerate(layout.instances):
        box = _box(instance)
        point = _point(instance)
        grounding.used[0, i] = True
        if modes.box and box:
            grounding.box_xy[0, i] = torch.tensor(box.xyxy)
            grounding.has_box[0, i] = True
        if modes.point and point:
            grounding.point_xy[0, i] = torch.tensor([point.x, point.y])
            grounding.has_point[0, i] = True
        if modes.scribble:
            grounding.scribble_xy[0, i] = torch.from_numpy(_scribble(instance, points_rng))
            # The reference counts an instance without a scribble as one at the origin: the weights know it so.
            grounding.has_scribble[0, i] = True
        if modes.mask:
            grounding.has_polygon[0, i] = True
            if instance.mask:
                grounding.polygon_xy[0, i] = torch.from_numpy(_polygon(instance.mask, outline_rng))
                grounding.segs[0, i] = _resize_mask(instance.mask, seg_size)
        grounding.regions[0, i] = torch.from_numpy(covered_cells(instance))
        grounding.extent[0, i] = torch.tensor(_extent(instance))
    return grounding


def empty_grounding(slots: int = MAX_INSTANCES, seg_size: int = 512, text_dim: int = 0) -> Grounding:
    """A batch of one with nothing in it."""

    def absent() -> torch.Tensor:
        return torch.zeros(1, slots, dtype=torch.bool)

    def place(size: int) -> torch.Tensor:
        return torch.zeros(1, slots, size)

    return Grounding(
        text=place(text_dim), used=absent(), box_xy=place(4), has_box=absent(), point_xy=place(2), has_point=absent(),
        scribble_xy=place(2 * SCRIBBLE_POINTS), has_scribble=absent(),
        polygon_xy=place(2 * POLYGON_POINTS), has_polygon=absent(),
        segs=torch.zeros(1, MAX_INSTANCES, seg_size, seg_size),
        regions=torch.zeros(1, slots, REGION_GRID, REGION_GRID, dtype=torch.bool), extent=place(4),
    )  # fmt: skip


def with_text(grounding: Grounding, features: torch.Tensor) -> Grounding:
    """Put the pooled text features (n, D) of a batch of one's n instances into its slots."""
    text = features.new_zeros(1, grounding.used.shape[1], features.shape[-1])
    text[0, : len(features)] = features
    return replace(grounding, text=text)


def _box(instance: Instance) -> Box | None:
    """The box that the model is told: the given one, or the one around the mask."""
    return instance.box or (instance.mask.box if instance.mask else None)


def _point(instance: Instance) -> Point | None:
    """The instance's own point, or the middle of its box."""
    box = _box(instance)
    return instance.point or (box.centre if box else None)


def _scribble(instance: Instance, rng: np.random.RandomState) -> np.ndarray:
    """(40,) x, y, ... of the given scribble, or of points drawn inside the mask; zeros where there is neither."""
    if instance.scribble:
        points = resample_scribble(np.array([[p.x, p.y] for p in instance.scribble.points]))
    elif instance.mask:
        height, width = instance.mask.size
        points = points_inside(instance.mask.array, SCRIBBLE_POINTS, rng) / (width, height)
    else:
        points = np.zeros((SCRIBBLE_POINTS, 2))
    return points.astype(np.float32).ravel()


def resample_scribble(points: np.ndarray) -> np.ndarray:
    """Points (K, 2) -> (20, 2): ordered by distance from the top left corner, evenly thinned out or repeated."""
    points = sort_by_norm(points)
    if len(points) >= SCRIBBLE_POINTS:
        return points[:: len(points) // SCRIBBLE_POINTS][:SCRIBBLE_POINTS]
    return points[np.arange(SCRIBBLE_POINTS) * len(points) // SCRIBBLE_POINTS]


def _polygon(mask: Mask, rng: random.Random) -> np.ndarray:
    """(512,) x, y, ... of points along and inside the mask, at most 1."""
    height, width = mask.size
    return np.minimum(points_along(mask.array, POLYGON_POINTS, rng) / (width, height), 1.0).astype(np.float32).ravel()


def _resize_mask(mask: Mask, size: int) -> torch.Tensor:
    """(size, size) 0 or 1, nearest neighbour."""
    plane = torch.from_numpy(mask.array.copy())[None, None].float()  # (1, 1, H, W)
    return F.interpolate(plane, (size, size), mode="nearest-exact")[0, 0]


def covered_cells(instance: Instance) -> np.ndarray:
    """(32, 32) bool: the cells of the picture that the place touches; points and scribbles reach a little further.

    The most exact place wins: mask, then box, then scribble, then point.
    """
    cells = np.zeros((REGION_GRID, REGION_GRID), dtype=bool)
    points, reach = _drawn_points(instance)
    if instance.mask and instance.mask.array.any():
        height, width = instance.mask.size
        rows, columns = np.nonzero(instance.mask.array)
        cells[rows * REGION_GRID // height, columns * REGION_GRID // width] = True
    elif instance.box:
        x0, y0, x1, y1 = (value * REGION_GRID for value in instance.box.xyxy)
        cells[int(y0) : math.ceil(y1), int(x0) : math.ceil(x1)] = True
    elif points:  # an empty mask has none
        centres = (np.arange(REGION_GRID) + 0.5) / REGION_GRID
        squared = [(centres[:, None] - point.y) ** 2 + (centres[None] - point.x) ** 2 for point in points]
        cells = np.min(squared, axis=0) <= reach**2
    return cells


def _drawn_points(instance: Instance) -> tuple[tuple[Point, ...], float]:
    """The points of the scribble, else the bare point, and how far they are taken to reach."""
    if instance.scribble:
        return instance.scribble.points, SCRIBBLE_REACH
    return ((instance.point,) if instance.point else ()), POINT_REACH


def _extent(instance: Instance) -> list[float]:
    """xyxy of the box, or around what points and a scribble are taken to reach; may leave the picture."""
    box = _box(instance)
    if box:
        return list(box.xyxy)
    points, reach = _drawn_points(instance)
    if not points:  # an empty mask
        return [0.0] * 4
    xs = [point.x for point in points]
    ys = [point.y for point in points]
    return [min(xs) - reach, min(ys) - reach, max(xs) + reach, max(ys) + reach]


AROUND_SCRIBBLE = 0.03  # a fraction of the picture's side
MOST_OBLONG = 2.5  # a snake or a ladder around a point is drawn this slim at most


def with_reach(layout: Layout) -> Layout:
    """The layout with a box for every instance that has only a point or a scribble.

    The published model chooses the size of such a thing from millions of pictures. A small model that has to choose
    paints the mean of all sizes, so it is given one: around a point that of a middling thing of its known shape, moved
    into the picture; around a scribble the box of its points, and a little more.
    """
    return layout.with_instances([_boxed(instance) for instance in layout.instances])


def _boxed(instance: Instance) -> Instance:
    if instance.box or instance.mask:
        return instance
    if instance.scribble:
        box = _around_points(instance.scribble.points)
    elif instance.point:
        box = _around(instance.point, _shape(instance.category))
    return instance.model_copy(update={"box": box})


def _around_points(points: tuple[Point, ...]) -> Box:
    """The box of a scribble's points, and a little more."""
    xs = [point.x for point in points]
    ys = [point.y for point in points]
    x0, y0 = (max(min(values) - AROUND_SCRIBBLE, 0.0) for values in (xs, ys))
    x1, y1 = (min(max(values) + AROUND_SCRIBBLE, 1.0) for values in (xs, ys))
    return Box(x0=x0, y0=y0, x1=x1, y1=y1)


def _shape(category: str) -> float:
    """Width / height of a known thing, 1 of any other."""
    known = knowledge.thing(category)
    return min(max(known.width_m / known.height_m, 1 / MOST_OBLONG), MOST_OBLONG) if known else 1.0


def _around(point: Point, shape: float) -> Box:
    """A box of about the area of the point's reach, as near to the point as the borders allow."""
    width = 2 * POINT_REACH * shape**0.5
    height = 2 * POINT_REACH / shape**0.5
    x0 = min(max(point.x - width / 2, 0.0), 1.0 - width)
    y0 = min(max(point.y - height / 2, 0.0), 1.0 - height)
    return Box(x0=x0, y0=y0, x1=min(x0 + width, 1.0), y1=min(y0 + height, 1.0))
