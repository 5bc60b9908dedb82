"""Where a thing is that another bears: inside a container, at the hand of a holder, on the body of a wearer.

Boxes are fractions of the picture. Places on a body are fractions of the box of a body that stands upright:
(x0, x1, y0, y1), 0 = its left or top.
"""

from __future__ import annotations

import math
from random import Random
from typing import NamedTuple

from instdiff.layout import Box
from instdiff.world import knowledge, nouns
from instdiff.world.placement import frame, surface_in
from instdiff.world.poses import SIDE_ON, is_body, is_lying, is_side_on
from instdiff.world.relations import middle_x
from instdiff.world.scene import SceneObject

Region = tuple[float, float, float, float]

# what is worn, by the part of the body that it is worn on
GARMENTS = {
    "head": """hat cap helmet crown wig beanie hood tiara beret turban headband bonnet fedora sombrero bow hair halo
        horn""",
    "ears": "headphones headphone earphones earmuffs headset earring earrings",
    "face": "eyeglasses glasses sunglasses goggles spectacles monocle",
    "mouth": "mask moustache mustache beard snorkel pipe cigar cigarette nose",
    "neck": "scarf necklace collar bandana pendant medal garland lei stethoscope",
    "knot": "bowtie",
    "chest": "tie badge bib",
    "torso": """t-shirt tshirt shirt jacket sweater vest blouse hoodie top waistcoat cardigan backpack apron bra
        sweatshirt jersey saddle blazer tunic corset harness poncho rucksack wing wings armor armour bikini cape""",
    "body": """coat dress suit robe gown kimono uniform costume raincoat tuxedo cloak jumpsuit overalls pajamas toga
        sari spacesuit wetsuit swimsuit""",
    "waist": "belt sash tutu",
    "skirt": "skirt shorts kilt underwear trunks",
    "legs": "trousers pants jeans leggings tights",
    "feet": "shoe boot sock skate ski skis sandal slipper sneaker heel flipper snowboard",
    "hands": "glove mitten",
    "wrist": "watch ring bracelet wristband",
}
PART_OF = {garment: part for part, garments in GARMENTS.items() for garment in garments.split()}
STANDING: dict[str, Region] = {
    "head": (0.23, 0.77, -0.07, 0.09),
    "ears": (0.25, 0.75, 0.0, 0.13),
    "face": (0.3, 0.7, 0.06, 0.11),
    "mouth": (0.3, 0.7, 0.06, 0.15),
    "neck": (0.28, 0.72, 0.15, 0.29),
    "knot": (0.38, 0.62, 0.16, 0.21),
    "chest": (0.4, 0.6, 0.17, 0.42),
    "torso": (0.08, 0.92, 0.16, 0.52),
    "body": (0.06, 0.94, 0.16, 0.78),
    "waist": (0.18, 0.82, 0.45, 0.51),
    "skirt": (0.12, 0.88, 0.46, 0.68),
    "legs": (0.14, 0.86, 0.48, 0.96),
    "feet": (0.12, 0.88, 0.89, 1.0),
    "hands": (0.0, 0.22, 0.45, 0.55),
    "wrist": (0.02, 0.18, 0.44, 0.5),
}
FROM_THE_SIDE: dict[str, Region] = {  # of an animal that looks to the left
    "head": (0.02, 0.32, -0.09, 0.15),
    "ears": (0.04, 0.3, 0.0, 0.2),
    "face": (0.03, 0.25, 0.1, 0.24),
    "mouth": (0.0, 0.22, 0.14, 0.34),
    "neck": (0.14, 0.4, 0.28, 0.52),
    "knot": (0.14, 0.34, 0.34, 0.48),
    "chest": (0.14, 0.34, 0.32, 0.62),
    "torso": (0.26, 0.84, 0.15, 0.62),
    "body": (0.22, 0.9, 0.14, 0.7),
    "waist": (0.4, 0.7, 0.2, 0.65),
    "skirt": (0.55, 0.95, 0.3, 0.7),
    "legs": (0.1, 0.9, 0.55, 0.95),
    "feet": (0.08, 0.92, 0.86, 1.0),
    "hands": (0.08, 0.32, 0.84, 1.0),
    "wrist": (0.12, 0.28, 0.74, 0.86),
}
PAIRED = ("feet", "hands", "wrist")  # parts of which there are two: two things share them
BOTH_FEET = "feet"
HAND = 0.52  # the height of a hand, share of the holder's from its top
MOUTH = 0.42  # ... and of an animal's mouth, at its front end, where it holds things
LONG = 0.6  # what is longer than so much of its holder's height reaches beyond the hand
GRIP = 0.66  # how low the lower end of what is long is held
HIGHEST_HELD = 0.32  # where the middle of what is held is at the highest
INSIDE = 0.88  # the share of a container that its contents may fill
TALL = 0.7  # what is higher than so much of its container stands in it in one row
SUNK_IN = 0.78  # the share of what is high that is inside
STRETCH = 1.6
STICKS_OUT = 1.25  # what is higher than its container is drawn at most so many times as high


SEATS = knowledge.with_alike(
    """couch chair armchair bench bed stool throne swing sofa hammock beanbag wheelchair toilet mattress pillow
    bathtub""".split()
) | {"high chair", "sun lounger", "hospital bed", "park bench", "rocking chair"}
RIDES = frozenset("bicycle motorcycle tricycle snowmobile tractor broom rickshaw".split()) | {
    "jet ski",
    "go-kart",
    "rocking horse",
    "lawn mower",
}
ASTRIDE = 0.4  # the share of a rider that is below the back of what is ridden
SEATED = 0.35  # ... and of who sits below the seat


class Bearing(NamedTuple):
    """Who bears, in which box, on a picture of this width / height; ``shortest`` sides (short, long) can be painted."""

    bearer: SceneObject
    at: Box
    aspect: float
    shortest: tuple[float, float]


def borne_box(manner: str, bearing: Bearing, item: SceneObject, place: tuple[int, int], rng: Random) -> Box:
    """The box of a thing that is "in", "held" or "worn".

    Args:
        place: its number among the things that the bearer has in this manner, and how many these are.
    """
    if manner == "in":
        return _inside(bearing, item, place, rng)
    if manner == "held":
        return _held(bearing, item, place, rng)
    return _worn(bearing, item, place)


def sits_on(item: SceneObject, carrier: SceneObject) -> bool:
    """True for a person or the like on a seat, or on the back of what is ridden; not for who stands or lies there."""
    upright = is_body(item.category) and item.category not in SIDE_ON and item.height_m > item.width_m
    on_seat = carrier.category in SEATS or is_ridden(carrier)
    return upright and on_seat and "standing" not in item.caption


def is_ridden(carrier: SceneObject) -> bool:
    """True for what people sit astride: horses and the like, bicycles."""
    return carrier.category in RIDES or carrier.category in SIDE_ON


def seat_foot(carrier: SceneObject, at: Box, height: float) -> float:
    """Where the foot is of who is so high, as a fraction of the picture, and sits on a carrier: below its surface."""
    share = ASTRIDE if is_ridden(carrier) else SEATED
    return min(surface_in(carrier.thing, at) + share * height, at.y1)


def room_for(contents: int, ratio: float) -> tuple[int, int]:
    """(columns, rows) of so many things in a container, by its width / height as painted."""
    if contents == 0:
        return 0, 0
    columns = min(max(round((contents * ratio) ** 0.5), 1), contents)
    return columns, math.ceil(contents / columns)


def part_of(item: SceneObject) -> str:
    """The part of the body that a thing is worn on; the torso for what nobody knows."""
    for words in (item.category, item.caption.split(" with ")[0]):
        for word in reversed(words.lower().replace(",", " ").split()):
            part = PART_OF.get(word) or PART_OF.get(nouns.singular_of(word))
            if part:
                return "knot" if words.lower().endswith("bow tie") else part
    return "torso"


def faces_left(bearer: SceneObject) -> bool:
    """Which way an animal looks: the same for all that it wears and holds."""
    return sum(bearer.id.encode()) % 2 == 0


def _metre(bearing: Bearing) -> float:
    """Picture heights per metre where the bearer is."""
    bearer = bearing.bearer
    across = bearing.at.width * bearing.aspect / bearer.width_m
    return (across * bearing.at.height / bearer.height_m) ** 0.5


def _paintable(width: float, height: float, bearing: Bearing) -> tuple[float, float]:
    """The sides, grown in proportion until the thing can be painted."""
    short, long = bearing.shortest
    grow = max(1.0, long / max(width, height))
    return max(width * grow, short), max(height * grow, short)


def _inside(bearing: Bearing, item: SceneObject, place: tuple[int, int], rng: Random) -> Box:
    """One of the contents: in a cell of its own, the last row lowest; what is high sticks out at the top."""
    at = bearing.at
    number, count = place
    is_tall = item.height_m > TALL * bearing.bearer.height_m and item.support != "water"
    columns, rows = (count, 1) if is_tall else room_for(count, at.width * bearing.aspect / at.height)
    cell_width = INSIDE * at.width / columns
    cell_height = INSIDE * at.height / rows
    metre = _metre(bearing)
    width, height = _paintable(item.width_m * metre / bearing.aspect, item.height_m * metre, bearing)
    tallest = STICKS_OUT * at.height if rows == 1 else 1.1 * cell_height
    widest = 0.9 * cell_width if count == 1 else max(1.1 * cell_width, bearing.shortest[0])
    slim = STRETCH if is_tall else 1.0  # flowers in a vase lie over each other: what is seen of each is slim
    height = min(height * min(1.0, slim * widest / width), tallest)
    width = min(width, widest)
    column = number % columns
    row = number // columns
    in_row = columns if row < rows - 1 else count - columns * (rows - 1)
    free_x = max(cell_width - width, 0.0)
    x = middle_x(at) + (column - (in_row - 1) / 2) * cell_width + rng.uniform(-0.3, 0.3) * free_x
    low = at.y1 - 0.05 * at.height
    if is_tall:
        y1 = min(low, at.y0 + SUNK_IN * height)
    elif rows == 1:
        y1 = low - rng.uniform(0.1, 0.7) * max(low - at.y0 - 0.05 * at.height - height, 0.0)
    else:
        y1 = at.y1 - (1 - INSIDE) / 2 * at.height - (rows - 1 - row) * cell_height - max(cell_height - height, 0.0) / 2
    return frame(x, y1, width, height)


def _held(bearing: Bearing, item: SceneObject, place: tuple[int, int], rng: Random) -> Box:
    """At a hand, the next thing at the other one; an animal holds in its mouth, or before its chest."""
    at = bearing.at
    bearer = bearing.bearer
    metre = _metre(bearing)
    width, height = _paintable(item.width_m * metre / bearing.aspect, item.height_m * metre, bearing)
    fit = min(1.0, 1.1 * at.height / height, 1.5 * max(at.width, at.height / bearing.aspect) / width)
    width *= fit
    height *= fit
    number = place[0] + sum(item.id.encode()) % 2 * (place[1] == 1)
    if is_side_on(bearer.category, bearer.width_m, bearer.height_m):
        x = at.x0 + (0.1 + 0.12 * (number // 2)) * at.width
        x = x if faces_left(bearer) else at.x0 + at.x1 - x
        return frame(x, at.y0 + MOUTH * at.height + height / 2, width, height)
    lying = is_lying(bearer.category, bearer.width_m, bearer.height_m)
    side = (-1, 1, 0)[number % 3] if width < 1.2 * at.width or item.support == "sky" else 0
    reach = 0.42 + rng.uniform(-0.05, 0.08)
    x = middle_x(at) + side * reach * at.width
    middle_at = at.y0 + (HAND if not lying else 0.5) * at.height
    if item.support == "sky":  # on a string
        middle_at = max(middle_at - height / 2, at.y0 + HIGHEST_HELD * at.height)
    elif height > LONG * at.height:
        middle_at = max(at.y0 + GRIP * at.height - height / 2, at.y0 + HIGHEST_HELD * at.height)
    return frame(x, middle_at + height / 2, width, height)


def _worn(bearing: Bearing, item: SceneObject, place: tuple[int, int]) -> Box:
    """On its part of the body; of two gloves one on each hand."""
    at = bearing.at
    bearer = bearing.bearer
    part = part_of(item)
    side_on = is_side_on(bearer.category, bearer.width_m, bearer.height_m)
    x0, x1, y0, y1 = (FROM_THE_SIDE if side_on else STANDING)[part]
    number, count = place
    if part in PAIRED and (part != BOTH_FEET or count > 1):
        if part == BOTH_FEET:
            x1 = (x0 + x1) / 2
        if number % 2:
            x0, x1 = 1 - x1, 1 - x0
    if side_on and not faces_left(bearer):
        x0, x1 = 1 - x1, 1 - x0
    if is_lying(bearer.category, bearer.width_m, bearer.height_m):
        x0, x1, y0, y1 = (y0, y1, x0, x1) if faces_left(bearer) else (1 - y1, 1 - y0, x0, x1)
    width, height = _paintable((x1 - x0) * at.width, (y1 - y0) * at.height, bearing)
    x = at.x0 + (x0 + x1) / 2 * at.width
    y = at.y0 + max((y0 + y1) / 2, 0.01) * at.height  # half of what is too small to be painted so small is on the body
    return frame(x, y + height / 2, width, height)
