"""What a reading of a prompt makes of the world: objects with sizes, their relations, and what is usually there."""

from __future__ import annotations

import itertools
from random import Random

from agent.planners.english.kinds import Kind
from agent.planners.english.parser import small_words
from agent.planners.english.parts import Group, Reading, is_living, last_word
from agent.planners.english.reader import read_prompt
from agent.planners.english.relations import HANDY_M
from agent.planners.english.words import ASKING, BUSY, EMPTY, FLAT, HYPERNYMS, META, MODELS, SIZES, STYLE
from instdiff.errors import BadInput
from instdiff.layout import MAX_INSTANCES
from instdiff.world import knowledge, lexicon, nouns
from instdiff.world.poses import posed
from instdiff.world.predicates import Predicate
from instdiff.world.scene import Relation, Scene, SceneObject

MAX_PROMPT = 2000  # characters
# how many objects a scene has, at least and at most, that is named by its setting alone: usual, empty and busy ones
NATURAL_COUNT = (4, 7)
FEW = (3, 4)
MANY = (6, 8)
COLOURED = 0.6  # how often a thing that comes in colours is given one
# relations that hold to all of a group; all else holds to one of it each
TO_ALL = (
    Predicate.LEFT_OF,
    Predicate.RIGHT_OF,
    Predicate.ABOVE,
    Predicate.BELOW,
    Predicate.LARGER_THAN,
    Predicate.SMALLER_THAN,
)
STRETCH = {"tall": (1.0, 1.3), "long": (1.3, 1.0), "wide": (1.3, 1.0), "short": (1.0, 0.8)}  # of width and height
PLACE_M = (8.0, 4.0)  # width and height of a place that is seen as one thing: "a school", "a pond"
MODEL_M = 0.35  # the longest side of a toy
SMALLEST_M = 0.02
LARGEST_M = 500.0
ROOM_M = 0.42  # what a small thing takes of a table's width at least
ROOM = 2.2  # ... and as a share of its own width


def scene_of(prompt: str, rng: Random) -> tuple[Scene, list[str]]:
    """The scene that a prompt describes, and notes on what was decided freely."""
    check_length(prompt)
    reading = read_prompt(prompt)
    notes = reading.left_out()
    setting = knowledge.settings().get(reading.setting)
    if not reading.groups and setting is None:
        setting = _invent_subject(reading, prompt, notes, rng)
    _settle_numbers(reading)
    if _cut_to_fit(reading.groups):
        notes.append(
            f"The prompt names more things than the {MAX_INSTANCES} a layout holds; the largest groups were cut."
        )
    objects, ids = _objects_of(reading, setting)
    relations = _relations_of(reading, ids, objects, rng)
    notes += _size_notes(reading, objects)
    told = len(reading.groups) > 1 or (reading.groups and setting is not None and setting.place == "outdoor")
    if setting and (reading.setting_is_subject and not told or not objects) and not (reading.is_complete and objects):
        usual = _usual_objects(setting, reading.setting_adjectives, objects, reading.absent, rng)
        objects += usual
        names = ", ".join(item.category for item in usual) or "none"
        notes.append(f"The things of the {setting.name} were chosen freely: {names}.")
    relations += _put_on_tables(objects, relations)
    caption = reading.caption if len(reading.caption) > 1 else prompt.strip()
    scene = Scene(
        caption=caption,
        setting=setting.name if setting else "",
        objects=tuple(objects),
        relations=tuple(relations),
        absent=tuple(reading.absent),
    )
    return scene, notes


def check_length(prompt: str) -> None:
    if not prompt.strip():
        raise BadInput("prompt", "the prompt is empty; say what the picture shows, such as 'a red car next to a tree'")
    if any(0xD800 <= ord(letter) <= 0xDFFF for letter in prompt):
        raise BadInput("prompt", "the prompt is not valid Unicode text")
    if len(prompt) > MAX_PROMPT:
        raise BadInput("prompt", f"the prompt has {len(prompt)} characters; the planner takes up to {MAX_PROMPT}")


def _invent_subject(reading: Reading, prompt: str, notes: list[str], rng: Random) -> knowledge.Setting | None:
    """A setting for a prompt in which nothing known is named, or one thing made of its words, added to the reading."""
    if reading.absent and reading.asks_for_picture:
        setting = _choose_setting(reading.absent, rng)
        reading.setting_is_subject = True
        notes.append(f"The prompt says only what is absent; a {setting.name} was chosen freely.")
        return setting
    unseen = [dropped.words for dropped in reading.dropped if dropped.reason == Kind.UNSEEN.value]
    words = _telling_words(unseen[-1] if unseen else reading.caption)
    if not words or reading.absent:
        raise BadInput(
            "prompt",
            f"{prompt.strip()[:60]!r} names nothing to paint; say what the picture shows, such as 'a cat on a couch'",
        )
    reading.groups.append(Group(words, words, 1))
    notes.append(f'No known thing was found in the prompt; "{words}" is planned as one thing.')
    return None


def _size_notes(reading: Reading, objects: list[SceneObject]) -> list[str]:
    """A note on the things of which no size is known."""
    unknown = {group.category for group in reading.groups if not group.is_known}
    named = sorted(unknown & {item.category for item in objects})
    return [f"Of {', '.join(named)} no size is known; it was guessed."] if named else []


def _telling_words(caption: str) -> str:
    """The words of a caption that could name something, at most 60 characters."""
    words = [word.strip(".,;:!?\"'()-") for word in caption.split()]
    words = [word for word in words if any(map(str.isalnum, word)) and word.lower() not in small_words()]
    telling = [word for word in words if word.lower() not in ASKING | META | STYLE]
    return " ".join(telling or words)[:60].strip()


def _support(category: str, setting: knowledge.Setting | None) -> knowledge.Support:
    """Where a thing is found in this setting; its usual place otherwise, the ground for what nobody knows."""
    known = knowledge.thing(category)
    if known is None:
        return "ground"
    if setting is None:
        return known.on[0]
    if setting.name == "sky" and "sky" in known.on:
        return "sky"
    if category == "airplane" and setting.name == "airport":
        return "ground"
    return next((place for place in known.on if place != "sky" or setting.place == "outdoor"), known.on[0])


def _absent_categories(absent: list[str]) -> set[str]:
    """Every category that is absent, with the kinds of "animals" or "vehicles" spelled out."""
    return set(absent) | {category for name in absent for category in HYPERNYMS.get(name, ())}


def _usual_objects(
    setting: knowledge.Setting, adjectives: tuple[str, ...], named: list[SceneObject], absent: list[str], rng: Random
) -> list[SceneObject]:
    """What else is in a setting, besides what the prompt names: drawn by how often it is found there."""
    taken = {item.category for item in named} | _absent_categories(absent)
    wanted = rng.randint(*(FEW if EMPTY & set(adjectives) else MANY if BUSY & set(adjectives) else NATURAL_COUNT))
    room = min(max(wanted - len(named), 2 if len(named) < 10 else 0), MAX_INSTANCES - len(named))
    chosen: list[SceneObject] = []
    options = [option for option in setting.objects if option.category not in taken]
    order = sorted(options, key=lambda option: (option.chance < 1, rng.random()))
    lucky = [option for option in order if rng.random() < option.chance]
    for option in [*lucky, *(option for option in order if option not in lucky)]:
        category = option.category
        width_m, height_m = knowledge.size_of(category)
        for _ in range(min(rng.randint(*option.count), room - len(chosen))):
            colours = knowledge.things()[category].colours
            words = f"{rng.choice(colours)} {category}" if colours and rng.random() < COLOURED else category
            chosen.append(
                SceneObject(
                    id=f"{category}-{len(named) + len(chosen) + 1}",
                    category=category,
                    caption=nouns.with_article(words),
                    width_m=width_m,
                    height_m=height_m,
                    support=_support(category, setting),
                    chosen=True,
                )
            )
    return chosen


def _choose_setting(absent: list[str], rng: Random) -> knowledge.Setting:
    """A setting for a picture of which the words only say what must not be there."""
    missing = _absent_categories(absent)
    fitting = [
        setting
        for setting in knowledge.settings().values()
        if sum(o.category not in missing for o in setting.objects) >= NATURAL_COUNT[0]
    ]
    likely = [setting for setting in fitting if not any(o.category in missing for o in setting.objects)]
    return rng.choice(likely or fitting)


def _put_on_tables(objects: list[SceneObject], relations: list[Relation]) -> list[Relation]:
    """Relations that put small things, which the prompt places nowhere, on a table, desk or shelf that is there."""
    bound = {name for relation in relations for name in (relation.subject, relation.object)}
    tables = (knowledge.with_alike((category,)) for category in knowledge.TABLES)
    carriers = [item for names in tables for item in objects if item.category in names]
    rooms_m = {item.id: item.width_m for item in carriers}
    additions = []
    for item in objects:
        if item.id in bound or not item.rests_on_tables or item.support != "table":
            continue
        needed_m = max(ROOM * item.width_m, ROOM_M)
        fitting = (c for c in carriers if rooms_m[c.id] >= needed_m and item.longest_m < 0.9 * c.width_m)
        if carrier := next(fitting, None):
            rooms_m[carrier.id] -= needed_m
            additions.append(Relation(subject=item.id, predicate=Predicate.ON, object=carrier.id))
    return additions


def _cut_to_fit(groups: list[Group]) -> bool:
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


def _settle_numbers(reading: Reading) -> None:
    """Give groups whose number the words leave open one that fits what they compare it with."""
    for first, sign, second in reading.compared:
        a, b = reading.groups[first], reading.groups[second]
        if not a.is_vague and not b.is_vague:
            continue
        if a.is_vague and b.is_vague:
            a.count, b.count = {1: (4, 2), 0: (3, 3), -1: (2, 4)}[sign]
        elif b.is_vague:
            b.count = max(a.count - sign, 1) if sign >= 0 else a.count + 2
        else:
            a.count = max(b.count + sign, 1) if sign <= 0 else b.count + 2
        a.is_vague = b.is_vague = False


def _size_of(group: Group) -> tuple[float, float]:
    """(width, height) in metres: what is known of the noun, as its adjectives change it."""
    noun = nouns.known(group.category)
    is_place = noun is not None and not noun.plural and isinstance(noun.meaning, knowledge.Setting)
    category = lexicon.known_as(group.category, group.noun)
    width_m, height_m = PLACE_M if is_place else knowledge.size_of(category, group.noun)
    model = next((word for word in (*group.adjectives, *group.noun.split()) if word in MODELS), "")
    if model:  # "a toy elephant", "a statue of a horse"
        longest_m = max(knowledge.size_of(model)) if knowledge.thing(model) else MODEL_M
        shrink = min(longest_m / max(width_m, height_m), 1.0)
        width_m, height_m = width_m * shrink, height_m * shrink
    width_m, height_m = posed(category, width_m, height_m, group.pose)
    for word in group.adjectives:
        across, up = STRETCH.get(word, (SIZES.get(word, 1.0),) * 2)
        width_m = width_m * across
        height_m = height_m * up
    return min(max(width_m, SMALLEST_M), LARGEST_M), min(max(height_m, SMALLEST_M), LARGEST_M)


def _caption_of(group: Group) -> str:
    """ "a small white dog": what one thing of the group is called on the picture."""
    return nouns.with_article(f"{group.words} {group.extra}".strip())[:1000]


def _objects_of(reading: Reading, setting: knowledge.Setting | None) -> tuple[list[SceneObject], list[list[str]]]:
    """The objects of all groups, and the ids of each group's objects, those of its parts among them."""
    objects: list[SceneObject] = []
    ids = []
    for group in reading.groups:
        width_m, height_m = _size_of(group)
        category = group.category[:60]
        names = [f"{category}-{len(objects) + i + 1}" for i in range(group.count)]
        objects += [
            SceneObject(
                id=name,
                category=category,
                caption=_caption_of(group),
                width_m=width_m,
                height_m=height_m,
                support=_support(lexicon.known_as(category, group.noun), setting),
            )
            for name in names
        ]
        ids.append(names)
    for index, group in enumerate(reading.groups):
        ids[index] = [*ids[index], *(name for part in group.parts for name in ids[part])]
    return objects, ids


def _relations_of(reading: Reading, ids: list[list[str]], objects: list[SceneObject], rng: Random) -> list[Relation]:
    """The relations between single objects that the relations between groups ask for."""
    relations = [
        relation
        for subject, predicate, target in reading.relations
        for relation in _pairs(ids[subject], predicate, ids[target])
    ]
    for subject, targets in reading.between:
        around = [name for target in targets for name in ids[target] if name not in ids[subject]]
        relations += _between(ids[subject], around, rng)
    for subject, target in reading.flanks:
        relations += _around(ids[subject], ids[target])
    for groups, predicate in reading.rows:
        row = [name for group in groups for name in ids[group]]
        relations += [Relation(subject=a, predicate=predicate, object=b) for a, b in itertools.pairwise(row)]
    for subject, place in reading.places:
        relations += [Relation(subject=name, predicate=place) for name in ids[subject]]
    relations += _by_size_words(reading, ids, {item.id: item for item in objects})
    relations += _belongings(reading, ids, {item.id: item for item in objects}, relations)
    return list(dict.fromkeys(relations))


def _pairs(subjects: list[str], predicate: Predicate, targets: list[str]) -> list[Relation]:
    """Sides and sizes hold to all of the other group, all else to one of it each."""
    if not targets:
        return []
    relations = []
    for i, name in enumerate(subjects):
        partners = targets if predicate in TO_ALL else [targets[i % len(targets)]]
        relations += [
            Relation(subject=name, predicate=predicate, object=partner) for partner in partners if partner != name
        ]
    return relations


def _by_size_words(reading: Reading, ids: list[list[str]], items: dict[str, SceneObject]) -> list[Relation]:
    """ "A tiny elephant behind a huge mouse": the mouse is the larger one, whatever they measure."""
    factors = [next((SIZES[word] for word in group.adjectives if word in SIZES), 1.0) for group in reading.groups]
    return [
        Relation(subject=ids[a][0], predicate=Predicate.LARGER_THAN, object=ids[b][0])
        for a, large in enumerate(factors)
        for b, small in enumerate(factors)
        if large > 1 > small and ids[a] and ids[b] and items[ids[a][0]].size_m < items[ids[b][0]].size_m
    ]


def _around(subjects: list[str], targets: list[str]) -> list[Relation]:
    """What is around another thing: on its left and right, and before it, in turns."""
    sides = (Predicate.LEFT_OF, Predicate.RIGHT_OF, Predicate.IN_FRONT_OF)
    turns = sides if len(subjects) > 2 else sides[:2]
    return [
        Relation(subject=name, predicate=turns[i % len(turns)], object=target)
        for i, name in enumerate(subjects)
        for target in targets[:1]
    ]


def _between(subjects: list[str], around: list[str], rng: Random) -> list[Relation]:
    """The two relations that put each subject between the first and the last of what is around it."""
    if len(around) < 2:
        return []
    first, second = rng.sample(around, 2) if len(around) == 2 else (around[0], around[-1])
    sides = ((Predicate.RIGHT_OF, first), (Predicate.LEFT_OF, second))
    return [Relation(subject=name, predicate=side, object=target) for side, target in sides for name in subjects]


def _belongings(
    reading: Reading, ids: list[list[str]], items: dict[str, SceneObject], relations: list[Relation]
) -> list[Relation]:
    """What things are said to have and to have nowhere: on what carries small things, beside people and animals."""
    bound = {relation.subject for relation in relations}
    additions = []
    for host, belonging in reading.hosts:
        for i, name in enumerate(ids[belonging]):
            if name in bound or not ids[host]:
                continue
            owner = items[ids[host][i % len(ids[host])]]
            item = items[name]
            if owner.category in FLAT or last_word(reading.groups[host].noun) in FLAT:
                additions.append(Relation(subject=name, predicate=Predicate.IN, object=owner.id))
                continue
            carries = owner.thing is not None and owner.thing.surface is not None
            if is_living(owner.category):
                held = item.longest_m < HANDY_M and not is_living(item.category)
                manner = Predicate.HELD_BY if held else Predicate.NEXT_TO
                additions.append(Relation(subject=name, predicate=manner, object=owner.id))
            elif carries and item.rests_on_tables and item.width_m < owner.width_m:
                additions.append(Relation(subject=name, predicate=Predicate.ON, object=owner.id))
    return additions
