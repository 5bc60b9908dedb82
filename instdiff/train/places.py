"""What the places of the training scenes look like: the colours of wall or sky and of floor or ground, by setting."""

from __future__ import annotations

from dataclasses import dataclass

from instdiff.knowledge import Setting

Rgb = tuple[int, int, int]


@dataclass(frozen=True)
class Background:
    """A kind of place.

    ``settings`` are the scenes of the knowledge base that look like it, ``upper`` and ``lower`` the colours to choose
    from for what is above and below the horizon, each a pair (top, bottom) of a gradient. On a ``wet`` one nothing
    casts a shadow.
    """

    settings: tuple[str, ...]
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
SKIES = (DAY, DAY, PALE_DAY, SUNSET, NIGHT)

ROOM = Background(
    ("living room", "library", "birthday party", "cafe", "bar", "concert", "museum", "hallway", "christmas"),
    (
        ((244, 232, 210), (234, 218, 190)),
        ((214, 228, 238), (190, 210, 226)),
        ((222, 236, 216), (200, 220, 194)),
        ((246, 220, 212), (234, 200, 190)),
        ((236, 236, 238), (220, 220, 224)),
        ((236, 214, 150), (224, 196, 124)),
    ),
    (WOOD, ((146, 100, 66), (112, 72, 46)), ((206, 200, 192), (176, 168, 160))),
    (0.55, 0.72),
    "skirting",
)
MEADOW = Background(("meadow", "picnic"), SKIES, (GRASS, ((160, 204, 96), (104, 164, 62))), (0.4, 0.65), "hills")
BACKGROUNDS = (
    ROOM,
    Background(
        ("bedroom", "nursery", "toy store", "clothes shop", "cloakroom", "pet shop"),
        (((222, 214, 240), (204, 194, 228)), ((250, 220, 228), (240, 204, 214)), ((204, 222, 244), (184, 206, 234))),
        (WOOD, ((220, 198, 176), (196, 172, 148))),
        (0.55, 0.72),
        "skirting",
    ),
    Background(
        ("kitchen", "dining room", "bathroom", "bakery", "supermarket", "laundry room", "hospital", "restaurant"),
        (((250, 246, 232), (238, 230, 208)), ((216, 238, 234), (194, 222, 218)), ((252, 234, 190), (244, 222, 168))),
        (((216, 216, 220), (184, 184, 190)), WOOD),
        (0.52, 0.7),
        "tiles",
    ),
    Background(
        ("office", "classroom", "computer room", "laboratory", "gym", "garage", "workshop", "art studio"),
        (((232, 236, 240), (212, 218, 226)), ((206, 216, 220), (186, 198, 204))),
        (((140, 150, 164), (108, 118, 132)), WOOD),
        (0.52, 0.7),
        "skirting",
    ),
    Background(
        ("still life", "breakfast", "dinner"),
        (((238, 228, 212), (222, 208, 188)), ((206, 220, 232), (184, 200, 216)), ((226, 226, 226), (204, 204, 206))),
        (WOOD, ((132, 88, 56), (104, 66, 40)), ((244, 240, 234), (222, 214, 204))),
        (0.3, 0.55),
    ),
    MEADOW,
    Background(
        ("park", "garden", "playground", "zoo", "wedding", "barbecue party", "fairground", "orchard", "vegetable garden"),
        (DAY, PALE_DAY, SUNSET),
        (GRASS, ((120, 182, 92), (70, 138, 64))),
        (0.4, 0.62),
        "bushes",
    ),
    Background(("farm", "savanna", "cornfield"), SKIES, (((206, 186, 110), (172, 148, 78)), GRASS), (0.4, 0.62), "hills"),
    Background(
        ("street", "city", "parking lot", "market", "crossing", "bus stop", "gas station", "fire station", "town square", "rainy street"),
        SKIES,
        (((122, 124, 130), (86, 88, 94)), ((148, 148, 150), (108, 108, 112))),
        (0.42, 0.62),
        "buildings",
    ),
    Background(
        ("airport", "train station", "railway", "race track", "skate park", "basketball court", "construction site", "factory"),
        SKIES,
        (((150, 152, 158), (112, 114, 120)),),
        (0.4, 0.58),
        "hills",
    ),
    Background(("beach", "harbour", "island"), (DAY, PALE_DAY, SUNSET), (((238, 216, 164), (222, 192, 134)),), (0.4, 0.58), "sea"),
    Background(
        ("river", "riverside", "waterfall", "swimming pool"),
        (DAY, PALE_DAY, SUNSET),
        (GRASS, ((188, 186, 180), (150, 148, 144))),
        (0.4, 0.58),
        "sea",
    ),
    Background(
        ("sea", "lake", "pond"), SKIES, (((84, 160, 214), (28, 92, 166)), ((92, 188, 200), (34, 120, 156))), (0.3, 0.55), "waves", wet=True
    ),
    Background(
        ("aquarium", "coral reef"),
        (((96, 200, 226), (24, 96, 168)), ((60, 150, 200), (14, 60, 120))),
        (((222, 204, 150), (190, 164, 106)),),
        (0.82, 0.94),
        "",
        wet=True,
    ),
    Background(("sky",), (DAY, PALE_DAY, SUNSET, NIGHT), (GRASS,), (1.0, 1.0), "", wet=True),
    Background(
        ("snowy landscape", "ski resort", "winter wonderland"),
        (((176, 204, 232), (226, 236, 246)), DAY),
        (((246, 250, 254), (214, 226, 240)),),
        (0.4, 0.62),
        "hills",
    ),
    Background(("desert",), (DAY, SUNSET, ((246, 200, 140), (252, 228, 190))), (((232, 190, 120), (206, 152, 84)),), (0.42, 0.62), "hills"),
    Background(
        ("forest", "campsite", "jungle", "cemetery"),
        (((132, 176, 150), (190, 214, 180)), DAY),
        (((96, 128, 66), (62, 92, 44)),),
        (0.42, 0.6),
        "bushes",
    ),
    Background(("night", "halloween"), (NIGHT,), (GRASS, ((160, 204, 96), (104, 164, 62))), (0.42, 0.65), "hills"),
    Background(("sunset",), (SUNSET,), (GRASS, ((206, 186, 110), (172, 148, 78))), (0.42, 0.65), "hills"),
    Background(("space",), (NIGHT,), (GRASS,), (1.0, 1.0), wet=True),
    Background(
        ("autumn",), (DAY, PALE_DAY, SUNSET), (((216, 156, 76), (178, 112, 48)), ((196, 170, 84), (160, 124, 54))), (0.4, 0.62), "hills"
    ),
    Background(("cave",), (((92, 82, 76), (58, 50, 46)),), (((110, 98, 90), (72, 64, 58)),), (0.5, 0.66), "hills"),
)
_BY_SETTING = {name: kind for kind in BACKGROUNDS for name in kind.settings}


def background_of(setting: Setting) -> Background:
    """What a setting of the knowledge base looks like; one without a picture of its own is a room or a meadow."""
    return _BY_SETTING.get(setting.name, ROOM if setting.place == "indoor" else MEADOW)
