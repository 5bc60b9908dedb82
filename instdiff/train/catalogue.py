"""What the training scenes are made of: one plain table of things, and the colours they come in."""

from __future__ import annotations

from dataclasses import dataclass

# name -> sRGB; the middle tone of a thing of that colour
COLOURS = {
    "red": (214, 34, 40),
    "orange": (246, 130, 20),
    "yellow": (250, 208, 36),
    "green": (44, 158, 62),
    "blue": (36, 98, 222),
    "purple": (132, 62, 192),
    "pink": (246, 132, 182),
    "brown": (122, 76, 44),
    "black": (36, 36, 40),
    "white": (242, 242, 242),
    "gray": (138, 140, 145),
}
ALL = tuple(COLOURS)
FUR = ("brown", "black", "white", "gray", "orange")
FRUIT = ("red", "green", "yellow")


@dataclass(frozen=True)
class Thing:
    """A category of sprite.

    ``emoji`` is the code point file in the emoji package, or "" where ``art/NAME.svg`` is our own drawing.
    ``place`` is where it belongs: "stand" (on the ground), "small" (on a table or the ground), "sky" or "wall".
    ``scenes`` are the kinds of ground scene it is at home in. ``colours`` are those it may be tinted in.
    """

    emoji: str
    height_m: float
    place: str
    scenes: tuple[str, ...]
    colours: tuple[str, ...] = ()


IN, OUT, BOTH, WET = ("indoor",), ("outdoor",), ("indoor", "outdoor"), ("water",)
STREET = ("outdoor", "street")

THINGS = {
    "cat": Thing("1f408", 0.4, "stand", (*BOTH, "street"), FUR),
    "dog": Thing("1f415", 0.6, "stand", (*BOTH, "street"), FUR),
    "horse": Thing("1f40e", 1.7, "stand", OUT, ("brown", "black", "white", "gray")),
    "cow": Thing("1f404", 1.5, "stand", OUT),
    "sheep": Thing("1f411", 0.9, "stand", OUT),
    "pig": Thing("1f416", 0.8, "stand", OUT),
    "elephant": Thing("1f418", 3.0, "stand", OUT),
    "giraffe": Thing("1f992", 4.5, "stand", OUT),
    "bear": Thing("", 1.2, "stand", OUT, ("brown", "black", "white")),
    "rabbit": Thing("1f407", 0.35, "stand", BOTH, FUR),
    "bird": Thing("1f426", 0.25, "sky", (*STREET, "water"), ALL),
    "duck": Thing("1f986", 0.4, "stand", ("outdoor", "water")),
    "fish": Thing("1f41f", 0.3, "stand", WET, ALL),
    "butterfly": Thing("1f98b", 0.15, "sky", OUT, ALL),
    "car": Thing("1f697", 1.5, "stand", STREET, ALL),
    "bus": Thing("1f68c", 3.0, "stand", STREET, ALL),
    "truck": Thing("1f69a", 2.8, "stand", STREET, ALL),
    "bicycle": Thing("1f6b2", 1.1, "stand", STREET, ALL),
    "motorcycle": Thing("1f3cd-fe0f", 1.1, "stand", STREET, ALL),
    "airplane": Thing("2708-fe0f", 6.0, "sky", (*STREET, "water"), ALL),
    "train": Thing("1f682", 3.5, "stand", STREET, ALL),
    "boat": Thing("", 3.5, "stand", WET, ALL),
    "couch": Thing("", 0.9, "stand", IN, ALL),
    "chair": Thing("1fa91", 0.9, "stand", BOTH, ALL),
    "bed": Thing("1f6cf-fe0f", 0.9, "stand", IN, ALL),
    "table": Thing("", 0.75, "stand", BOTH, ("brown", "black", "white", "gray", "red", "green", "blue")),
    "lamp": Thing("", 1.4, "stand", IN, ALL),
    "bookshelf": Thing("", 1.9, "stand", IN),
    "tv": Thing("1f4fa", 0.7, "stand", IN),
    "clock": Thing("1f552", 0.35, "wall", IN),
    "potted plant": Thing("1fab4", 0.7, "stand", BOTH),
    "rug": Thing("", 0.5, "stand", IN, ALL),
    "picture frame": Thing("1f5bc-fe0f", 0.6, "wall", IN),
    "cup": Thing("", 0.12, "small", IN, ALL),
    "bowl": Thing("", 0.12, "small", IN, ALL),
    "bottle": Thing("", 0.3, "small", IN, ("green", "blue", "brown", "red", "black", "white", "purple")),
    "book": Thing("1f4d5", 0.25, "small", IN, ALL),
    "laptop": Thing("1f4bb", 0.25, "small", IN),
    "vase": Thing("", 0.35, "small", IN, ALL),
    "teddy bear": Thing("1f9f8", 0.4, "small", IN, ("brown", "white", "pink", "gray", "blue")),
    "umbrella": Thing("2602-fe0f", 0.9, "stand", (*STREET, "water"), ALL),
    "backpack": Thing("1f392", 0.5, "small", BOTH, ALL),
    "ball": Thing("", 0.25, "small", (*BOTH, "water"), ALL),
    "balloon": Thing("1f388", 0.4, "sky", (*BOTH, "street"), ALL),
    "apple": Thing("1f34e", 0.08, "small", IN, FRUIT),
    "banana": Thing("1f34c", 0.12, "small", IN),
    "orange": Thing("1f34a", 0.08, "small", IN),
    "pizza": Thing("1f355", 0.2, "small", IN),
    "cake": Thing("1f382", 0.2, "small", IN),
    "donut": Thing("1f369", 0.1, "small", IN),
    "carrot": Thing("1f955", 0.15, "small", IN),
    "tree": Thing("1f333", 5.0, "stand", STREET),
    "flower": Thing("1f337", 0.4, "stand", OUT, ("red", "orange", "yellow", "blue", "purple", "pink", "white")),
    "house": Thing("1f3e0", 6.0, "stand", STREET, ALL),
    "sun": Thing("2600-fe0f", 6.0, "sky", (*STREET, "water")),
    "cloud": Thing("2601-fe0f", 5.0, "sky", (*STREET, "water")),
    "person": Thing("1f9cd", 1.7, "stand", (*BOTH, "street", "water")),
}
