"""`edit_plan` obeys the commands of an edit one by one, on a sheet that holds the plan."""

from __future__ import annotations

import re

from agent.critic.critic import criticise
from agent.edit.editable_plan import Sheet, with_addition, with_adjectives, with_other_phrase, without_object
from agent.edit.move import exchange_ends, move, resize, swap
from agent.edit.parse import Command, commands, contents, exists, find, is_noun
from agent.edit.place import place, scale_of, usual_carrier
from agent.planners.english.parts import Group, Reading
from agent.planners.english.reader import read_prompt
from agent.planners.english.words import COLOURS, RELATIONS
from agent.planners.plan import Plan
from instdiff.errors import BadInput
from instdiff.world import knowledge, nouns, placement
from instdiff.world.scene import PICTURE, Predicate, Relation, SceneObject

_NO_LOOKS = ("in", "entirely", "a", "the", "colour", "color", "of", "made", "look", "more", "all")
MOST_GROWTH = 2.5  # what takes the place of something else covers at most so much more


def edit_plan(plan: Plan, words: str) -> Plan:
    """The plan after an edit in words; its notes say what was changed.

    Added things are placed by the scale of what is there; the critic looks at them, and repairs nothing else.

    Raises:
        BadInput: the words are no edit, speak of what is not there or of more than one thing, or change nothing.
    """
    sheet = Sheet(plan)
    for command in commands(words, lambda name: is_noun(sheet, name)):
        _obey(sheet, command)
    after = sheet.plan().model_copy(update={"planner": "none", "notes": tuple(sheet.notes), "seed": None})
    if after.layout == plan.layout:
        raise BadInput("edit", f'"{words.strip()}" changes nothing; {contents(sheet)}')
    critique = criticise(after, only={sheet.index(name) for name in sheet.settle})
    return critique.plan_with_notes()


def _obey(sheet: Sheet, command: Command) -> None:
    match command.verb:
        case "add":
            _add(sheet, command.target)
        case "remove":
            for name in find(sheet, command.target):
                _remove(sheet, name)
        case "replace":
            _replace(sheet, find(sheet, command.target), command.to)
        case "swap":
            swap(sheet, find(sheet, command.target), find(sheet, command.to))
        case "move" | "make":
            names = find(sheet, command.target)
            for name in names:
                (move if command.verb == "move" else _make)(sheet, name, command.to)
            sheet.last = names


def _add(sheet: Sheet, words: str) -> None:
    phrase, beside = _split_reference(sheet, words)
    reading = _read_new(phrase)
    ids = _ids_of_groups(sheet, reading, phrase)
    aimed = _aimed(reading)
    new = [index for index, names in ids.items() if not names]
    if not new:
        raise BadInput("edit", f'"{words}" names nothing new to add; say it like "add a cat", or move what is there')
    relations = [*reading.relations, *((held, Predicate.NEXT_TO, host) for host, held in reading.hosts)]
    for subject, targets in reading.between:
        relations += [(subject, Predicate.RIGHT_OF, targets[0]), (subject, Predicate.LEFT_OF, targets[-1])]
    for index in sorted(new, key=lambda index: index not in aimed):
        for count in range(reading.groups[index].count):
            aims = [(predicate, ids[target]) for subject, predicate, target in relations if subject == index]
            around = [(predicate, names[count % len(names)]) for predicate, names in (*beside, *aims) if names]
            around += [(side, PICTURE) for subject, side in reading.places if subject == index]
            ids[index] = (*ids[index], _add_one(sheet, reading.groups[index], around))
    added = [name for index in new for name in ids[index]]
    sheet.last = [name for index in new if index not in aimed for name in ids[index]] or added
    sheet.caption = with_addition(sheet.caption, words)


def _split_reference(sheet: Sheet, words: str) -> tuple[str, list[tuple[Predicate, tuple[str, ...]]]]:
    """ "a cup next to the cup" in two: the grammar of whole prompts takes both for the same cup."""
    reading = read_prompt(words, any_language=True)
    if len(reading.groups) == 1 and not reading.relations:
        for end in re.finditer(r" (?=the )", words):
            for start in re.finditer(r" ", words[: end.start()]):
                relation = words[start.end() : end.start()]
                if relation in RELATIONS and is_noun(sheet, words[end.end() :]):
                    return words[: start.start()], [(RELATIONS[relation], tuple(find(sheet, words[end.end() :])))]
    return words, []


def _add_one(sheet: Sheet, group: Group, around: list[tuple[Predicate, str]]) -> str:
    """Place one new thing; returns its id."""
    item = _object(sheet, group)
    relations = [Relation(subject=item.id, predicate=predicate, object=target) for predicate, target in around]
    relations = _between(relations, sheet)
    if not relations and (carrier := usual_carrier(sheet, item)):
        relations = [Relation(subject=item.id, predicate=Predicate.ON, object=carrier)]
    if any(relation.predicate in (Predicate.ABOVE, Predicate.TOP) for relation in relations) and not item.hangs:
        item = item.model_copy(update={"support": "air"})
    box = place(sheet, item, relations)
    behind = next((relation.object for relation in relations if relation.predicate is Predicate.BEHIND), None)
    sheet.add(item, box, behind)
    sheet.relate(relations, {item.id})
    where = ""
    if around and around[0][1] in sheet.instances:
        where = f" {relations[0].predicate} {sheet.instances[relations[0].object].name}"
    sheet.notes.append(f"Added {item.caption}{where}.")
    return item.id


def _between(relations: list[Relation], sheet: Sheet) -> list[Relation]:
    """ "between a and b" as it lies on the picture: right of the left one."""
    if [relation.predicate for relation in relations] != [Predicate.RIGHT_OF, Predicate.LEFT_OF]:
        return relations
    ends = sorted((relation.object for relation in relations), key=lambda name: sheet.box(name).centre.x)
    pairs = zip(relations, ends, strict=True)
    return [relation.model_copy(update={"object": end}) for relation, end in pairs]


def _read_new(words: str) -> Reading:
    reading = read_prompt(words, any_language=True)
    if not reading.groups:
        raise BadInput("edit", f'"{words}" names nothing that could be added; say it like "add a cat on the sofa"')
    return reading


def _ids_of_groups(sheet: Sheet, reading: Reading, words: str) -> dict[int, tuple[str, ...]]:
    """The ids of each group that is already there; none for a group that is to be added."""
    ids: dict[int, tuple[str, ...]] = {}
    aimed = _aimed(reading)
    for index, group in enumerate(reading.groups):
        phrase = " ".join((*group.adjectives, group.noun))
        definite = re.search(rf"\b(the|his|her|its|their|this|that)\s+(?:[\w-]+\s+){{0,2}}?{re.escape(phrase)}", words)
        if index in aimed and (definite or exists(sheet, group)):
            the = definite[0] if definite and definite[1] == "the" else f"the {phrase}"
            ids[index] = tuple(find(sheet, the))
        else:
            ids[index] = ()
    return ids


def _aimed(reading: Reading) -> set[int]:
    """The groups that others are placed by."""
    aimed = {target for _, _, target in reading.relations}
    return aimed.union(*(targets for _, targets in reading.between))


def _object(sheet: Sheet, group: Group) -> SceneObject:
    """The scene's object for a noun phrase."""
    width_m, height_m = knowledge.size_of(group.category, group.noun)
    words = " ".join((*group.adjectives, group.noun, group.extra)).strip().replace(" ,", ",")
    support = None
    known_thing = knowledge.things().get(group.category)
    setting = knowledge.settings().get(sheet.setting)
    if known_thing and setting:
        support = next((usual for usual in known_thing.on if usual != "sky" or setting.place == "outdoor"), None)
    values = {"id": sheet.new_id(group.category), "category": group.category, "caption": nouns.with_article(words)}
    return SceneObject.parse({**values, "support": support, "width_m": width_m, "height_m": height_m}, "edit")


def _remove(sheet: Sheet, name: str) -> None:
    instance = sheet.instances[name]
    loads = sheet.loads_of(name)
    category = sheet.objects[name].category
    left = sum(item.category == category for item in sheet.objects.values()) - 1
    sheet.caption = without_object(sheet.caption, instance.caption, category, left)
    below = sheet.box(name)
    top = placement.surface(sheet.plan(), sheet.index(name))
    sheet.remove(name)
    for load in loads:  # what stood on it stands where it stood
        box = sheet.box(load)
        sheet.put(load, placement.frame(box.centre.x, box.y1 + below.y1 - top, box.width, box.height))
    sheet.settle |= set(loads)
    sheet.notes.append(f"Removed {instance.caption}.")


def _replace(sheet: Sheet, names: list[str], words: str) -> None:
    """Something else with its foot where the old thing had it, as large as it really is at that distance."""
    group = _read_new(words).groups[0]
    new: list[str] = []
    for name in names:
        old = sheet.instances[name]
        box = sheet.box(name)
        category = sheet.objects[name].category
        position = sheet.index(name)
        loads = sheet.loads_of(name)
        item = _object(sheet, group)
        metre = scale_of(sheet, name) / sheet.aspect
        width = item.width_m * metre
        height = item.height_m * metre * sheet.aspect
        fit = min(
            max(1.0, placement.SHORTEST_SIDE / min(width, height)),
            placement.LONGEST_SIDE / max(width, height),
            (MOST_GROWTH * box.area / (width * height)) ** 0.5,
        )
        bound = [relation for relation in sheet.relations if name in (relation.subject, relation.object)]
        relations = [exchange_ends(relation, name, item.id) for relation in bound]
        sheet.remove(name)
        sheet.add(item, placement.frame(box.centre.x, box.y1, width * fit, height * fit))
        sheet.order.remove(item.id)
        sheet.order.insert(position, item.id)
        sheet.relate(relations, {item.id})
        sheet.relate([], {item.id})
        sheet.caption = with_other_phrase(sheet.caption, old.caption, category, item.caption)
        _set_down(sheet, item.id, loads)
        sheet.notes.append(f"Replaced {old.caption} with {item.caption}.")
        new.append(item.id)
    sheet.last = new


def _set_down(sheet: Sheet, name: str, loads: list[str]) -> None:
    """What was carried stands on the new surface, if it still is over it."""
    top = placement.surface(sheet.plan(), sheet.index(name))
    below = sheet.box(name)
    for load in loads:
        box = sheet.box(load)
        x = min(max(box.centre.x, below.x0), below.x1)
        sheet.put(load, placement.frame(x, top, box.width, box.height))
        sheet.settle.add(load)


def _make(sheet: Sheet, name: str, words: str) -> None:
    """Another size, another look, or both: "larger", "red", "twice as large and blue"."""
    looks: list[str] = []
    for part in re.split(r"\s*(?:,|\band\b)\s*", words):
        if part and not resize(sheet, name, part):
            looks += part.split()
    if not looks:
        return
    plain = [word for word in looks if word not in _NO_LOOKS]
    if not plain:
        raise BadInput("edit", f'"{words}" says no size or look; say it like "larger" or "red"')
    colours = len(plain) > 1 and COLOURS.issuperset(plain)  # "black and white"
    adjectives = " and ".join(plain).split() if colours else plain
    old = sheet.instances[name].caption or sheet.objects[name].category
    new = with_adjectives(old, adjectives)
    sheet.caption = with_other_phrase(sheet.caption, old, sheet.objects[name].category, new)
    sheet.describe(name, new)
    sheet.notes.append(f"{old} is now {new}.")
