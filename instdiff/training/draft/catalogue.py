"""What the training scenes are made of: one plain table of things, and the colours and textures they come in."""

from __future__ import annotations

from dataclasses import dataclass, field

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
TEXTURES = ("striped", "dotted", "checkered", "wooden", "metal")

ALL = tuple(COLOURS)
FUR = ("brown", "black", "white", "gray", "orange")
FRUIT = ("red", "green", "yellow")
BROWNS = ("brown", "black", "white", "red")
FURNITURE = ("brown", "black", "white", "gray", "red", "green", "blue")
BOTTLE = ("green", "blue", "brown", "red", "black", "white", "purple")

PRINT = ("striped", "dotted")
CLOTH = ("striped", "dotted", "checkered")
WOOD = ("wooden",)
METAL = ("metal",)
HARD = ("wooden", "metal")
PRINT_HARD = PRINT + HARD
PRINT_METAL = PRINT + METAL


@dataclass(frozen=True)
class SpriteKind:
    """A category of sprite.

    ``emoji`` is the code point that the emoji sets name their picture by. ``looks`` are the drawings it has, the
    usual one first: "f" of the Fluent set, "n" of the Noto set, "a" our own ``art/NAME.svg``. ``colours`` and
    ``textures`` are those it may be painted in; ``natural`` is the colour it has by itself, where all looks share one.
    ``mirror`` is False for what has writing, a map or a dial on it. ``kinds`` are nouns with a drawing of their own.
    """

    emoji: str
    looks: str
    colours: tuple[str, ...] = ()
    textures: tuple[str, ...] = ()
    natural: str = ""
    mirror: bool = True
    kinds: dict[str, str] = field(default_factory=dict)


THINGS = {
    # animals
    "cat": SpriteKind("1f408", "fn", FUR),
    "dog": SpriteKind("1f415", "fn", FUR),
    "horse": SpriteKind("1f40e", "fn", ("brown", "black", "white", "gray")),
    "cow": SpriteKind("1f404", "nf"),
    "sheep": SpriteKind("1f411", "nf"),
    "pig": SpriteKind("1f416", "nf", natural="pink"),
    "goat": SpriteKind("1f410", "nf", natural="brown"),
    "chicken": SpriteKind("1f413", "nf"),
    "elephant": SpriteKind("1f418", "nf", natural="gray"),
    "giraffe": SpriteKind("1f992", "nf"),
    "zebra": SpriteKind("1f993", "nf"),
    "tiger": SpriteKind("1f405", "nf", natural="orange"),
    "monkey": SpriteKind("1f412", "nf", natural="brown"),
    "camel": SpriteKind("1f42a", "fn"),
    "deer": SpriteKind("1f98c", "nf", natural="brown"),
    "bear": SpriteKind("", "a", ("brown", "black", "white")),
    "rabbit": SpriteKind("1f407", "nf", FUR),
    "mouse": SpriteKind("1f401", "nf", natural="gray"),
    "turtle": SpriteKind("1f422", "nf", natural="green"),
    "snake": SpriteKind("1f40d", "fn", ALL, PRINT),
    "dinosaur": SpriteKind("1f996", "fn", ALL, PRINT),
    "bird": SpriteKind("1f426", "n", ALL),
    "parrot": SpriteKind("1f99c", "nf"),
    "duck": SpriteKind("1f986", "nf"),
    "swan": SpriteKind("1f9a2", "f", natural="white"),
    "penguin": SpriteKind("1f427", "nf"),
    "fish": SpriteKind("1f41f", "fn", ALL, PRINT),
    "dolphin": SpriteKind("1f42c", "fn", natural="blue"),
    "whale": SpriteKind("1f40b", "fn", natural="blue"),
    "shark": SpriteKind("1f988", "nf", natural="gray"),
    "crab": SpriteKind("1f980", "nf", natural="red"),
    "bee": SpriteKind("1f41d", "nf"),
    "butterfly": SpriteKind("1f98b", "fn", ALL),
    "person": SpriteKind("1f9cd", "nf", kinds={"woman": "1f9cd-200d-2640-fe0f", "man": "1f9cd-200d-2642-fe0f"}),
    # what moves, and sport
    "car": SpriteKind("1f697", "nf", ALL, PRINT),
    "bus": SpriteKind("1f68c", "fn", ALL),
    "truck": SpriteKind("1f69a", "fn", ALL),
    "bicycle": SpriteKind("1f6b2", "fn", ALL),
    "motorcycle": SpriteKind("1f3cd-fe0f", "fn", ALL),
    "airplane": SpriteKind("2708-fe0f", "fn", ALL),
    "train": SpriteKind("1f682", "fn", ALL),
    "boat": SpriteKind("26f5", "an", ALL, WOOD),
    "tractor": SpriteKind("1f69c", "nf", ALL),
    "helicopter": SpriteKind("1f681", "nf", ALL),
    "rocket": SpriteKind("1f680", "nf"),
    "skateboard": SpriteKind("1f6f9", "f", ALL),
    "kite": SpriteKind("1fa81", "fn"),
    "surfboard": SpriteKind("", "a", ALL, PRINT),
    "snowboard": SpriteKind("", "a", ALL, PRINT),
    "skis": SpriteKind("", "a", ALL),
    "tennis racket": SpriteKind("1f3be", "fn"),
    "baseball bat": SpriteKind("", "a", BROWNS, HARD),
    "baseball glove": SpriteKind("", "a", BROWNS),
    "frisbee": SpriteKind("1f94f", "n", ALL),
    "sports ball": SpriteKind("26bd", "nf"),
    "ball": SpriteKind("", "a", ALL, PRINT),
    # rooms
    "couch": SpriteKind("", "a", ALL, CLOTH),
    "armchair": SpriteKind("", "a", ALL, CLOTH),
    "chair": SpriteKind("1fa91", "fn", ALL, HARD),
    "bed": SpriteKind("1f6cf-fe0f", "fn", ALL, CLOTH),
    "table": SpriteKind("", "a", FURNITURE, HARD),
    "dining table": SpriteKind("", "a", ALL, CLOTH),
    "coffee table": SpriteKind("", "a", FURNITURE, HARD),
    "desk": SpriteKind("", "a", FURNITURE, HARD),
    "bench": SpriteKind("", "a", FURNITURE, HARD),
    "bookshelf": SpriteKind("", "a"),
    "wardrobe": SpriteKind("", "a", FURNITURE, WOOD),
    "rug": SpriteKind("", "a", ALL, CLOTH),
    "lamp": SpriteKind("", "a", ALL, CLOTH),
    "tv": SpriteKind("1f4fa", "fn"),
    "clock": SpriteKind("1f552", "nf", mirror=False),
    "mirror": SpriteKind("1fa9e", "nf"),
    "picture frame": SpriteKind("1f5bc-fe0f", "nf", mirror=False),
    "potted plant": SpriteKind("1fab4", "nf"),
    "fireplace": SpriteKind("", "a"),
    "window": SpriteKind("1fa9f", "fn"),
    "door": SpriteKind("1f6aa", "nf", ALL, HARD),
    "toilet": SpriteKind("1f6bd", "nf", natural="white"),
    "bathtub": SpriteKind("1f6c1", "nf", natural="white"),
    "sink": SpriteKind("", "a", natural="white"),
    "refrigerator": SpriteKind("", "a", ALL, METAL),
    "oven": SpriteKind("", "a", ALL, METAL),
    "microwave": SpriteKind("", "a", ALL, METAL),
    "toaster": SpriteKind("", "a", ALL, METAL),
    "piano": SpriteKind("", "a", BROWNS, WOOD),
    "guitar": SpriteKind("1f3b8", "nf", ALL),
    # small things
    "cup": SpriteKind("", "a", ALL, PRINT),
    "glass": SpriteKind("1f95b", "f"),
    "wine glass": SpriteKind("1f377", "nf"),
    "bowl": SpriteKind("", "a", ALL, PRINT_HARD),
    "plate": SpriteKind("", "a", ALL, PRINT),
    "bottle": SpriteKind("", "a", BOTTLE),
    "vase": SpriteKind("", "a", ALL, PRINT),
    "teapot": SpriteKind("1fad6", "fn", ALL, PRINT_METAL),
    "pot": SpriteKind("1f372", "nf"),
    "fork": SpriteKind("", "a", natural="gray"),
    "knife": SpriteKind("1f52a", "nf", natural="gray"),
    "spoon": SpriteKind("1f944", "nf", natural="gray"),
    "candle": SpriteKind("1f56f-fe0f", "nf"),
    "book": SpriteKind("1f4d5", "nf", ALL, CLOTH),
    "laptop": SpriteKind("1f4bb", "fn"),
    "monitor": SpriteKind("1f5a5-fe0f", "nf"),
    "keyboard": SpriteKind("2328-fe0f", "nf", mirror=False),
    "computer mouse": SpriteKind("1f5b1-fe0f", "nf"),
    "printer": SpriteKind("1f5a8-fe0f", "nf"),
    "remote": SpriteKind("", "a", natural="black"),
    "cell phone": SpriteKind("1f4f1", "nf"),
    "camera": SpriteKind("1f4f7", "nf"),
    "scissors": SpriteKind("2702-fe0f", "fn", ALL),
    "pencil": SpriteKind("270f-fe0f", "nf"),
    "toothbrush": SpriteKind("1faa5", "fn", ALL),
    "hair drier": SpriteKind("", "a", ALL),
    "teddy bear": SpriteKind("1f9f8", "fn", ("brown", "white", "pink", "gray", "blue"), CLOTH),
    "umbrella": SpriteKind("2602-fe0f", "fn", ALL, CLOTH),
    "backpack": SpriteKind("1f392", "fn", ALL, CLOTH),
    "handbag": SpriteKind("1f45c", "nf", ALL, CLOTH),
    "suitcase": SpriteKind("1f9f3", "fn", ALL, PRINT),
    "box": SpriteKind("1f4e6", "nf", natural="brown"),
    "basket": SpriteKind("1f9fa", "nf"),
    "bucket": SpriteKind("1faa3", "fn", ALL, METAL),
    "trash can": SpriteKind("1f5d1-fe0f", "fn", natural="gray"),
    "broom": SpriteKind("1f9f9", "nf"),
    "ladder": SpriteKind("1fa9c", "fn", natural="brown"),
    "hat": SpriteKind("1f452", "nf"),
    "shoe": SpriteKind("1f45f", "fn", ALL),
    "tie": SpriteKind("", "a", ALL, CLOTH),
    "gift": SpriteKind("1f381", "nf"),
    "balloon": SpriteKind("1f388", "fn", ALL, PRINT),
    "globe": SpriteKind("1f30e", "nf", mirror=False),
    # food
    "apple": SpriteKind("1f34e", "nf", FRUIT),
    "banana": SpriteKind("1f34c", "nf", natural="yellow"),
    "orange": SpriteKind("1f34a", "nf"),
    "pear": SpriteKind("1f350", "nf", natural="green"),
    "lemon": SpriteKind("1f34b", "nf", natural="yellow"),
    "strawberry": SpriteKind("1f353", "nf", natural="red"),
    "grapes": SpriteKind("1f347", "nf", natural="purple"),
    "watermelon": SpriteKind("1f349", "nf"),
    "pineapple": SpriteKind("1f34d", "fn"),
    "tomato": SpriteKind("1f345", "nf", natural="red"),
    "carrot": SpriteKind("1f955", "nf", natural="orange"),
    "broccoli": SpriteKind("1f966", "fn", natural="green"),
    "corn": SpriteKind("1f33d", "nf"),
    "mushroom": SpriteKind("1f344", "nf"),
    "pumpkin": SpriteKind("1f383", "nf", natural="orange"),
    "sandwich": SpriteKind("1f96a", "nf"),
    "hamburger": SpriteKind("1f354", "nf"),
    "hot dog": SpriteKind("1f32d", "nf"),
    "pizza": SpriteKind("1f355", "nf"),
    "donut": SpriteKind("1f369", "nf"),
    "cake": SpriteKind("1f382", "nf"),
    "cookie": SpriteKind("1f36a", "nf"),
    "ice cream": SpriteKind("1f366", "fn"),
    "bread": SpriteKind("1f35e", "nf"),
    "cheese": SpriteKind("1f9c0", "nf", natural="yellow"),
    "egg": SpriteKind("1f95a", "fn"),
    # outdoors
    "tree": SpriteKind("1f333", "fn", natural="green"),
    "palm tree": SpriteKind("1f334", "fn", natural="green"),
    "pine tree": SpriteKind("1f332", "fn", natural="green"),
    "cactus": SpriteKind("1f335", "nf", natural="green"),
    "flower": SpriteKind("1f337", "fn", ("red", "orange", "yellow", "blue", "purple", "pink", "white")),
    "house": SpriteKind("1f3e0", "f", ALL),
    "building": SpriteKind("1f3e2", "nf"),
    "castle": SpriteKind("1f3f0", "nf"),
    "church": SpriteKind("26ea", "nf"),
    "tent": SpriteKind("26fa", "nf", ALL, CLOTH),
    "campfire": SpriteKind("1f525", "nf"),
    "rock": SpriteKind("1faa8", "nf", natural="gray"),
    "mountain": SpriteKind("1f3d4-fe0f", "nf"),
    "fence": SpriteKind("", "a", BROWNS, WOOD),
    "fountain": SpriteKind("26f2", "nf"),
    "slide": SpriteKind("1f6dd", "nf"),
    "snowman": SpriteKind("26c4", "nf", natural="white"),
    "sun": SpriteKind("2600-fe0f", "nf", natural="yellow"),
    "moon": SpriteKind("1f319", "fn", natural="yellow"),
    "star": SpriteKind("2b50", "nf", natural="yellow"),
    "cloud": SpriteKind("2601-fe0f", "fn", natural="white"),
    "rainbow": SpriteKind("1f308", "nf"),
    "traffic light": SpriteKind("1f6a6", "nf"),
    "street lamp": SpriteKind("", "a"),
    "stop sign": SpriteKind("1f6d1", "n", natural="red"),
    "fire hydrant": SpriteKind("", "a", ALL),
    "parking meter": SpriteKind("", "a", mirror=False),
    "mailbox": SpriteKind("1f4eb", "nf", ALL),
}
# What people ask for most, and benchmarks too: some training scenes are full of them, in any colour.
COMMON = ("backpack", "book", "bottle", "bowl", "car", "cat", "chair", "cup", "dog", "laptop")

# What the indices stand for that detectors tell.
NAMES = list(THINGS)
COLOUR_NAMES = list(COLOURS)
TEXTURE_NAMES = ["plain", *TEXTURES]
