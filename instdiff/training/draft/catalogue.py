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
class Thing:
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
    "cat": Thing("1f408", "fn", FUR),
    "dog": Thing("1f415", "fn", FUR),
    "horse": Thing("1f40e", "fn", ("brown", "black", "white", "gray")),
    "cow": Thing("1f404", "nf"),
    "sheep": Thing("1f411", "nf"),
    "pig": Thing("1f416", "nf", natural="pink"),
    "goat": Thing("1f410", "nf", natural="brown"),
    "chicken": Thing("1f413", "nf"),
    "elephant": Thing("1f418", "nf", natural="gray"),
    "giraffe": Thing("1f992", "nf"),
    "zebra": Thing("1f993", "nf"),
    "tiger": Thing("1f405", "nf", natural="orange"),
    "monkey": Thing("1f412", "nf", natural="brown"),
    "camel": Thing("1f42a", "fn"),
    "deer": Thing("1f98c", "nf", natural="brown"),
    "bear": Thing("", "a", ("brown", "black", "white")),
    "rabbit": Thing("1f407", "nf", FUR),
    "mouse": Thing("1f401", "nf", natural="gray"),
    "turtle": Thing("1f422", "nf", natural="green"),
    "snake": Thing("1f40d", "fn", ALL, PRINT),
    "dinosaur": Thing("1f996", "fn", ALL, PRINT),
    "bird": Thing("1f426", "n", ALL),
    "parrot": Thing("1f99c", "nf"),
    "duck": Thing("1f986", "nf"),
    "swan": Thing("1f9a2", "f", natural="white"),
    "penguin": Thing("1f427", "nf"),
    "fish": Thing("1f41f", "fn", ALL, PRINT),
    "dolphin": Thing("1f42c", "fn", natural="blue"),
    "whale": Thing("1f40b", "fn", natural="blue"),
    "shark": Thing("1f988", "nf", natural="gray"),
    "crab": Thing("1f980", "nf", natural="red"),
    "bee": Thing("1f41d", "nf"),
    "butterfly": Thing("1f98b", "fn", ALL),
    "person": Thing("1f9cd", "nf", kinds={"woman": "1f9cd-200d-2640-fe0f", "man": "1f9cd-200d-2642-fe0f"}),
    # what moves, and sport
    "car": Thing("1f697", "nf", ALL, PRINT),
    "bus": Thing("1f68c", "fn", ALL),
    "truck": Thing("1f69a", "fn", ALL),
    "bicycle": Thing("1f6b2", "fn", ALL),
    "motorcycle": Thing("1f3cd-fe0f", "fn", ALL),
    "airplane": Thing("2708-fe0f", "fn", ALL),
    "train": Thing("1f682", "fn", ALL),
    "boat": Thing("26f5", "an", ALL, WOOD),
    "tractor": Thing("1f69c", "nf", ALL),
    "helicopter": Thing("1f681", "nf", ALL),
    "rocket": Thing("1f680", "nf"),
    "skateboard": Thing("1f6f9", "f", ALL),
    "kite": Thing("1fa81", "fn"),
    "surfboard": Thing("", "a", ALL, PRINT),
    "snowboard": Thing("", "a", ALL, PRINT),
    "skis": Thing("", "a", ALL),
    "tennis racket": Thing("1f3be", "fn"),
    "baseball bat": Thing("", "a", BROWNS, HARD),
    "baseball glove": Thing("", "a", BROWNS),
    "frisbee": Thing("1f94f", "n", ALL),
    "sports ball": Thing("26bd", "nf"),
    "ball": Thing("", "a", ALL, PRINT),
    # rooms
    "couch": Thing("", "a", ALL, CLOTH),
    "armchair": Thing("", "a", ALL, CLOTH),
    "chair": Thing("1fa91", "fn", ALL, HARD),
    "bed": Thing("1f6cf-fe0f", "fn", ALL, CLOTH),
    "table": Thing("", "a", FURNITURE, HARD),
    "dining table": Thing("", "a", ALL, CLOTH),
    "coffee table": Thing("", "a", FURNITURE, HARD),
    "desk": Thing("", "a", FURNITURE, HARD),
    "bench": Thing("", "a", FURNITURE, HARD),
    "bookshelf": Thing("", "a"),
    "wardrobe": Thing("", "a", FURNITURE, WOOD),
    "rug": Thing("", "a", ALL, CLOTH),
    "lamp": Thing("", "a", ALL, CLOTH),
    "tv": Thing("1f4fa", "fn"),
    "clock": Thing("1f552", "nf", mirror=False),
    "mirror": Thing("1fa9e", "nf"),
    "picture frame": Thing("1f5bc-fe0f", "nf", mirror=False),
    "potted plant": Thing("1fab4", "nf"),
    "fireplace": Thing("", "a"),
    "window": Thing("1fa9f", "fn"),
    "door": Thing("1f6aa", "nf", ALL, HARD),
    "toilet": Thing("1f6bd", "nf", natural="white"),
    "bathtub": Thing("1f6c1", "nf", natural="white"),
    "sink": Thing("", "a", natural="white"),
    "refrigerator": Thing("", "a", ALL, METAL),
    "oven": Thing("", "a", ALL, METAL),
    "microwave": Thing("", "a", ALL, METAL),
    "toaster": Thing("", "a", ALL, METAL),
    "piano": Thing("", "a", BROWNS, WOOD),
    "guitar": Thing("1f3b8", "nf", ALL),
    # small things
    "cup": Thing("", "a", ALL, PRINT),
    "glass": Thing("1f95b", "f"),
    "wine glass": Thing("1f377", "nf"),
    "bowl": Thing("", "a", ALL, PRINT_HARD),
    "plate": Thing("", "a", ALL, PRINT),
    "bottle": Thing("", "a", BOTTLE),
    "vase": Thing("", "a", ALL, PRINT),
    "teapot": Thing("1fad6", "fn", ALL, PRINT_METAL),
    "pot": Thing("1f372", "nf"),
    "fork": Thing("", "a", natural="gray"),
    "knife": Thing("1f52a", "nf", natural="gray"),
    "spoon": Thing("1f944", "nf", natural="gray"),
    "candle": Thing("1f56f-fe0f", "nf"),
    "book": Thing("1f4d5", "nf", ALL, CLOTH),
    "laptop": Thing("1f4bb", "fn"),
    "monitor": Thing("1f5a5-fe0f", "nf"),
    "keyboard": Thing("2328-fe0f", "nf", mirror=False),
    "computer mouse": Thing("1f5b1-fe0f", "nf"),
    "printer": Thing("1f5a8-fe0f", "nf"),
    "remote": Thing("", "a", natural="black"),
    "cell phone": Thing("1f4f1", "nf"),
    "camera": Thing("1f4f7", "nf"),
    "scissors": Thing("2702-fe0f", "fn", ALL),
    "pencil": Thing("270f-fe0f", "nf"),
    "toothbrush": Thing("1faa5", "fn", ALL),
    "hair drier": Thing("", "a", ALL),
    "teddy bear": Thing("1f9f8", "fn", ("brown", "white", "pink", "gray", "blue"), CLOTH),
    "umbrella": Thing("2602-fe0f", "fn", ALL, CLOTH),
    "backpack": Thing("1f392", "fn", ALL, CLOTH),
    "handbag": Thing("1f45c", "nf", ALL, CLOTH),
    "suitcase": Thing("1f9f3", "fn", ALL, PRINT),
    "box": Thing("1f4e6", "nf", natural="brown"),
    "basket": Thing("1f9fa", "nf"),
    "bucket": Thing("1faa3", "fn", ALL, METAL),
    "trash can": Thing("1f5d1-fe0f", "fn", natural="gray"),
    "broom": Thing("1f9f9", "nf"),
    "ladder": Thing("1fa9c", "fn", natural="brown"),
    "hat": Thing("1f452", "nf"),
    "shoe": Thing("1f45f", "fn", ALL),
    "tie": Thing("", "a", ALL, CLOTH),
    "gift": Thing("1f381", "nf"),
    "balloon": Thing("1f388", "fn", ALL, PRINT),
    "globe": Thing("1f30e", "nf", mirror=False),
    # food
    "apple": Thing("1f34e", "nf", FRUIT),
    "banana": Thing("1f34c", "nf", natural="yellow"),
    "orange": Thing("1f34a", "nf"),
    "pear": Thing("1f350", "nf", natural="green"),
    "lemon": Thing("1f34b", "nf", natural="yellow"),
    "strawberry": Thing("1f353", "nf", natural="red"),
    "grapes": Thing("1f347", "nf", natural="purple"),
    "watermelon": Thing("1f349", "nf"),
    "pineapple": Thing("1f34d", "fn"),
    "tomato": Thing("1f345", "nf", natural="red"),
    "carrot": Thing("1f955", "nf", natural="orange"),
    "broccoli": Thing("1f966", "fn", natural="green"),
    "corn": Thing("1f33d", "nf"),
    "mushroom": Thing("1f344", "nf"),
    "pumpkin": Thing("1f383", "nf", natural="orange"),
    "sandwich": Thing("1f96a", "nf"),
    "hamburger": Thing("1f354", "nf"),
    "hot dog": Thing("1f32d", "nf"),
    "pizza": Thing("1f355", "nf"),
    "donut": Thing("1f369", "nf"),
    "cake": Thing("1f382", "nf"),
    "cookie": Thing("1f36a", "nf"),
    "ice cream": Thing("1f366", "fn"),
    "bread": Thing("1f35e", "nf"),
    "cheese": Thing("1f9c0", "nf", natural="yellow"),
    "egg": Thing("1f95a", "fn"),
    # outdoors
    "tree": Thing("1f333", "fn", natural="green"),
    "palm tree": Thing("1f334", "fn", natural="green"),
    "pine tree": Thing("1f332", "fn", natural="green"),
    "cactus": Thing("1f335", "nf", natural="green"),
    "flower": Thing("1f337", "fn", ("red", "orange", "yellow", "blue", "purple", "pink", "white")),
    "house": Thing("1f3e0", "f", ALL),
    "building": Thing("1f3e2", "nf"),
    "castle": Thing("1f3f0", "nf"),
    "church": Thing("26ea", "nf"),
    "tent": Thing("26fa", "nf", ALL, CLOTH),
    "campfire": Thing("1f525", "nf"),
    "rock": Thing("1faa8", "nf", natural="gray"),
    "mountain": Thing("1f3d4-fe0f", "nf"),
    "fence": Thing("", "a", BROWNS, WOOD),
    "fountain": Thing("26f2", "nf"),
    "slide": Thing("1f6dd", "nf"),
    "snowman": Thing("26c4", "nf", natural="white"),
    "sun": Thing("2600-fe0f", "nf", natural="yellow"),
    "moon": Thing("1f319", "fn", natural="yellow"),
    "star": Thing("2b50", "nf", natural="yellow"),
    "cloud": Thing("2601-fe0f", "fn", natural="white"),
    "rainbow": Thing("1f308", "nf"),
    "traffic light": Thing("1f6a6", "nf"),
    "street lamp": Thing("", "a"),
    "stop sign": Thing("1f6d1", "n", natural="red"),
    "fire hydrant": Thing("", "a", ALL),
    "parking meter": Thing("", "a", mirror=False),
    "mailbox": Thing("1f4eb", "nf", ALL),
}
# What people ask for most, and benchmarks too: some training scenes are full of them, in any colour.
COMMON = ("backpack", "book", "bottle", "bowl", "car", "cat", "chair", "cup", "dog", "laptop")
