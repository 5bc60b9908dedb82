"""What bodies measure in a pose, and which way they lie: who sits is lower, an animal is seen from its side."""

from __future__ import annotations

from instdiff.world import knowledge

# what is seen from its side, its head at one end
SIDE_ON = knowledge.with_alike(
    """cat dog horse cow sheep pig elephant giraffe bear rabbit goat donkey zebra lion tiger panda koala wolf fox deer
    squirrel mouse hedgehog frog turtle crocodile camel dinosaur dragon unicorn ostrich flamingo peacock turkey pelican
    stork chicken duck goose swan bird parrot raccoon skunk badger beaver mole hyena hippopotamus rhinoceros buffalo
    antelope llama sloth lemur anteater lizard seal rat hamster kangaroo monkey leopard cheetah fish shark dolphin
    whale orca snake""".split()
) | {"guinea pig"}
UPRIGHT = frozenset(
    "person robot penguin snowman scarecrow alien ghost skeleton mermaid fairy doll mannequin puppet monster".split()
) | {"teddy bear", "stuffed animal"}
TALL = 0.85  # an animal narrower than so many times its height holds its head in the middle of its top
FLAT = 1.5  # an upright body wider than so many times its height lies
# what a pose makes of (width, height): of who stands upright, and of who is seen from the side
OF_UPRIGHT = {"sitting": (1.25, 0.75), "kneeling": (1.2, 0.72), "crouching": (1.3, 0.6), "riding": (1.15, 0.85)}
OF_SIDE_ON = {
    "sitting": (0.65, 1.25),
    "kneeling": (1.0, 0.75),
    "crouching": (1.0, 0.7),
    "riding": (0.65, 1.25),
    "lying": (1.05, 0.6),
    "flying": (1.3, 1.0),  # its wings spread
}


def is_body(category: str) -> bool:
    """True for a person, an animal or the like, and for what nobody knows: it may be a wizard."""
    return category in SIDE_ON or category in UPRIGHT or knowledge.thing(category) is None


def is_side_on(category: str, width_m: float, height_m: float) -> bool:
    """True for an animal that is seen from its side, its head at one end of its box."""
    return category == "giraffe" or (category in SIDE_ON and width_m >= TALL * height_m)


def is_lying(category: str, width_m: float, height_m: float) -> bool:
    """True for a body that usually stands upright and is wider than high now."""
    return category not in SIDE_ON and is_body(category) and width_m > FLAT * height_m


def posed(category: str, width_m: float, height_m: float, pose: str) -> tuple[float, float]:
    """(width, height) in metres of a thing in a pose, from what it measures as it usually stands.

    Args:
        category: a person (or the like) and an animal differ; of what is neither only "lying" changes anything.
        pose: "sitting", "lying", "kneeling", "crouching", "riding", "flying" or "upright"; any other changes nothing.
    """
    long_m = max(width_m, height_m)
    short_m = min(width_m, height_m)
    if category in SIDE_ON:
        if pose == "upright":
            return min(width_m, 0.8 * height_m), long_m
        across, up = OF_SIDE_ON.get(pose, (1.0, 1.0))
        return width_m * across, height_m * up
    if pose == "lying" or (pose == "flying" and category == "person"):
        return long_m, short_m
    across, up = OF_UPRIGHT.get(pose, (1.0, 1.0)) if is_body(category) else (1.0, 1.0)
    return width_m * across, height_m * up
