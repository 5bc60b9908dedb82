"""A plan that is being edited: its instances by id, their scene, and the captions before and after.

Captions: "a grey sofa" -> "a red sofa", "a cat on the sofa" -> "a cat".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.planners.english.words import ADJECTIVES, COLOURS, MATERIALS, RELATIONS, SHADES
from agent.planners.plan import Plan
from instdiff.errors import BadInput
from instdiff.layout import MAX_INSTANCES, Box, Instance, Point, Scribble
from instdiff.world import nouns, placement
from instdiff.world.nouns import ARTICLES, NUMBERS, number_word, with_article
from instdiff.world.relations import broken_relations_in
from instdiff.world.scene import PICTURE, Predicate, Relation, Scene, SceneObject

LARGE = {"large", "big", "huge", "giant", "tall", "larger", "bigger", "enormous", "massive"}
SMALL = {"small", "little", "tiny", "short", "smaller", "miniature"}
OPPOSED = (  # what is one of these is none of the others
    (LARGE, SMALL),
    ({"dark", "deep"}, {"light", "pale", "bright"}),
    ({"old", "ancient", "antique", "vintage", "elderly"}, {"new", "modern", "young", "futuristic"}),
    ({"wet"}, {"dry"}),
    ({"full"}, {"empty"}),
    ({"clean"}, {"dirty", "dusty", "muddy"}),
    ({"open"}, {"closed"}),
    ({"happy", "smiling"}, {"sad", "angry"}),
    ({"smooth"}, {"rough"}),
    ({"shiny", "glossy"}, {"matte", "dull"}),
)
_DEGREES = frozenset(("very", "slightly", "really", "quite", "rather", "fairly", "extremely"))
_DETERMINER = "|".join(sorted((*ARTICLES, *NUMBERS), key=len, reverse=True))
_ADJECTIVE = "|".join(sorted(ADJECTIVES))
_PLACE = re.compile(
    r"\s+(?:on|at|in|to) the (?:far |very )?"
    r"(?:(?:upper|lower|top|bottom)[ -])?(?:left|right|top|bottom|middle|cent(?:er|re))\b"
    r"(?! of the (?!picture|image|scene|photo))(?: side| half| corner)?(?: of the (?:picture|image|scene|photo))?"
)
_RELATION = "|".join(sorted(RELATIONS, key=len, reverse=True))
POINT_SIDE = 0.2  # a thing given by a bare point is handled as a box of this side around it
Names = tuple[str, str]  # of a thing: its caption and its category


class Sheet:
    """Instances and objects under one id each; ``order`` is the order of the layout, from far to near.

    ``settle`` holds the ids that were placed by the edit, ``last`` what "it" stands for, ``numbers`` the number of each
    instance in the table of the plan before the edit. ``names`` are words that may name a thing although no table knows
    them: those of the captions, and what the edit writes with a capital.
    """

    def __init__(self, plan: Plan, words: str = ""):
        self.start = plan
        captions = (
            word for instance in plan.layout.instances for word in instance.name.split() + instance.caption.split()
        )
        self.names = {word.lower() for word in (*captions, *re.findall(r"(?<=\w )[A-Z][\w-]+", words))}
        scene = plan.scene if plan.scene and len(plan.ids) == len(plan.layout.instances) else None
        numbered = (f"{_category(plan, i)}-{i + 1}" for i in range(len(plan.layout.instances)))
        self.order = list(plan.ids if scene else numbered)
        self.instances = dict(zip(self.order, plan.layout.instances, strict=True))
        objects = scene.objects if scene else [self._object(plan, i) for i in range(len(self.order))]
        self.objects: dict[str, SceneObject] = {item.id: item for item in objects if item.id in self.order}
        shown = set(self.order)
        self.relations = [r for r in scene.relations if {r.subject, r.object} <= shown | {PICTURE}] if scene else []
        self.absent = list(scene.absent if scene else ())
        self.setting = scene.setting if scene else ""
        self.caption = plan.layout.caption
        self.negative = [part for part in plan.layout.negative_caption.split(", ") if part]
        self.numbers = {number: name for number, name in enumerate(self.order, 1)}
        self.settle: set[str] = set()
        self.last: list[str] = []
        self.notes: list[str] = []

    def _object(self, plan: Plan, index: int) -> SceneObject:
        width_m, height_m = placement.metres(plan, index)
        names = {"id": self.order[index], "category": _category(plan, index)}
        values = {"caption": plan.layout.instances[index].caption, "width_m": width_m, "height_m": height_m}
        return SceneObject.parse({**names, **values}, "edit")

    @property
    def aspect(self) -> float:
        return self.start.layout.width / self.start.layout.height

    def plan(self) -> Plan:
        """The plan as it is now."""
        instances = tuple(self.instances[name] for name in self.order)
        changes = {"caption": self.caption, "negative_caption": ", ".join(self.negative), "instances": instances}
        objects = tuple(self.objects[name] for name in self.order)
        relations = tuple(self.relations)
        absent = tuple(self.absent)
        scene = Scene(caption=self.caption, setting=self.setting, objects=objects, relations=relations, absent=absent)
        layout = self.start.layout.model_copy(update=changes)
        return self.start.model_copy(update={"layout": layout, "scene": scene, "ids": tuple(self.order)})

    def index(self, name: str) -> int:
        return self.order.index(name)

    def box(self, name: str) -> Box:
        """Where a thing is; for a bare point, a box around it."""
        instance = self.instances[name]
        if instance.extent:
            return instance.extent
        first = instance.scribble.points[0] if instance.scribble else Point(x=0.5, y=0.5)
        point = instance.point or first
        return placement.frame(point.x, point.y + POINT_SIDE / 2, POINT_SIDE, POINT_SIDE)

    def put(self, name: str, box: Box) -> None:
        """Move a thing: what is given as a point stays one, a scribble moves along, a mask becomes its box."""
        old = self.box(name)
        instance = self.instances[name]

        def place(point: Point) -> Point:
            x = box.x0 + (point.x - old.x0) / old.width * box.width
            y = box.y0 + (point.y - old.y0) / old.height * box.height
            return Point(x=min(max(x, 0.0), 1.0), y=min(max(y, 0.0), 1.0))

        self.instances[name] = Instance(
            caption=instance.caption,
            category=instance.category,
            box=box if instance.box or instance.mask or not (instance.point or instance.scribble) else None,
            point=instance.point and place(instance.point),
            scribble=instance.scribble and Scribble(points=tuple(place(p) for p in instance.scribble.points)),
        )

    def describe(self, name: str, caption: str) -> None:
        """Give a thing another caption."""
        self.instances[name] = self.instances[name].model_copy(update={"caption": caption})
        self.objects[name] = self.objects[name].model_copy(update={"caption": caption[:2000], "chosen": False})

    def new_id(self, category: str) -> str:
        if len(self.order) >= MAX_INSTANCES:
            cure = f"there is room for {MAX_INSTANCES}; remove one first"
            raise BadInput("edit", f"the layout has {len(self.order)} things, and {cure}")
        number = 1
        while f"{category[:80]}-{number}" in self.objects:
            number += 1
        return f"{category[:80]}-{number}"

    def add(self, item: SceneObject, box: Box, behind: str | None = None) -> None:
        """A new thing, in front of the others or right behind one of them."""
        self.objects[item.id] = item
        self.instances[item.id] = Instance(caption=item.caption, category=item.category, box=box)
        self.order.insert(self.index(behind) if behind else len(self.order), item.id)
        self.settle.add(item.id)
        self.absent = [name for name in self.absent if name != item.category]
        gone = {item.category, nouns.plural_of(item.category)}
        self.negative = [name for name in self.negative if name not in gone]

    def remove(self, name: str) -> None:
        """A thing is gone, with its relations; if it was the last of its kind, no other may appear."""
        category = self.objects[name].category
        self.order.remove(name)
        del self.instances[name], self.objects[name]
        self.relations = [r for r in self.relations if name not in (r.subject, r.object)]
        self.settle.discard(name)
        self.last = [last for last in self.last if last != name]
        if all(item.category != category for item in self.objects.values()):
            self.absent += [category] if category not in self.absent else []
            self.negative += [category] if category not in self.negative else []

    def relate(self, relations: list[Relation], names: set[str]) -> None:
        """Add relations, and drop the ones of these things that do not hold any more."""
        self.forget([r for r in broken_relations_in(self.plan()) if {r.subject, r.object} & names])
        self.relations += [r for r in relations if r not in self.relations]

    def forget(self, relations: list[Relation]) -> None:
        """Drop relations, from the scene's caption as well."""
        self.relations = [r for r in self.relations if r not in relations]
        for r in relations:
            target = None if r.object == PICTURE else self._called(r.object)
            self.caption = without_relation(self.caption, r.predicate, self._called(r.subject), target)

    def _called(self, name: str) -> Names:
        return (self.instances[name].caption, self.objects[name].category)

    def loads_of(self, name: str) -> list[str]:
        """What rests on a thing, directly or on something in between."""
        loads = [self.order[i] for i in placement.loads(self.plan(), self.index(name))]
        below = self.box(name)
        return [load for load in loads if below.x0 <= self.box(load).centre.x <= below.x1 or self._is_said(load)]

    def _is_said(self, name: str) -> bool:
        """Whether the scene itself says where a thing is; else it may just stand beside what it seems to be on."""
        return any(relation.subject == name for relation in self.relations)


def _category(plan: Plan, index: int) -> str:
    return nouns.category_of(plan.layout.instances[index].name)[:80].strip() or "thing"


def with_adjectives(caption: str, words: list[str]) -> str:
    """A caption with other adjectives: a new colour or material takes the old one's place, a size its opposite's."""
    before, rest = _before_noun(caption)
    replaced = set(COLOURS | SHADES | _DEGREES) | {"and"} if COLOURS & set(words) else set()
    replaced |= set(MATERIALS - COLOURS) if (MATERIALS - COLOURS) & set(words) else set()
    for sizes, opposites in (*OPPOSED, *(pair[::-1] for pair in OPPOSED)):
        replaced |= opposites | (sizes & set(words)) if sizes & set(words) else set()
    kept = [word for word in before if word.lower().strip(",") not in replaced and word.lower() not in words]
    sizes_first = sorted([*words, *kept], key=lambda word: word not in LARGE | SMALL)  # "a large red car"
    return with_article(" ".join([*sizes_first, *rest]))


def without_sizes(caption: str, larger: bool) -> str:
    """A caption that does not call a thing large, or small, any more."""
    before, rest = _before_noun(caption)
    kept = [word for word in before if word.lower() not in (LARGE if larger else SMALL)]
    return caption if kept == before else with_article(" ".join([*kept, *rest]))


def _before_noun(caption: str) -> tuple[list[str], list[str]]:
    """The words between the article and the noun of a caption, and those from the noun on."""
    noun = nouns.resolve(caption)
    tokens = caption.split()
    if tokens[:1] and tokens[0].lower() in ARTICLES:
        tokens = tokens[1:]
    head = len(tokens)
    if noun and (match := re.search(rf"\b{re.escape(noun.singular)}\b", " ".join(tokens).lower())):
        head = len(" ".join(tokens)[: match.start()].split())
    return tokens[:head], tokens[head:]


def numbered(caption: str, number: int) -> str:
    """ "a round pear" and 2 -> "two round pears"."""
    if number == 1:
        return caption
    before, rest = _before_noun(caption)
    noun = nouns.resolve(caption)
    length = len(noun.singular.split()) if noun else 1
    return " ".join([number_word(number), *before, nouns.plural_of(" ".join(rest[:length])), *rest[length:]])


def counted_together(caption: str, phrase: str) -> str:
    """The scene's caption with a phrase said once: "a cat and a cat" -> "two cats"."""
    several = re.compile(rf"\b{re.escape(phrase)}(?:(?: and|, and|,) {re.escape(phrase)})+\b")
    return several.sub(lambda said: numbered(phrase, said[0].count(phrase)), caption)


def without_object(caption: str, phrase: str, category: str, left: int) -> str:
    """The scene's caption without one object; ``left`` of its kind stay. As it was if the object is not named."""
    match = _phrase(caption, phrase, category)
    if not match:
        return caption
    start = match.start()
    number = NUMBERS.get((match["determiner"] or "").lower(), 1)
    if number > 1:
        single = with_article(match["adjectives"] + nouns.singular_of(match["noun"]))
        several = f"{number_word(left)} {match['adjectives']}{match['noun']}"
        return _tidy(caption[:start] + ("" if left < 1 else single if left == 1 else several) + caption[match.end() :])
    end = _phrase_end(caption, match, phrase)
    before = re.search(rf"(?:,|\band\b|\bwith\b|\b(?:{_RELATION})\b)\s*$", caption[:start], re.IGNORECASE)
    after = re.match(rf"\s*(?:,|\band\b|\b(?:{_RELATION})\b)\s*", caption[end:], re.IGNORECASE)
    if before and not (after and before[0].strip().lower() == "with"):  # "a room with a lamp and a table"
        start = before.start()
    elif after:
        end += after.end()
    return _tidy(caption[:start] + caption[end:]) or caption


def with_other_phrase(caption: str, phrase: str, category: str, new: str) -> str:
    """The scene's caption with one object called otherwise; as it was if it is not named.

    One of several is named beside the others: "two dogs" -> "a dog and a cat".
    """
    match = _phrase(caption, phrase, category)
    if not match:
        return caption
    number = NUMBERS.get((match["determiner"] or "").lower(), 1)
    if number > 1:
        single = with_article(match["adjectives"] + nouns.singular_of(match["noun"]))
        others = single if number == 2 else f"{number_word(number - 1)} {match['adjectives']}{match['noun']}"
        return _tidy(f"{caption[: match.start()]}{others} and {new}{caption[match.end() :]}")
    if match["determiner"] and match["determiner"].lower() not in ("a", "an", "one"):
        new = f"{match['determiner']} {new.split(' ', 1)[-1]}"  # "the grey sofa" -> "the red sofa"
    return _tidy(caption[: match.start()] + new + caption[_phrase_end(caption, match, phrase) :])


def without_relation(caption: str, predicate: Predicate, subject: Names, target: Names | None) -> str:
    """The scene's caption without a relation that holds no more: "a cat on the sofa" -> "a cat and the sofa".

    Without a target it is a part of the picture, "on the left".
    """
    if target is None:
        for match in _phrases(caption, *subject):
            if place := _PLACE.match(caption[match.end() :]):
                return _tidy(caption[: match.end()] + caption[match.end() + place.end() :])
        return caption
    wordings = sorted((re.escape(words) for words, meant in RELATIONS.items() if meant is predicate), key=len)
    for match in _phrases(caption, *target):
        if relation := re.search(rf"\b(?:{'|'.join(wordings[::-1])})\s+$", caption[: match.start()], re.IGNORECASE):
            return _tidy(f"{caption[: relation.start()]}and {caption[match.start() :]}")
    return caption


def with_number(caption: str, phrase: str, category: str, number: int) -> str:
    """The scene's caption with so many of a thing: "a cup" -> "three cups"."""
    match = _phrase(caption, phrase, category)
    several = numbered(phrase or category, number)
    if not match:
        return with_addition(caption, several)
    several = f"{number_word(number)} {match['adjectives']}{nouns.plural_of(nouns.singular_of(match['noun']))}"
    return _tidy(caption[: match.start()] + several + caption[match.end() :])


def with_addition(caption: str, words: str) -> str:
    """The scene's caption with something added."""
    return f"{caption.rstrip(' .,;')}, {words}" if caption.strip() else words


def _phrase(caption: str, phrase: str, category: str) -> re.Match[str] | None:
    """Where the caption names an object: the phrase whose adjectives fit best, the first of equals.

    What things do may be said of them there alone: "two parked cars".
    """
    words = set(re.findall(r"[\w-]+", phrase.lower()))
    fitting: list[tuple[int, int, re.Match[str]]] = []
    for match in _phrases(caption, phrase, category):
        others = set(re.findall(r"[\w-]+", match["adjectives"].lower())) - {"and"} - words
        if not others & ADJECTIVES:
            fitting.append((-len(others), len(match["adjectives"]), match))
    return max(fitting, key=lambda found: found[:2])[2] if fitting else None


def _phrases(caption: str, phrase: str, category: str) -> Iterator[re.Match[str]]:
    noun = nouns.resolve(phrase)
    for name in dict.fromkeys([*([noun.singular] if noun else []), category]):
        forms = "|".join(sorted({re.escape(name), re.escape(nouns.plural_of(name))}, key=len, reverse=True))
        adjectives = rf"(?P<adjectives>(?:\b(?:{_ADJECTIVE}|[a-z]{{3,}}(?:ed|ing))\b(?:\s+and\b|,)?\s+)*)"
        pattern = rf"(?:\b(?P<determiner>{_DETERMINER})\s+)?{adjectives}\b(?P<noun>{forms})\b"
        yield from re.finditer(pattern, caption, re.IGNORECASE)


def _phrase_end(caption: str, match: re.Match[str], phrase: str) -> int:
    """Where the phrase ends in the caption, with what follows its noun in both: "a woman in a red dress"."""
    noun = re.search(rf"\b{re.escape(match['noun'])}\b", phrase, re.IGNORECASE)
    tail = phrase[noun.end() :] if noun else ""
    follows = re.match(rf"{re.escape(tail)}\b", caption[match.end() :], re.IGNORECASE) if tail else None
    return match.end() + (follows.end() if follows else 0)


def _tidy(text: str) -> str:
    text = re.sub(r"\s+([,.;])", r"\1", " ".join(text.split()))
    return re.sub(r"^(?:and|with|,)\s+|(?:\s+(?:and|with)|,)$", "", re.sub(r",(?=[,.;])", "", text)).strip(" ,")
