"""From what a prompt says, and from what is usually there, to the objects and relations of a scene."""

from __future__ import annotations

from random import Random

from agent.planners.grammar.parts import Group, Reading
from agent.planners.grammar.vocabulary import BUSY, EMPTY, HYPERNYMS, SIZES
from instdiff.layout import MAX_INSTANCES
from instdiff.world import knowledge, nouns
from instdiff.world.scene import Predicate, Relation, SceneObject

NATURAL_COUNT = (4, 7)  # how many objects a scene has that is named by its setting alone
FEW = (3, 4)
MANY = (6, 8)  # the same for an empty and for a busy setting


def support(category: str, setting: knowledge.Setting | None) -> str | None:
    """Where a thing is found in this setting; its usual place otherwise."""
    thing = knowledge.things().get(category)
    if thing is None or setting is None:
        return None
    if setting.name == "sky" and "sky" in thing.on:
        return "sky"
    if category == "airplane" and setting.name == "airport":
        return "ground"
    return next((place for place in thing.on if place != "sky" or setting.place == "outdoor"), None)


def excluded(absent: list[str]) -> set[str]:
    """Every category that is absent, with the kinds of "animals" or "vehicles" spelled out."""
    return set(absent) | {category for name in absent for category in HYPERNYMS.get(name, ())}


def natural(
    setting: knowledge.Setting, adjectives: tuple[str, ...], given: list[SceneObject], absent: list[str], rng: Random
) -> list[SceneObject]:
    """What else is in a setting, besides what the prompt names: drawn by how often it is found there."""
    taken = {item.category for item in given} | excluded(absent)
    wanted = rng.randint(*(FEW if EMPTY & set(adjectives) else MANY if BUSY & set(adjectives) else NATURAL_COUNT))
    room = min(max(wanted - len(given), 2 if len(given) < 10 else 0), MAX_INSTANCES - len(given))
    chosen: list[SceneObject] = []
    options = [option for option in setting.objects if option.category not in taken]
    order = sorted(options, key=lambda option: (option.chance < 1, rng.random()))
    lucky = [option for option in order if rng.random() < option.chance]
    for option in [*lucky, *(option for option in order if option not in lucky)]:
        for _ in range(min(rng.randint(*option.count), room - len(chosen))):
            colours = knowledge.things()[option.category].colours
            words = f"{rng.choice(colours)} {option.category}" if colours and rng.random() < 0.6 else option.category
            name = f"{option.category}-{len(given) + len(chosen) + 1}"
            chosen.append(
                SceneObject(
                    id=name,
                    category=option.category,
                    caption=nouns.with_article(words),
                    support=support(option.category, setting),
                )
            )
    return chosen


def any_setting(absent: list[str], rng: Random) -> knowledge.Setting:
    """A setting for a picture of which the words only say what must not be there."""
    gone = excluded(absent)
    fitting = [
        setting
        for setting in knowledge.settings().values()
        if sum(o.category not in gone for o in setting.objects) >= NATURAL_COUNT[0]
    ]
    likely = [setting for setting in fitting if not any(o.category in gone for o in setting.objects)]
    return rng.choice(likely or fitting)


def settle(objects: list[SceneObject], relations: list[Relation]) -> list[Relation]:
    """Put small things that the prompt places nowhere on a table, desk or shelf that is there."""
    bound = {name for relation in relations for name in (relation.subject, relation.object)}
    carriers = [item for category in knowledge.TABLES for item in objects if item.category == category]
    rooms = {item.id: item.width_m for item in carriers}
    settled = []
    for item in objects:
        if item.id in bound or item.thing is None or item.thing.on[0] != "table" or item.support != "table":
            continue
        needed = max(2.2 * item.width_m, 0.42)
        carrier = next((c for c in carriers if rooms[c.id] >= needed and item.longest_m < 0.9 * c.width_m), None)
        if carrier:
            rooms[carrier.id] -= needed
            settled.append(Relation(subject=item.id, predicate=Predicate.ON, object=carrier.id))
    return settled


SEVERAL = (
    Predicate.LEFT_OF,
    Predicate.RIGHT_OF,
    Predicate.ABOVE,
    Predicate.BELOW,
    Predicate.LARGER_THAN,
    Predicate.SMALLER_THAN,
)
STRETCH = {"tall": (1.0, 1.3), "long": (1.3, 1.0), "wide": (1.3, 1.0), "short": (1.0, 0.8)}  # of width and height
PLACE_M = (8.0, 4.0)  # width and height of a place that is seen as one thing: "a school", "a pond"
SMALLEST_M = 0.02
LARGEST_M = 500.0


def cap(groups: list[Group]) -> bool:
    """Cut groups until all their things fit a layout, vague numbers first; True if anything was cut."""
    cut = False
    for group in groups:
        cut = cut or group.count > MAX_INSTANCES
        group.count = min(group.count, MAX_INSTANCES)
    while (over := sum(group.count for group in groups) - MAX_INSTANCES) > 0:
        largest = max(groups, key=lambda group: (group.is_vague and group.count > 1, group.count))
        spare = largest.count - 1 if largest.count > 1 else 1
        largest.count -= min(over, spare, max(1, largest.count // 4))
        cut = True
    return cut


def size_of(group: Group) -> tuple[float, float]:
    """(width, height) in metres: what is known of the noun, as its adjectives change it."""
    noun = nouns.known(group.category)
    is_place = noun is not None and not noun.plural and isinstance(noun.meaning, knowledge.Setting)
    width_m, height_m = PLACE_M if is_place else knowledge.size_of(group.category, group.noun)
    for word in group.adjectives:
        across, up = STRETCH.get(word, (SIZES.get(word, 1.0),) * 2)
        width_m = width_m * across
        height_m = height_m * up
    return tuple(min(max(side, SMALLEST_M), LARGEST_M) for side in (width_m, height_m))


def caption_of(group: Group) -> str:
    """ "a small white dog": what one thing of the group is called on the picture."""
    words = " ".join((*group.adjectives, group.noun, group.extra)).strip().replace(" ,", ",")
    return nouns.with_article(words)[:1000]


def objects_of(reading: Reading, setting: knowledge.Setting | None) -> tuple[list[SceneObject], list[list[str]]]:
    """The objects of all groups, and the ids of each group's objects, those of its parts among them."""
    objects = []
    ids = []
    for group in reading.groups:
        width_m, height_m = size_of(group)
        category = group.category[:60]
        names = [f"{category}-{len(objects) + i + 1}" for i in range(group.count)]
        place = support(group.category, setting)
        objects += [
            SceneObject(
                id=name, category=category, caption=caption_of(group), width_m=width_m, height_m=height_m, support=place
            )
            for name in names
        ]
        ids.append(names)
    for index, group in enumerate(reading.groups):
        ids[index] = [*ids[index], *(name for part in group.parts for name in ids[part])]
    return objects, ids


def relations_of(reading: Reading, ids: list[list[str]], objects: list[SceneObject], rng: Random) -> list[Relation]:
    """The relations between single objects that the relations between groups ask for."""
    relations = [
        relation
        for subject, predicate, target in reading.relations
        for relation in _pairs(ids[subject], predicate, ids[target])
    ]
    for subject, targets in reading.between:
        relations += _between(
            ids[subject], [name for target in targets for name in ids[target] if name not in ids[subject]], rng
        )
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


def _belongings(
    reading: Reading, ids: list[list[str]], items: dict[str, SceneObject], relations: list[Relation]
) -> list[Relation]:
    """What things are said to have and to have nowhere: on what carries small things, beside people and animals."""
    bound = {relation.subject for relation in relations}
    found = []
    for host, belonging in reading.hosts:
        for i, one in enumerate(ids[belonging]):
            if one in bound or not ids[host]:
                continue
            owner = items[ids[host][i % len(ids[host])]]
            item = items[one]
            if owner.category == "person":
                found.append(Relation(subject=one, predicate=Predicate.NEXT_TO, object=owner.id))
            elif (
                owner.thing
                and owner.thing.surface
                and item.thing
                and item.thing.on[0] == "table"
                and item.width_m < owner.width_m
            ):
                found.append(Relation(subject=one, predicate=Predicate.ON, object=owner.id))
    return found
