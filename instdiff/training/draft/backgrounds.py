"""Smooth backgrounds for the training scenes, in the colours of their settings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from instdiff.training.draft.catalogue import COLOURS
from instdiff.world.knowledge import Setting

Rgb = tuple[int, int, int]


@dataclass(frozen=True)
class Background:
    """A kind of place.

    ``settings`` are the scenes of the knowledge base that look like it, between commas, ``upper`` and ``lower`` the
    colours to choose from for what is above and below the horizon, each a pair (top, bottom) of a gradient. On a
    ``wet`` one nothing casts a shadow.
    """

    settings: str
    upper: tuple[tuple[Rgb, Rgb], ...]
    lower: tuple[tuple[Rgb, Rgb], ...]
    horizon: tuple[float, float]
    between: str = ""
    wet: bool = False


DAY = ((96, 168, 240), (205, 232, 252))
PALE_DAY = ((150, 196, 236), (232, 242, 250))
SUNSET = ((108, 98, 176), (252, 178, 120))
NIGHT = ((10, 14, 44), (44, 54, 104))
GRASS = ((134, 190, 88), (76, 146, 56))
WOOD = ((196, 150, 104), (160, 112, 70))
LIGHT = {SUNSET: "at sunset", NIGHT: "at night"}
DAYS = (DAY, PALE_DAY, SUNSET)
SKIES = (DAY, DAY, PALE_DAY, SUNSET, NIGHT)
LIGHT_GRASS = ((160, 204, 96), (104, 164, 62))
DRY_GRASS = ((206, 186, 110), (172, 148, 78))

ROOM = Background(
    "living room, library, birthday party, cafe, bar, concert, museum, hallway, christmas",
    (((244, 232, 210), (234, 218, 190)), ((214, 228, 238), (190, 210, 226)), ((222, 236, 216), (200, 220, 194)),
     ((246, 220, 212), (234, 200, 190)), ((236, 236, 238), (220, 220, 224)), ((236, 214, 150), (224, 196, 124))),
    (WOOD, ((146, 100, 66), (112, 72, 46)), ((206, 200, 192), (176, 168, 160))), (0.55, 0.72), "skirting",
)  # fmt: skip
MEADOW = Background("meadow, picnic", SKIES, (GRASS, LIGHT_GRASS), (0.4, 0.65), "hills")
BACKGROUNDS = (
    ROOM,
    Background(
        "bedroom, nursery, toy store, clothes shop, cloakroom, pet shop",
        (((222, 214, 240), (204, 194, 228)), ((250, 220, 228), (240, 204, 214)), ((204, 222, 244), (184, 206, 234))),
        (WOOD, ((220, 198, 176), (196, 172, 148))), (0.55, 0.72), "skirting",
    ),
    Background(
        "kitchen, dining room, bathroom, bakery, supermarket, laundry room, hospital, restaurant",
        (((250, 246, 232), (238, 230, 208)), ((216, 238, 234), (194, 222, 218)), ((252, 234, 190), (244, 222, 168))),
        (((216, 216, 220), (184, 184, 190)), WOOD), (0.52, 0.7), "tiles",
    ),
    Background(
        "office, classroom, computer room, laboratory, gym, garage, workshop, art studio",
        (((232, 236, 240), (212, 218, 226)), ((206, 216, 220), (186, 198, 204))),
        (((140, 150, 164), (108, 118, 132)), WOOD), (0.52, 0.7), "skirting",
    ),
    Background(
        "still life, breakfast, dinner",
        (((238, 228, 212), (222, 208, 188)), ((206, 220, 232), (184, 200, 216)), ((226, 226, 226), (204, 204, 206))),
        (WOOD, ((132, 88, 56), (104, 66, 40)), ((244, 240, 234), (222, 214, 204))), (0.3, 0.55),
    ),
    MEADOW,
    Background(
        "park, garden, playground, zoo, wedding, barbecue party, fairground, orchard, vegetable garden",
        DAYS, (GRASS, ((120, 182, 92), (70, 138, 64))), (0.4, 0.62), "bushes",
    ),
    Background("farm, savanna, cornfield", SKIES, (DRY_GRASS, GRASS), (0.4, 0.62), "hills"),
    Background(
        "street, city, parking lot, market, crossing, bus stop, gas station, fire station, town square, rainy street",
        SKIES, (((122, 124, 130), (86, 88, 94)), ((148, 148, 150), (108, 108, 112))), (0.42, 0.62), "buildings",
    ),
    Background(
        "airport, train station, railway, race track, skate park, basketball court, construction site, factory",
        SKIES, (((150, 152, 158), (112, 114, 120)),), (0.4, 0.58), "hills",
    ),
    Background("beach, harbour, island", DAYS, (((238, 216, 164), (222, 192, 134)),), (0.4, 0.58), "sea"),
    Background(
        "river, riverside, waterfall, swimming pool",
        DAYS, (GRASS, ((188, 186, 180), (150, 148, 144))), (0.4, 0.58), "sea",
    ),
    Background(
        "sea, lake, pond",
        SKIES, (((84, 160, 214), (28, 92, 166)), ((92, 188, 200), (34, 120, 156))), (0.3, 0.55), "waves", wet=True,
    ),
    Background(
        "aquarium, coral reef", (((96, 200, 226), (24, 96, 168)), ((60, 150, 200), (14, 60, 120))),
        (((222, 204, 150), (190, 164, 106)),), (0.82, 0.94), wet=True,
    ),
    Background("sky", (DAY, PALE_DAY, SUNSET, NIGHT), (GRASS,), (1.0, 1.0), wet=True),
    Background(
        "snowy landscape, ski resort, winter wonderland",
        (((176, 204, 232), (226, 236, 246)), DAY), (((246, 250, 254), (214, 226, 240)),), (0.4, 0.62), "hills",
    ),
    Background(
        "desert",
        (DAY, SUNSET, ((246, 200, 140), (252, 228, 190))), (((232, 190, 120), (206, 152, 84)),), (0.42, 0.62), "hills",
    ),
    Background(
        "forest, campsite, jungle, cemetery",
        (((132, 176, 150), (190, 214, 180)), DAY), (((96, 128, 66), (62, 92, 44)),), (0.42, 0.6), "bushes",
    ),
    Background("night, halloween", (NIGHT,), (GRASS, LIGHT_GRASS), (0.42, 0.65), "hills"),
    Background("sunset", (SUNSET,), (GRASS, DRY_GRASS), (0.42, 0.65), "hills"),
    Background("space", (NIGHT,), (GRASS,), (1.0, 1.0), wet=True),
    Background(
        "autumn",
        DAYS, (((216, 156, 76), (178, 112, 48)), ((196, 170, 84), (160, 124, 54))), (0.4, 0.62), "hills",
    ),
    Background("cave", (((92, 82, 76), (58, 50, 46)),), (((110, 98, 90), (72, 64, 58)),), (0.5, 0.66), "hills"),
)  # fmt: skip
_BY_SETTING = {name: kind for kind in BACKGROUNDS for name in kind.settings.split(", ")}


def background_of(setting: Setting) -> Background:
    """What a setting of the knowledge base looks like; one without a picture of its own is a room or a meadow."""
    return _BY_SETTING.get(setting.name, ROOM if setting.place == "indoor" else MEADOW)


def paint_background(
    kind: Background, rng: np.random.Generator, size: int, lowest: float = 1.0, by_day: bool = False
) -> tuple[np.ndarray, str]:
    """(S, S, 3) float32 0..255, and words for its light ("at night") or "". The horizon lies above ``lowest``."""
    horizon = rng.uniform(*kind.horizon)
    horizon = horizon if horizon >= 1 else max(min(horizon, lowest), 0.1)
    rows = max(int(horizon * size), 1)
    uppers = [colours for colours in kind.upper if colours != NIGHT or not by_day] or kind.upper
    upper, lower = (colours[rng.integers(len(colours))] for colours in (uppers, kind.lower))
    light = LIGHT.get(upper, "")
    ground = _gradient(*lower, size - rows, size)
    if light == "at night":
        ground = ground * np.array((0.45, 0.5, 0.7), np.float32)
    picture = np.concatenate([_gradient(*upper, rows, size), ground])
    if kind.between:
        BETWEEN[kind.between](picture, rows, rng)
    if light == "at night":
        _stars(picture, max(int(rows * 0.6), 1), rng)
    return _uneven(picture, rng, 5.0), light


def paint_plain(rng: np.random.Generator, size: int) -> tuple[np.ndarray, str]:
    """(S, S, 3) float32 0..255, one colour running into a near one in any direction, and the colour's name or ""."""
    name = ""
    first: np.ndarray
    if rng.random() < 0.5:
        name = list(COLOURS)[rng.integers(len(COLOURS))] if rng.random() < 0.7 else "white"
        first = np.array(COLOURS[name], np.float32)
        second = np.clip(first + rng.normal(0, 8, 3), 0, 255)
    else:
        first = rng.uniform(30, 250, 3)
        second = np.clip(first + rng.normal(0, 30, 3), 0, 255)
    across, down = rng.normal(size=2)
    ramp = across * np.linspace(-1, 1, size)[None, :] + down * np.linspace(-1, 1, size)[:, None]
    ramp = ((ramp - ramp.min()) / (np.ptp(ramp) + 1e-6))[..., None]
    return _uneven((first * (1 - ramp) + second * ramp).astype(np.float32), rng, 4.0), name


def _gradient(top: Rgb, bottom: Rgb, rows: int, size: int) -> np.ndarray:
    ramp = np.linspace(0, 1, rows, dtype=np.float32)[:, None, None]
    column = np.array(top, np.float32) * (1 - ramp) + np.array(bottom, np.float32) * ramp
    return np.repeat(column, size, axis=1)


def _uneven(picture: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """A soft, low-frequency change of brightness and tint, so that no two backgrounds are the same."""
    import cv2

    size = picture.shape[0]
    noise = cv2.resize(rng.normal(0, strength, (5, 5)).astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    return np.clip(picture + noise[..., None] + rng.normal(0, 5, 3).astype(np.float32), 0, 255)


def _skyline(rows: int, size: int, rng: np.random.Generator, height: float) -> np.ndarray:
    """(S,) row of a rolling line that rises up to ``height`` picture sides above row ``rows``."""
    x = np.linspace(0, 2 * np.pi, size)
    waves = np.zeros(size)
    for k in (1, 2, 3):
        waves += np.sin(k * rng.uniform(0.5, 1.2) * x + rng.uniform(0, 6.3)) / k
    return rows - size * height * (waves - waves.min()) / np.ptp(waves)


def _hills(picture: np.ndarray, rows: int, rng: np.random.Generator) -> None:
    size = picture.shape[0]
    tint = 0.6 * picture[min(rows + 2, size - 1), 0] + 0.4 * picture[rows - 1, 0]
    line = _skyline(rows, size, rng, rng.uniform(0.04, 0.16))
    cover = np.clip(np.arange(rows)[:, None] - line[None, :], 0, 1)[..., None]
    picture[:rows] += cover * (tint - picture[:rows])


def _bushes(picture: np.ndarray, rows: int, rng: np.random.Generator) -> None:
    size = picture.shape[0]
    y, x = np.mgrid[:rows, :size].astype(np.float32)
    green = np.array((70, 130, 66), np.float32) + rng.normal(0, 10, 3).astype(np.float32)
    for centre in np.arange(rng.uniform(-0.1, 0.1), 1.1, 0.16) * size:
        radius = size * rng.uniform(0.07, 0.14)
        cover = np.clip(radius - np.hypot(x - centre, (y - rows) * 1.3), 0, 1)[..., None]
        shade = green * (0.85 + 0.3 * (rows - y) / (2 * radius))[..., None]
        picture[:rows] += cover * (shade - picture[:rows])


def _sea(picture: np.ndarray, rows: int, rng: np.random.Generator) -> None:
    size = picture.shape[0]
    depth = max(int(size * rng.uniform(0.06, 0.14)), 2)
    picture[rows - depth : rows] = _gradient((40, 122, 190), (112, 196, 214), depth, size)
    picture[rows : rows + max(size // 100, 1)] = (248, 248, 244)


def _waves(picture: np.ndarray, rows: int, rng: np.random.Generator) -> None:
    size = picture.shape[0]
    for _ in range(14):
        row = int(rng.uniform(rows + 2, size - 2))
        left = int(rng.uniform(0, size * 0.9))
        picture[row : row + max(size // 128, 1), left : left + int(size * rng.uniform(0.05, 0.16))] += 24


def _buildings(picture: np.ndarray, rows: int, rng: np.random.Generator) -> None:
    size = picture.shape[0]
    left = 0
    while left < size:
        width = int(size * rng.uniform(0.1, 0.2))
        height = int(min(size * rng.uniform(0.12, 0.34), rows))
        colour = rng.uniform(120, 205, 3).astype(np.float32) * 0.5 + np.array((170, 165, 170), np.float32) * 0.5
        block = picture[rows - height : rows, left : left + width]
        block[:] = colour
        step = max(size // 22, 4)
        for top in range(step // 2, height - step // 2, step):
            for side in range(step // 2, width - step // 2, step):
                block[top : top + step // 2, side : side + step // 2] = colour * 0.72
        left += width + int(size * rng.uniform(0, 0.03))
    kerb = max(size // 40, 2)
    picture[rows : rows + kerb] = (196, 194, 190)
    line = int(rows + (size - rows) * 0.55)
    for start in range(int(rng.uniform(0, size / 8)), size, size // 4):
        picture[line : line + kerb, start : start + size // 8] = (232, 228, 214)


def _stars(picture: np.ndarray, rows: int, rng: np.random.Generator) -> None:
    size = picture.shape[0]
    for _ in range(40):
        y = int(rng.uniform(0, rows * 0.95))
        x = int(rng.uniform(0, size - 1))
        picture[y : y + 1 + size // 256, x : x + 1 + size // 256] = rng.uniform(150, 255)


def _skirting(picture: np.ndarray, rows: int, rng: np.random.Generator) -> None:
    height = max(int(picture.shape[0] * rng.uniform(0.015, 0.035)), 1)
    picture[rows - height : rows] = np.minimum(picture[rows - height : rows] * 0.6 + 105, 255)


def _tiles(picture: np.ndarray, rows: int, rng: np.random.Generator) -> None:
    size = picture.shape[0]
    step = int(size * rng.uniform(0.07, 0.11))
    line = max(size // 170, 1)
    for offset in range(line):
        picture[rows % step + offset : rows : step] *= 0.93
        picture[:rows, offset::step] *= 0.93


BETWEEN = {
    "hills": _hills, "bushes": _bushes, "sea": _sea, "waves": _waves, "buildings": _buildings, "skirting": _skirting,
    "tiles": _tiles,
}  # fmt: skip
