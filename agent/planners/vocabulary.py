"""The words that the grammar of picture descriptions knows besides the nouns of `instdiff.knowledge`."""

import re

from instdiff.scene import Predicate as P

NUMBERS = {word: n for n, word in enumerate("one two three four five six seven eight nine ten eleven twelve".split(), 1)}
NUMBERS |= {"thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "twenty": 20, "thirty": 30, "a dozen": 12, "dozen": 12}
NUMBERS |= {"half a dozen": 6, "two dozen": 24, "a hundred": 100, "hundreds of": 100, "both": 2, "some": 3, "a few": 3, "few": 3}
NUMBERS |= {"several": 4, "many": 6, "lots of": 6, "a lot of": 6, "multiple": 4, "various": 4, "numerous": 6}
COLLECTIVES = {"pair": 2, "couple": 2, "trio": 3, "group": 4, "bunch": 3, "herd": 5, "flock": 5, "crowd": 6, "row": 4, "line": 4}
COLLECTIVES |= {"handful": 4, "pack": 4, "school": 5, "stack": 3, "pile": 4, "set": 3, "family": 4, "collection": 4, "dozen": 12}
ARTICLES = {"a", "an", "the", "another", "his", "her", "its", "their", "my", "our", "your", "this", "that", "these", "those"}
PORTIONS = {"slice", "piece", "bouquet", "chunk", "loaf"}
META = {"photo", "photograph", "picture", "image", "painting", "drawing", "illustration", "scene", "view", "shot", "render"}
META |= {"sketch", "depiction", "portrait", "watercolor", "snapshot", "frame", "background", "foreground"}
COLOURS = set("red green blue yellow black white orange purple pink brown grey gray golden silver beige turquoise teal violet".split())
ADJECTIVES = COLOURS | set(
    "big small large little tiny huge tall short long old new young cute happy sad wooden metal plastic glass stone brick leather "
    "fluffy furry plush striped spotted dark light bright shiny round square modern vintage cozy cosy beautiful open empty full".split()
)
PARTS = set("eyes hair fur feathers wings stripes spots ears tail beard legs windows wheels roof smile handle glasses".split())
NEGATIONS = (
    "without any",
    "without",
    "with no",
    "but no",
    "there are no",
    "there is no",
    "not any",
    "no",
    "not",
    "excluding",
    "except for",
)
NEGATIONS += ("except", "free of", "not a", "and no")
STOPS = set(
    "is are was were be being there with and or while who which that it them they he she of in on at to from by for as has have "
    "sits sit stands stand lies lie sleeps sleep runs run plays play walks walk flies fly eats eat drinks looks look parked placed "
    "standing sitting lying sleeping running playing walking flying eating drinking looking wearing holding riding swimming grazing "
    "driving jumping hanging resting floating sailing reading chasing watching surrounded filled only exactly just also very some any "
    "but nor then during under over above below near beside behind between left right top bottom middle center centre each other "
    "nothing else without no not excluding except".split()
)
RELATIONS: dict[str, P] = {}
for _predicate, _phrases in {
    P.LEFT_OF: "to the left of|on the left of|left of|on the left side of|at the left of|to the left side of",
    P.RIGHT_OF: "to the right of|on the right of|right of|on the right side of|at the right of|to the right side of",
    P.ON: "on top of|on the top of|sitting on|standing on|lying on|atop|upon|riding|inside|into|in|on|onto|sits on|at",
    P.UNDER: "underneath|beneath|under",
    P.BELOW: "below",
    P.ABOVE: "above|over|hanging over",
    P.NEXT_TO: "next to|beside|near|close to|by|alongside|adjacent to|holding|chasing|playing with|around",
    P.IN_FRONT_OF: "in front of|ahead of",
    P.BEHIND: "behind|in back of",
}.items():
    RELATIONS |= {phrase: _predicate for phrase in _phrases.split("|")}
PLACES: dict[str, tuple[P, ...]] = {}
for _side, _predicate in (("left", P.LEFT), ("right", P.RIGHT)):
    for _form in (
        "on the {}",
        "on the {} side",
        "at the {}",
        "to the {}",
        "in the {}",
        "on the far {}",
        "on the {} hand side",
        "at the {} side",
    ):
        PLACES[_form.format(_side)] = (_predicate,)
    for _level, _vertical in (("top", P.TOP), ("upper", P.TOP), ("bottom", P.BOTTOM), ("lower", P.BOTTOM)):
        for _form in ("in the {} {} corner", "at the {} {} corner", "in the {} {}", "on the {} {}", "at the {} {}"):
            PLACES[_form.format(_level, _side)] = (_predicate, _vertical)
for _word, _predicate in (("top", P.TOP), ("bottom", P.BOTTOM), ("middle", P.CENTRE), ("center", P.CENTRE), ("centre", P.CENTRE)):
    PLACES |= {f"{preposition} the {_word}": (_predicate,) for preposition in ("at", "on", "in")}
OF_PICTURE = re.compile(r"of the (picture|image|photo|frame|scene|canvas)\b")
