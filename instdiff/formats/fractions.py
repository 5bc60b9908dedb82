"""Coordinates that are fractions of the picture in a file where pixels are asked for.

A box of a few hundredths of a pixel is nobody's wish, and many writers give fractions: where all boxes of a file lie
within 0..1, they are read as such.
"""

from __future__ import annotations

from itertools import chain

SLACK = 0.001  # fractions that were rounded outwards
MAX_DEPTH = 3  # of lists: polygons of pairs
WHOLE = ([0, 0, 1, 1],)  # what only whole numbers may say as fractions: the whole picture

KINDS = {"bbox": "boxes", "point": "points", "scribble": "scribbles", "mask": "polygons"}


def to_pixels(annos: list[dict], size: tuple[int, int]) -> tuple[list[dict], list[str]]:
    """Annotations of the JSON of InstanceDiffusion, with pixels instead of fractions, and what had been fractions.

    Boxes, points, scribbles and polygons are told apart: a file may hold boxes as fractions beside polygons in pixels.

    Args:
        annos: the annotations as they are written; what cannot be read is left as it is.
        size: (width, height) of the canvas in pixels.

    Returns:
        annos, kinds: the same list where nothing is a fraction; kinds such as ``["boxes", "points"]``.
    """
    found = [key for key in KINDS if _are_fractions([anno[key] for anno in annos if anno.get(key)], key)]
    for key in found:
        annos = [{**anno, key: _scale(anno[key], size)} if anno.get(key) else anno for anno in annos]
    return annos, [KINDS[key] for key in found]


def _are_fractions(places: list, key: str) -> bool:
    if key == "mask":
        places = [place for place in places if isinstance(place, list)]  # run lengths are of no unit
    numbers = list(chain.from_iterable(map(_numbers, places)))
    if not numbers or not all(isinstance(one, int | float) and -SLACK <= one <= 1 + SLACK for one in numbers):
        return False
    if all(number == int(number) for number in numbers):
        return key == "bbox" and all(place in WHOLE for place in places)
    return True


def _numbers(place: object, depth: int = 0) -> list:
    """All that is in nested lists; what is no number, such as true or a list in too many others, is None."""
    if isinstance(place, list | tuple) and depth < MAX_DEPTH:
        return [number for inner in place for number in _numbers(inner, depth + 1)]
    return [None if isinstance(place, bool) else place]


def _scale(place: object, size: tuple[int, int]) -> object:
    """Numbers that are x, y, x, y, ... in lists; run lengths stay."""
    if not isinstance(place, list | tuple):
        return place
    return [
        number * size[index % 2] if isinstance(number, int | float) else _scale(number, size)
        for index, number in enumerate(place)
    ]
