"""Points inside and along a mask, drawn as the published model's training drew them."""

from __future__ import annotations

import random

import numpy as np


def sort_by_norm(points: np.ndarray) -> np.ndarray:
    """Points (K, 2) ordered by their distance from the picture's top left corner, ties in the given order."""
    return points[np.argsort(np.linalg.norm(points, axis=1), kind="stable")]


def points_inside(mask: np.ndarray, count: int, rng: np.random.RandomState) -> np.ndarray:
    """``count`` random points of a mask, with repetition only where it has fewer pixels.

    Args:
        mask: (H, W) bool.
        rng: a legacy numpy generator, because the reference draws from one.

    Returns:
        (count, 2) x, y in pixels, by distance from the top left corner; zeros for an empty mask.
    """
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return np.zeros((count, 2))
    picked = rng.choice(len(rows), count, replace=len(rows) < count)
    return sort_by_norm(np.stack([columns[picked], rows[picked]], axis=1).astype(float))


def outline(mask: np.ndarray) -> np.ndarray:
    """Vertices (K, 2) x, y in pixels of all contours of a mask.

    The mask is padded by one pixel, traced at level 0 and not shifted back, so the outline lies 0 to 2 pixels
    right of and below the object: the published weights were trained on exactly this.
    """
    from skimage import measure

    padded = np.pad(mask.astype(np.uint8), 1)
    contours = [np.flip(contour, axis=1) for contour in measure.find_contours(padded, 0) if len(contour) >= 3]
    return np.concatenate(contours) if contours else np.zeros((0, 2))


def points_along(mask: np.ndarray, count: int, rng: random.Random) -> np.ndarray:
    """``count`` points, half along the outline, half inside; (count, 2) x, y in pixels, zeros for an empty mask."""
    vertices = outline(mask)
    rows, columns = np.nonzero(mask)
    if not len(vertices) or not len(rows):
        return np.zeros((count, 2))
    inside = np.stack([columns, rows], axis=1).astype(float)
    return sort_by_norm(np.concatenate([_spread(inside, count - count // 2, rng), _spread(vertices, count // 2, rng)]))


def _spread(points: np.ndarray, count: int, rng: random.Random) -> np.ndarray:
    """``count`` of the points at even steps; with repetition where there are too few."""
    if len(points) >= count:
        return points[np.linspace(0, len(points) - 1, count).astype(int)]
    extra = [rng.choice(range(len(points))) for _ in range(count - len(points))]
    return np.concatenate([points, points[extra]])
