"""New things: "add two red cups on the table", one more of what is there, as many as there should be."""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.edit.amounts import LARGE_STEP, LITTLE, LITTLE_STEP, MUCH, STEP
from agent.edit.editable_plan import Sheet, with_addition, with_number
from agent.edit.looks import is_pattern
from agent.edit.place import place, scale_of, usual_carrier
from agent.edit.referents import contents, exists, find, is_noun
from agent.edit.unread import check_read
from agent.planners.english.parts import Group, Reading
from agent.planners.english.reader import read_prompt
from agent.planners.english.words import RELATIONS, SIZES
from instdiff.errors import BadInput
from instdiff.layout import Box
from instdiff.world import knowledge, lexicon, nouns, placement
from instdiff.world.scene import PICTURE, Predicate, Relation, SceneObject

_MORE = re.compile(
    rf"^(?:(?P<number>{'|'.join(map(nouns.number_word, range(1, 11)))}|\d+) )?"
    r"(?:more|extra|additional|other|further) |^another (?=\w+s\b)|^an? (?:second|third|fourth|fifth|new) "
)
_DEGREE = r"(?:very|slightly|a bit|a little|somewhat|rather|quite|extremely|really|much|far)"
COMPARED = {"larger": "large", "bigger": "big", "smaller": "small", "taller": "tall", "shorter": "short"}


def add(sheet: Sheet, words: str) -> None:
    """Add what the words name, where they say."""
    if (pronoun := re.search(r" (?:it|them|him|her)$", words)) and len(sheet.last) == 1:
        said = sheet.instances[sheet.last[0]].caption
        words = f"{words[: pronoun.start()]} the {said.split(' ', 1)[-1]}"
    if re.match(r"(?:the|these|those|both|all) ", words) and is_noun(sheet, words):
        cure = f'say where it is to go, or "another" for one more; {contents(sheet)}'
        raise BadInput("edit", f'"{words}" is there already; {cure}')
    phrase, beside = _split_reference(sheet, _MORE.sub(_without_more, words))
    reading = read_new(sheet, phrase)
    ids = ids_of_groups(sheet, reading, phrase)
    new = [index for index, names in ids.items() if not names]
    if not new:
        raise BadInput("edit", f'"{words}" names nothing new to add; say it like "add a cat", or move what is there')
    add_groups(sheet, reading, phrase, ids, beside)
    sheet.caption = with_addition(sheet.caption, words)


def add_groups(
    sheet: Sheet,
    reading: Reading,
    phrase: str,
    ids: dict[int, tuple[str, ...]],
    beside: Sequence[tuple[Predicate, tuple[str, ...]]] = (),
) -> None:
    """Place the groups of a reading that have no ids yet by their relations; what is new is what "it" stands for.

    Args:
        ids: of each group's things; filled in.
        beside: relations of all that is new to things that are there.
    """
    aimed = aimed_groups(reading)
    new = [index for index, names in ids.items() if not names]
    relations = [*reading.relations, *((held, Predicate.NEXT_TO, host) for host, held in reading.hosts)]
    for subject, targets in reading.between:
        relations += [(subject, Predicate.RIGHT_OF, targets[0]), (subject, Predicate.LEFT_OF, targets[-1])]
    for index in sorted(new, key=lambda index: index not in aimed):
        for count in range(reading.groups[index].count):
            aims = [(predicate, ids[target]) for subject, predicate, target in relations if subject == index]
            around = [(predicate, names[count % len(names)]) for predicate, names in (*beside, *aims) if names]
            around += [(side, PICTURE) for subject, side in reading.places if subject == index]
            ids[index] = (*ids[index], _add_one(sheet, new_object(sheet, reading.groups[index], phrase), around))
    added = [name for index in new for name in ids[index]]
    sheet.last = [name for index in new if index not in aimed for name in ids[index]] or added


def _without_more(more: re.Match[str]) -> str:
    """ "two more" -> "two"; "one more", "another" -> "a", "some more" stays bare."""
    number = more["number"]
    return f"{number} " if number and number not in ("one", "1") else "a "


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


def _add_one(sheet: Sheet, item: SceneObject, around: list[tuple[Predicate, str]]) -> str:
    """Place one new thing; returns its id."""
    relations = [Relation(subject=item.id, predicate=predicate, object=target) for predicate, target in around]
    relations = _between(relations, sheet)
    if not relations and (carrier := usual_carrier(sheet, item)):
        relations = [Relation(subject=item.id, predicate=Predicate.ON, object=carrier)]
    if any(relation.predicate in (Predicate.ABOVE, Predicate.TOP) for relation in relations) and not item.hangs:
        item = item.model_copy(update={"support": "air"})
    box = place(sheet, item, relations)
    if relations and relations[0].predicate is Predicate.ON and relations[0].object in sheet.instances:
        box = _no_wider(box, sheet.box(relations[0].object), item)
    behind = next((relation.object for relation in relations if relation.predicate is Predicate.BEHIND), None)
    sheet.add(item, box, behind)
    sheet.relate(relations, {item.id})
    where = ""
    if around and around[0][1] in sheet.instances:
        where = f" {relations[0].predicate} {sheet.instances[relations[0].object].name}"
    sheet.notes.append(f"Added {item.caption}{where}.")
    return item.id


def _no_wider(box: Box, carrier: Box, item: SceneObject) -> Box:
    """A thing of a size that nobody knows is no wider than what it is on: "a lid on the jar"."""
    if knowledge.thing(item.category) is not None or box.width <= carrier.width:
        return box
    fit = max(carrier.width / box.width, placement.SHORTEST_SIDE / min(box.width, box.height))
    return placement.frame(box.centre.x, box.y1, box.width * min(fit, 1.0), box.height * min(fit, 1.0))


def _between(relations: list[Relation], sheet: Sheet) -> list[Relation]:
    """ "between a and b" as it lies on the picture: right of the left one."""
    if [relation.predicate for relation in relations] != [Predicate.RIGHT_OF, Predicate.LEFT_OF]:
        return relations
    ends = sorted((relation.object for relation in relations), key=lambda name: sheet.box(name).centre.x)
    pairs = zip(relations, ends, strict=True)
    return [relation.model_copy(update={"object": end}) for relation, end in pairs]


def read_new(sheet: Sheet, words: str) -> Reading:
    """What words say of new things.

    Raises:
        BadInput: they name none, or have a word in them that is not understood.
    """
    reading = read_prompt(words, any_language=True)
    if not reading.groups:
        raise BadInput("edit", f'"{words}" names nothing that could be added; say it like "add a cat on the sofa"')
    check_read(words, reading, sheet.names)
    for group in reading.groups:
        if is_pattern(group.noun) and nouns.plural_of(group.noun) in words.split():
            cure = 'say how the thing is to look, such as "make the cup striped" or "a striped cat"'
            raise BadInput("edit", f'"{nouns.plural_of(group.noun)}" of "{words}" is no thing; {cure}')
    return reading


def ids_of_groups(sheet: Sheet, reading: Reading, words: str) -> dict[int, tuple[str, ...]]:
    """The ids of each group that is already there; none for a group that is to be added."""
    ids: dict[int, tuple[str, ...]] = {}
    aimed = aimed_groups(reading)
    for index, group in enumerate(reading.groups):
        phrase = " ".join((*group.adjectives, group.noun))
        definite = re.search(rf"\b(the|his|her|its|their|this|that)\s+(?:[\w-]+\s+){{0,2}}?{re.escape(phrase)}", words)
        if index in aimed and (definite or exists(sheet, group)):
            the = definite[0] if definite and definite[1] == "the" else f"the {phrase}"
            ids[index] = tuple(find(sheet, the))
        else:
            ids[index] = ()
    return ids


def aimed_groups(reading: Reading) -> set[int]:
    """The groups that others are placed by."""
    aimed = {target for _, _, target in reading.relations}
    return aimed.union(*(targets for _, targets in reading.between))


def new_object(sheet: Sheet, group: Group, phrase: str) -> SceneObject:
    """The scene's object for a noun phrase, as large as its adjectives make it; "bigger" is read as "big"."""
    width_m, height_m = knowledge.size_of(lexicon.known_as(group.category, group.noun), group.noun)
    looks = [COMPARED.get(word, word) for word in group.adjectives]
    for word in looks:
        width_m *= SIZES.get(word, 1.0)
        height_m *= SIZES.get(word, 1.0)
    degrees = {look: re.search(rf"\b({_DEGREE}) {re.escape(look)}\b", phrase) for look in looks}
    said = (f"{degree[1]} {look}" if (degree := degrees[look]) else look for look in looks)
    words = " ".join((*said, group.noun, group.extra)).strip().replace(" ,", ",")
    support = None
    known_thing = knowledge.thing(group.category)
    setting = knowledge.settings().get(sheet.setting)
    if known_thing and setting:
        support = next((usual for usual in known_thing.on if usual != "sky" or setting.place == "outdoor"), None)
    values = {"id": sheet.new_id(group.category), "category": group.category, "caption": nouns.with_article(words)}
    return SceneObject.parse({**values, "support": support, "width_m": width_m, "height_m": height_m}, "edit")


def compared_size(group: Group, phrase: str) -> float | None:
    """How much larger than another thing "a bigger dog" is, as a factor of lengths; None where nothing is compared."""
    word = next((word for word in group.adjectives if word in COMPARED), None)
    if word is None:
        return None
    factor = LARGE_STEP if MUCH.search(phrase) else LITTLE_STEP if LITTLE.search(phrase) else STEP
    return 1 / factor if COMPARED[word] in ("small", "short") else factor


def copy(sheet: Sheet, name: str) -> str:
    """The same thing once more, beside the other and on what that is on; returns its id."""
    original = sheet.objects[name]
    item = original.model_copy(update={"id": sheet.new_id(original.category)})
    relations = [Relation(subject=item.id, predicate=Predicate.NEXT_TO, object=name)]
    below = placement.carrier(sheet.plan(), sheet.index(name))
    if below is not None:
        relations.append(Relation(subject=item.id, predicate=Predicate.ON, object=sheet.order[below]))
    own = sheet.box(name)
    box = place(sheet, item, relations, own, scale_of(sheet, name))
    sheet.add(item, placement.frame(box.centre.x, box.y1, own.width, own.height))
    sheet.relate(relations, {item.id})
    number = sum(thing.category == item.category for thing in sheet.objects.values())
    sheet.caption = with_number(sheet.caption, sheet.instances[name].caption, item.category, number)
    sheet.notes.append(f"Added another {sheet.instances[name].caption.split(' ', 1)[-1]}.")
    return item.id


def added_until(sheet: Sheet, what: str, number: str) -> list[str]:
    """Add more of a kind, beside the last of them, until there are so many; the ids of those that are too many.

    Raises:
        BadInput: the number is none, or nothing of the kind is there.
    """
    sign, plain = (number[0], number[1:]) if number[0] in "+-x" else ("", number)
    step = nouns.NUMBERS.get(plain, int(plain) if plain.isdecimal() and len(plain) < 4 else None)
    if step is None and plain != "0.5":
        raise BadInput("edit", f'"{plain}" is no number of things; {contents(sheet)}')
    names = find(sheet, f"all {what}")
    wanted = _wanted(len(names), sign, step)
    if wanted < 0 or sign and wanted == len(names):
        raise BadInput("edit", f'the number of "{what}" is {len(names)} and cannot change so; {contents(sheet)}')
    while len(names) < wanted:
        names.append(copy(sheet, names[-1]))
    sheet.last = names[:wanted]
    return names[wanted:]


def _wanted(there: int, sign: str, step: int | None) -> int:
    """How many there are to be: so many more or less, times as many, half of them (no step), or just so many."""
    if step is None:
        return there // 2
    return {"+": there + step, "-": there - step, "x": there * step}.get(sign, step)
