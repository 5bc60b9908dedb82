"""The planner that needs no network and no model: grammar, knowledge of the world, and a camera."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from agent.planners.grammar import Reader
from agent.planners.plan import Plan
from agent.planners.reading import Group, Reading
from agent.planners.vocabulary import ARTICLES, STOPS
from instdiff import knowledge
from instdiff.camera import project
from instdiff.errors import BadInput
from instdiff.layout import MAX_INSTANCES
from instdiff.scene import Predicate, Relation, Scene, SceneObject

if TYPE_CHECKING:
    from evaluators.report import Report

MAX_PROMPT = 2000
NATURAL_COUNT = (4, 7)  # how many objects a scene has that is named by its setting alone


class OfflinePlanner:
    """Reads a prompt with `agent.planners.grammar` and lays it out with `instdiff.camera`; the same seed, the same plan."""

    name = "offline"

    def check(self, prompt: str) -> None:
        """Raise BadInput for a prompt that cannot be read: empty, too long, or naming nothing that can be there."""
        scene_of(prompt, Random(0))

    def plan(self, prompt: str, size: tuple[int, int], seed: int) -> Plan:
        """A layout of (width, height) pixels for the prompt.

        Raises:
            BadInput: the prompt is empty or longer than 2000 characters.
        """
        scene, notes = scene_of(prompt, Random(seed))
        return Plan(layout=project(scene, size, Random(seed)), planner=self.name, notes=tuple(notes))

    def revise(self, prompt: str, plan: Plan, report: Report, seed: int) -> Plan:
        """A better plan after a look at the picture; see `agent.planners.revision`."""
        from agent.planners.revision import revised

        return revised(plan, report, seed).model_copy(update={"planner": self.name})


def scene_of(prompt: str, rng: Random) -> tuple[Scene, list[str]]:
    """The scene that a prompt describes, and notes on what was decided freely."""
    if not prompt.strip():
        raise BadInput("prompt", "the prompt is empty; say what the picture shows, such as 'a red car next to a tree'")
    if len(prompt) > MAX_PROMPT:
        raise BadInput("prompt", f"the prompt has {len(prompt)} characters; the planner takes up to {MAX_PROMPT}")
    reading, notes = Reader(prompt).read(), []
    setting = knowledge.settings().get(reading.setting)
    if not reading.groups and setting is None:
        words = _content(reading.caption)
        if not words or reading.absent:
            raise BadInput(
                "prompt", f"{prompt.strip()[:60]!r} names nothing to paint; say what the picture shows, such as 'a cat on a couch'"
            )
        reading.groups.append(Group(words, words, 1))
        notes.append(f'No known thing was found in the prompt; "{words}" is planned as one thing.')
    if _cap(reading.groups):
        notes.append(f"The prompt names more things than the {MAX_INSTANCES} a layout holds; the largest groups were cut.")
    objects, ids = _objects(reading, setting)
    relations = _relations(reading, ids, rng)
    if setting and (reading.setting_is_subject or not objects):
        added = _natural(setting, objects, reading.absent, rng)
        objects += added
        notes.append(f"The things of the {setting.name} were chosen freely: {', '.join(item.category for item in added) or 'none'}.")
    relations += _settle(objects, relations)
    caption = reading.caption if len(reading.caption) > 1 else prompt.strip()
    return Scene(
        caption=caption, setting=reading.setting, objects=tuple(objects), relations=tuple(relations), absent=tuple(reading.absent)
    ), notes


def _content(caption: str) -> str:
    """The words of a caption that could name something, at most 60 characters."""
    words = (word.strip(".,;:!?\"'()-") for word in caption.split())
    return " ".join(word for word in words if word and any(map(str.isalnum, word)) and word.lower() not in STOPS | ARTICLES)[:60].strip()


def _cap(groups: list[Group]) -> bool:
    """Cut the largest groups until all fit; True if anything was cut."""
    del groups[MAX_INSTANCES:]
    cut = False
    for group in groups:
        cut, group.count = cut or group.count > MAX_INSTANCES, min(group.count, MAX_INSTANCES)
    while sum(group.count for group in groups) > MAX_INSTANCES:
        max(groups, key=lambda group: group.count).count -= 1
        cut = True
    return cut


def _caption(words: str) -> str:
    return f"{'an' if words[:1] in tuple('aeiou') and not words.startswith(('uni', 'one', 'eu')) else 'a'} {words}"


def _objects(reading: Reading, setting: knowledge.Setting | None) -> tuple[list[SceneObject], list[list[str]]]:
    """The objects of all groups, and the ids of each group's objects."""
    objects, ids = [], []
    for group in reading.groups:
        width_m, height_m = knowledge.size_of(group.category, group.noun)
        names = [f"{group.category}-{len(objects) + i + 1}" for i in range(group.count)]
        caption = _caption(" ".join((*group.adjectives, group.noun, group.extra)).strip().replace(" ,", ","))
        support = _support(group.category, setting)
        objects += [
            SceneObject(id=name, category=group.category, caption=caption, width_m=width_m, height_m=height_m, support=support)
            for name in names
        ]
        ids.append(names)
    return objects, ids


def _support(category: str, setting: knowledge.Setting | None) -> str | None:
    """Where a thing is found in this setting; its usual place otherwise."""
    thing = knowledge.things().get(category)
    if thing is None or setting is None:
        return None
    if setting.name == "sky" and "sky" in thing.on:
        return "sky"
    if category == "airplane" and setting.name == "airport":
        return "ground"
    return next((place for place in thing.on if place != "sky" or setting.place == "outdoor"), None)


def _relations(reading: Reading, ids: list[list[str]], rng: Random) -> list[Relation]:
    """The relations between single objects that the relations between groups ask for."""
    relations = []
    for subject, predicate, target in reading.relations:
        for i, one in enumerate(ids[subject]):
            several = predicate in (Predicate.LEFT_OF, Predicate.RIGHT_OF, Predicate.ABOVE, Predicate.BELOW)
            others = ids[target] if several else [ids[target][i % len(ids[target])]]
            relations += [Relation(subject=one, predicate=predicate, object=other) for other in others if other != one]
    for subject, targets in reading.between:
        around = [name for target in targets for name in ids[target]]
        if len(around) > 1:
            first, second = rng.sample(around, 2) if len(around) == 2 else (around[0], around[-1])
            relations += [Relation(subject=one, predicate=Predicate.RIGHT_OF, object=first) for one in ids[subject]]
            relations += [Relation(subject=one, predicate=Predicate.LEFT_OF, object=second) for one in ids[subject]]
    for subject, place in reading.places:
        relations += [Relation(subject=one, predicate=place) for one in ids[subject]]
    return relations


def _natural(setting: knowledge.Setting, given: list[SceneObject], absent: list[str], rng: Random) -> list[SceneObject]:
    """What else is in a setting, besides what the prompt names: drawn by how often it is found there."""
    taken = {item.category for item in given} | set(absent)
    room = max(rng.randint(*NATURAL_COUNT) - len(given), 2 if len(given) < 10 else 0)
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
                SceneObject(id=name, category=option.category, caption=_caption(words), support=_support(option.category, setting))
            )
    return chosen


def _settle(objects: list[SceneObject], relations: list[Relation]) -> list[Relation]:
    """Put small things that the prompt places nowhere on a table or bookshelf that is there."""
    bound = {name for relation in relations for name in (relation.subject, relation.object)}
    carriers = [item for category in ("table", "bookshelf") for item in objects if item.category == category]
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
