"""The relations in a model's answer: its words for how things lie, what it calls the things, what cannot be kept."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from agent.planners.english import words
from instdiff.layout import MAX_INSTANCES
from instdiff.world.predicates import Predicate
from instdiff.world.scene import PICTURE

INVERSE = {
    Predicate.RIGHT_OF: Predicate.LEFT_OF,
    Predicate.BELOW: Predicate.ABOVE,
    Predicate.UNDER: Predicate.ON,
    Predicate.BEHIND: Predicate.IN_FRONT_OF,
    Predicate.SMALLER_THAN: Predicate.LARGER_THAN,
}
# a side is one of the picture, or of a thing that is named
SIDES = {
    Predicate.LEFT: Predicate.LEFT_OF,
    Predicate.RIGHT: Predicate.RIGHT_OF,
    Predicate.TOP: Predicate.ABOVE,
    Predicate.BOTTOM: Predicate.BELOW,
}
PLACES = {predicate: place for place, predicate in SIDES.items()}
SIDE = re.compile(
    r"(?:(?:to|at|on|in|near|towards?) )?(?:the )?(?:far |very )?"
    r"(?P<side>left|right|top|bottom|cent(?:er|re)|middle|upper|lower)(?:most)?"
    r"(?: (?:hand )?(?:side|part|half|edge|portion|area|third))?"
    r"(?: of (?:the )?(?:picture|image|scene|frame|canvas|photo))?"
)
OF_THE_PICTURE = {"", PICTURE, "image", "scene", "frame", "canvas", "photo", "background"}
# what may stand before the words that say where: "is sitting directly on"
BEFORE = set(
    "is are be being was were stands sits lies rests hangs floats standing sitting lying resting hanging floating"
    " flying leaning placed located positioned situated set put seated perched parked mounted laid directly slightly"
    " just immediately partly partially closely right".split()
)
SWAPPED = {  # what the object is to the subject
    **words.REVERSED,
    **dict.fromkeys(("wearing", "wears", "has on"), Predicate.WORN_BY),
    **dict.fromkeys(("holding", "holds", "carrying", "carries"), Predicate.HELD_BY),
    **dict.fromkeys(("containing", "contains"), Predicate.IN),
    **dict.fromkeys(("supporting", "supports"), Predicate.ON),
}
SAME_WAY = {
    **{phrase: predicate for phrase, predicate in words.RELATIONS.items() if phrase not in words.WEAK},
    **words.COMPARED,
    **dict.fromkeys(("held in", "carried by", "carried in"), Predicate.HELD_BY),
    **dict.fromkeys(("worn on",), Predicate.WORN_BY),
    **dict.fromkeys(("contained in", "contained by", "enclosed in", "enclosed by"), Predicate.IN),
    **dict.fromkeys(("supported by", "on top"), Predicate.ON),
    **dict.fromkeys(("next", "adjacent", "side by side", "close", "close by", "around"), Predicate.NEXT_TO),
    **dict.fromkeys(("in front", "front of"), Predicate.IN_FRONT_OF),
    **dict.fromkeys(("in back", "back of"), Predicate.BEHIND),
    **{predicate.value: predicate for predicate in Predicate},
}
ASKED_FOR = [predicate.value for predicate in Predicate]
SQUEEZED = {phrase.replace(" ", ""): predicate for phrase, predicate in SAME_WAY.items() if " " in phrase}


class Names(NamedTuple):
    """What the things of a scene are called: their ids, and other words that mean only one of them."""

    ids: set[str]
    others: dict[str, str]

    @classmethod
    def of(cls, things: list[dict]) -> Names:
        """The names of things with "id" and "category"."""
        called = {(_plain(thing[key]), thing["id"]) for key in ("id", "category") for thing in things}
        counts = Counter(word for word, _ in called)
        return cls({thing["id"] for thing in things}, {word: name for word, name in called if counts[word] == 1})

    def find(self, value: object) -> str | None:
        """The id of what is meant, None for nothing of the scene."""
        if isinstance(value, bool) or not isinstance(value, str | int):
            return None
        word = str(value).strip()
        return word if word in self.ids else self.others.get(_plain(word))


class Relations(NamedTuple):
    """What a model states: what can be kept, in the words of the answer schema, and in its own words what cannot.

    Of two that contradict each other the first is kept; ``contradicted`` has the other. ``is_loose`` is true if
    anything is left out, or said in other words than were asked for.
    """

    kept: list[dict]
    left_out: list[str]
    contradicted: list[dict]
    is_loose: bool


def read_relations(values: list, things: list[dict]) -> Relations:
    """The relations between these things, which have "id" and "category"."""
    names = Names.of(things)
    kept: list[dict] = []
    left_out: list[str] = []
    contradicted: list[dict] = []
    stated: set[tuple[Predicate, str, str]] = set()
    for value in values:
        read = False
        for subject, predicate, target in _readings(value, names):
            read = True
            kind = INVERSE.get(predicate, predicate)
            pair = (subject, target) if kind is predicate else (target, subject)
            relation = {"subject": subject, "predicate": predicate.value, "object": target}
            is_contradicted = kind in INVERSE.values() and (kind, *pair[::-1]) in stated
            stated.add((kind, *pair))
            (contradicted if is_contradicted else kept).append(relation)
        if not read:
            left_out.append(words_of(value))
    in_other_words = any(isinstance(value, dict) and value.get("predicate") not in ASKED_FOR for value in values)
    return Relations(kept, left_out, contradicted, bool(left_out or contradicted or in_other_words))


def _readings(value: object, names: Names) -> Iterator[tuple[str, Predicate, str]]:
    """What a relation comes to: nothing if it cannot be read, several if it is about several things."""
    if isinstance(value, list) and len(value) == 3:
        value = dict(zip(("subject", "predicate", "object"), value, strict=True))
    if not isinstance(value, dict) or not isinstance(value.get("predicate"), str):
        return
    targets = _listed(value.get("object"))
    phrase = _phrase(value["predicate"])
    subjects = _listed(value.get("subject"))
    if phrase in words.BETWEEN and len(targets) == 2:
        for side, target in zip((Predicate.RIGHT_OF, Predicate.LEFT_OF), targets, strict=True):
            yield from _readings({**value, "predicate": side.value, "object": target}, names)
        return
    for subject in map(names.find, subjects):
        for target in targets:
            predicate, is_swapped = predicate_of(phrase, names.find(target), target)
            if subject is None or predicate is None:
                continue
            other = PICTURE if predicate.is_place else names.find(target)
            if other is not None and other != subject:
                yield (other, predicate, subject) if is_swapped else (subject, predicate, other)


def predicate_of(phrase: str, thing: str | None, target: object = None) -> tuple[Predicate | None, bool]:
    """The predicate that a phrase means, None for none, and whether subject and object change places.

    Args:
        phrase: in lower case, words apart.
        thing: the id of what stands as object, None if that is no thing of the scene.
        target: the object in the model's words.
    """
    is_picture = thing is None and (target is None or (isinstance(target, str) and _plain(target) in OF_THE_PICTURE))
    if phrase in SWAPPED:
        return SWAPPED[phrase], True
    predicate = SAME_WAY.get(phrase) or SQUEEZED.get(phrase)
    if predicate is None and (side := SIDE.fullmatch(phrase)):
        (place,) = words.SIDES[side["side"]]
        predicate = place if is_picture else SIDES.get(place)
    if predicate is not None:
        return PLACES.get(predicate, predicate) if is_picture else predicate, False
    first, _, rest = phrase.partition(" ")
    return predicate_of(rest, thing, target) if rest and first in BEFORE else (None, False)


def _phrase(predicate: str) -> str:
    """``"LEFT_OF"``, ``"leftOf"`` and ``"is left of."`` in lower case with the words apart."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", predicate[:100])
    return " ".join(re.sub(r"[^a-z]+", " ", apart.lower()).split())


def _plain(name: str) -> str:
    """A name as it is compared: "The Frog_1" is "frog 1"."""
    plain = " ".join(re.sub(r"[\W_]+", " ", name.lower()).split())
    return re.sub(r"^(?:the|a|an) (?=.)", "", plain)


def _listed(value: object) -> list:
    return value[:MAX_INSTANCES] if isinstance(value, list) else [value]


def words_of(value: object) -> str:
    """A relation in the model's words."""
    parts = [value.get(key) for key in ("subject", "predicate", "object")] if isinstance(value, dict) else [value]
    return " ".join(str(part) for part in parts if part is not None)
