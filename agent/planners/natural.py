"""What is usually there: the things of a setting that a prompt names alone, and where small things rest."""

from __future__ import annotations

from random import Random

from agent.planners.grammar.vocabulary import BUSY, EMPTY, HYPERNYMS
from instdiff import knowledge
from instdiff.layout import MAX_INSTANCES
from instdiff.scene import Predicate, Relation, SceneObject

NATURAL_COUNT = (4, 7)  # how many objects a scene has that is named by its setting alone
FEW, MANY = (3, 4), (6, 8)  # the same for an empty and for a busy setting


def with_article(words: str) -> str:
    """ "red car" -> "a red car"."""
    an = words[:1] in tuple("aeiou") and not words.startswith(("uni", "one", "eu", "use", "ukulele"))
    return f"{'an' if an or words.startswith(('hour', 'heir')) else 'a'} {words}"


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
                SceneObject(id=name, category=option.category, caption=with_article(words), support=support(option.category, setting))
            )
    return chosen


def any_setting(absent: list[str], rng: Random) -> knowledge.Setting:
    """A setting for a picture of which the words only say what must not be there."""
    gone = excluded(absent)
    fitting = [
        setting for setting in knowledge.settings().values() if sum(o.category not in gone for o in setting.objects) >= NATURAL_COUNT[0]
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
