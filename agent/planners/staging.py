"""From what a prompt says to the objects and relations of a scene."""

from __future__ import annotations

from random import Random

from agent.planners.grammar.reading import Group, Reading
from agent.planners.grammar.vocabulary import SIZES
from agent.planners.natural import support, with_article
from instdiff import knowledge
from instdiff.layout import MAX_INSTANCES
from instdiff.scene import Predicate, Relation, SceneObject

SEVERAL = (Predicate.LEFT_OF, Predicate.RIGHT_OF, Predicate.ABOVE, Predicate.BELOW, Predicate.LARGER_THAN, Predicate.SMALLER_THAN)
STRETCH = {"tall": (1.0, 1.3), "long": (1.3, 1.0), "wide": (1.3, 1.0), "short": (1.0, 0.8)}  # of width and height
PLACE_M = (8.0, 4.0)  # width and height of a place that is seen as one thing: "a school", "a pond"
SMALLEST_M, LARGEST_M = 0.02, 500.0


def cap(groups: list[Group]) -> bool:
    """Cut groups until all their things fit a layout, vague numbers first; True if anything was cut."""
    cut = False
    for group in groups:
        cut, group.count = cut or group.count > MAX_INSTANCES, min(group.count, MAX_INSTANCES)
    while (over := sum(group.count for group in groups) - MAX_INSTANCES) > 0:
        largest = max(groups, key=lambda group: (group.is_vague and group.count > 1, group.count))
        spare = largest.count - 1 if largest.count > 1 else 1
        largest.count -= min(over, spare, max(1, largest.count // 4))
        cut = True
    return cut


def size_of(group: Group) -> tuple[float, float]:
    """(width, height) in metres: what is known of the noun, as its adjectives change it."""
    noun = knowledge.nouns().get(group.category)
    is_place = group.category not in knowledge.things() and noun is not None and isinstance(noun.meaning, knowledge.Setting)
    width_m, height_m = PLACE_M if is_place else knowledge.size_of(group.category, group.noun)
    for word in group.adjectives:
        across, up = STRETCH.get(word, (SIZES.get(word, 1.0),) * 2)
        width_m, height_m = width_m * across, height_m * up
    return tuple(min(max(side, SMALLEST_M), LARGEST_M) for side in (width_m, height_m))


def caption_of(group: Group) -> str:
    """ "a small white dog": what one thing of the group is called on the picture."""
    words = " ".join((*group.adjectives, group.noun, group.extra)).strip().replace(" ,", ",")
    return with_article(words)[:1000]


def objects_of(reading: Reading, setting: knowledge.Setting | None) -> tuple[list[SceneObject], list[list[str]]]:
    """The objects of all groups, and the ids of each group's objects, those of its parts among them."""
    objects, ids = [], []
    for group in reading.groups:
        width_m, height_m = size_of(group)
        category = group.category[:60]
        names = [f"{category}-{len(objects) + i + 1}" for i in range(group.count)]
        place = support(group.category, setting)
        objects += [
            SceneObject(id=name, category=category, caption=caption_of(group), width_m=width_m, height_m=height_m, support=place)
            for name in names
        ]
        ids.append(names)
    for index, group in enumerate(reading.groups):
        ids[index] = [*ids[index], *(name for part in group.parts for name in ids[part])]
    return objects, ids


def relations_of(reading: Reading, ids: list[list[str]], objects: list[SceneObject], rng: Random) -> list[Relation]:
    """The relations between single objects that the relations between groups ask for."""
    relations = [relation for subject, predicate, target in reading.relations for relation in _pairs(ids[subject], predicate, ids[target])]
    for subject, targets in reading.between:
        relations += _between(ids[subject], [name for target in targets for name in ids[target] if name not in ids[subject]], rng)
    for subject, target in reading.flanks:
        for i, one in enumerate(ids[subject]):
            side = (Predicate.LEFT_OF, Predicate.RIGHT_OF)[i % 2]
            relations += [Relation(subject=one, predicate=side, object=other) for other in ids[target][:1]]
    for subject, place in reading.places:
        relations += [Relation(subject=one, predicate=place) for one in ids[subject]]
    relations += _belongings(reading, ids, {item.id: item for item in objects}, relations)
    return list(dict.fromkeys(relations))


def _pairs(subjects: list[str], predicate: Predicate, targets: list[str]) -> list[Relation]:
    """Sides and sizes hold to all of the other group, all else to one of it each."""
    if not targets:
        return []
    pairs = []
    for i, one in enumerate(subjects):
        others = targets if predicate in SEVERAL else [targets[i % len(targets)]]
        pairs += [Relation(subject=one, predicate=predicate, object=other) for other in others if other != one]
    return pairs


def _between(subjects: list[str], around: list[str], rng: Random) -> list[Relation]:
    if len(around) < 2:
        return []
    first, second = rng.sample(around, 2) if len(around) == 2 else (around[0], around[-1])
    sides = ((Predicate.RIGHT_OF, first), (Predicate.LEFT_OF, second))
    return [Relation(subject=one, predicate=side, object=other) for side, other in sides for one in subjects]


def _belongings(reading: Reading, ids: list[list[str]], items: dict[str, SceneObject], relations: list[Relation]) -> list[Relation]:
    """What things are said to have and to have nowhere: on what carries small things, beside people and animals."""
    bound = {relation.subject for relation in relations}
    found = []
    for host, belonging in reading.hosts:
        for i, one in enumerate(ids[belonging]):
            if one in bound or not ids[host]:
                continue
            owner, item = items[ids[host][i % len(ids[host])]], items[one]
            if owner.category == "person":
                found.append(Relation(subject=one, predicate=Predicate.NEXT_TO, object=owner.id))
            elif owner.thing and owner.thing.surface and item.thing and item.thing.on[0] == "table" and item.width_m < owner.width_m:
                found.append(Relation(subject=one, predicate=Predicate.ON, object=owner.id))
    return found
