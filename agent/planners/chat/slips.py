"""What is kept of a scene in which a model made slips: each costs its item, and a note, never the scene."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from agent.planners.chat.relations import read_relations, words_of
from instdiff.errors import printable
from instdiff.layout import MAX_INSTANCES
from instdiff.world import nouns

UNITS = {
    name: length_m
    for length_m, names in (
        (1.0, "m meter meters metre metres"),
        (0.01, "cm centimeter centimeters centimetre centimetres"),
        (0.001, "mm millimeter millimeters millimetre millimetres"),
        (1000.0, "km kilometer kilometers kilometre kilometres"),
        (0.3048, "ft foot feet"),
        (0.0254, "in inch inches"),
    )
    for name in names.split()
}
LENGTH = re.compile(
    r"(?:about|around|approx(?:imately|\.)?|ca\.?|roughly|~|≈)?\s*(?P<number>[-+]?\d+(?:[.,]\d+)*)"
    r"(?:\s*(?:-|–|to)\s*(?P<until>\d+(?:[.,]\d+)*))?\s*(?P<unit>[a-z]*)\.?"
)
SIZES = ("width_m", "height_m", "distance_m")
COUNTS = ("count", "quantity", "number", "amount")  # keys beside those of the form
CAPTIONS = ("caption", "description", "appearance", "phrase")
CATEGORIES = ("category", "name", "class", "label", "object")
NOTHING = {"", "none", "null", "nothing", "n/a", "no"}
MAX_NAMED = 3  # in a note


class Readable(NamedTuple):
    """An answer whose items can be read, and notes on what was mended or left out.

    ``contradicted`` are the relations that contradict those of the answer; ``is_loose`` is true if its relations may
    not be all, or exactly those, that the model means.
    """

    answer: dict
    notes: list[str]
    contradicted: list[dict]
    is_loose: bool


def without_slips(answer: dict, prompt: str) -> Readable:
    """What of an answer can be read.

    Args:
        answer: in the form of the scene's schema, more or less.
        prompt: taken as caption where there is none.
    """
    notes: list[str] = []
    kept = {key: value for key, value in answer.items() if value is not None}
    kept["objects"] = _objects(answer.get("objects"), notes)
    values = _list(answer["relations"], "relations", notes) if "relations" in answer else []
    relations = read_relations(values, kept["objects"])
    kept["relations"] = relations.kept
    add_note(notes, "Relations of the model that are left out", relations.left_out)
    against = [words_of(relation) for relation in relations.contradicted]
    add_note(notes, "Relations of the model that contradict others and are left out", against)
    if "absent" in answer:
        kept["absent"] = _absent(answer["absent"], notes)
    if not isinstance(kept.get("caption"), str):
        kept["caption"] = printable(prompt)
        notes.append("The model gives no caption; the description is taken.")
    if not isinstance(kept.get("setting", ""), str):
        del kept["setting"]
    is_loose = relations.is_loose or not isinstance(answer.get("relations"), list)
    return Readable(kept, notes, relations.contradicted, is_loose)


def _objects(values: object, notes: list[str]) -> list[dict]:
    """The things that have a category; what else they lack is filled in."""
    if isinstance(values, dict):  # by their ids
        values = [{"id": key, **value} for key, value in values.items() if isinstance(value, dict)]
    things: list[dict] = []
    left_out: list[str] = []
    renamed: list[str] = []
    read: list[str] = []
    unread: list[str] = []
    for value in _each_of_several(values if isinstance(values, list) else [], notes):
        described = {"caption": value} if isinstance(value, str) else value
        thing = _named(described, things) if isinstance(described, dict) else None
        if thing is None:
            left_out.append(json.dumps(value, ensure_ascii=False))
            continue
        for key in SIZES:
            if isinstance(thing.get(key), int | float) and not isinstance(thing[key], bool):
                continue
            given = thing.pop(key, None)
            length_m = metres(given) if isinstance(given, str) else None
            if length_m is not None:
                thing[key] = length_m
                read.append(f"{thing['id']} {given} as {length_m:g} m")
            elif given is not None:
                unread.append(f"{thing['id']} {json.dumps(given, ensure_ascii=False)}")
        if any(other["id"] == thing["id"] for other in things):
            renamed.append(f"{thing['id']} ({thing['category']})")
            thing["id"] = _free_id(thing["category"], things)
        things.append(thing)
    add_note(notes, "Ids of the model that name two things; the later ones have others", renamed)
    add_note(notes, "Objects of the model that are left out", left_out)
    add_note(notes, "Sizes that the model gives as text are read", read)
    add_note(notes, "Sizes of the model that are no lengths and are left out", unread)
    return things


def _each_of_several(values: list, notes: list[str]) -> Iterator[object]:
    """Each thing; one with a count above 1 ("count": 3), which the form has no place for, as often as it says."""
    several: list[str] = []
    for value in values:
        yield value
        number = next((value[key] for key in COUNTS if key in value), 1) if isinstance(value, dict) else 1
        if not isinstance(number, int) or isinstance(number, bool) or number < 2:
            continue
        several.append(f"{number} of {value.get('id') or value.get('category')}")
        for _ in range(min(number, MAX_INSTANCES) - 1):
            yield {key: part for key, part in value.items() if key != "id"}
    add_note(notes, "Counts of the model, of which each is a thing", several)


def _named(value: dict, before: list[dict]) -> dict | None:
    """A thing with category, id and caption, None if it does not say what it is."""
    name = value.get("id")
    name = str(name) if isinstance(name, int) and not isinstance(name, bool) else name
    caption = _first_text(value, CAPTIONS)
    category = value.get("category", _first_text(value, CATEGORIES))
    if category is None and isinstance(name, str):
        category = re.sub(r"[\W\d_]+$", "", name)
    if category is None and caption and (noun := nouns.resolve(caption)) and len(noun.singular) > 1:
        category = noun.singular
    if not isinstance(category, str) or not category.strip():
        return None
    if not isinstance(name, str):
        name = _free_id(category, before)
    return {**value, "id": name, "category": category, "caption": caption or category}


def _first_text(value: dict, keys: tuple[str, ...]) -> str | None:
    return next((value[key] for key in keys if isinstance(value.get(key), str) and value[key].strip()), None)


def _free_id(category: str, before: list[dict]) -> str:
    """An id that none of the things before has."""
    taken = {thing["id"] for thing in before}
    return next(f"{category}-{n}" for n in range(1, len(taken) + 2) if f"{category}-{n}" not in taken)


def metres(text: str) -> float | None:
    """A length in words ("0.1 m", "about 10 cm", "1-2 ft"), None if it is none; without a unit it is in metres."""
    length = LENGTH.fullmatch(text.strip().lower()[:60])
    if not length or length["unit"] not in UNITS | {"": 1.0}:
        return None
    numbers = [_number(part) for part in (length["number"], length["until"]) if part]
    if any(number is None for number in numbers):
        return None
    return round(sum(number or 0.0 for number in numbers) / len(numbers) * UNITS.get(length["unit"], 1.0), 6)


def _number(text: str) -> float | None:
    """A number with a point or a comma in it; "1,500" has a comma for thousands, "0,125" and "1,5" a decimal one."""
    if re.fullmatch(r"[-+]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?", text):
        text = text.replace(",", "")
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return None


def _absent(value: object, notes: list[str]) -> list[str]:
    """The nouns of what must not appear."""
    if isinstance(value, str):
        value = re.split(r"\s*(?:,|;|\band\b|\bor\b)\s*", value)
    values = _list(value, "absent things", notes)
    add_note(notes, "Absent things of the model that are left out", [str(v) for v in values if not isinstance(v, str)])
    return [word for word in values if isinstance(word, str) and word.strip().lower() not in NOTHING]


def _list(value: object, what: str, notes: list[str]) -> list:
    """A list as it is, and one thing as a list of it."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict) and "predicate" in value:
        return [value]
    notes.append(f"The model gives no list of {what}; none are taken.")
    return []


def add_note(notes: list[str], what: str, items: list[str]) -> None:
    """Add one note on all of these, if there are any."""
    if items:
        named = "; ".join(printable(item)[:80] for item in items[:MAX_NAMED])
        more = f"; and {len(items) - MAX_NAMED} more" if len(items) > MAX_NAMED else ""
        notes.append(f"{what}: {named}{more}.")
