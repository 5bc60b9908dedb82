"""Whole scenes as the planners lay them out: a kind of scene from the knowledge base, its things, and the camera."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from random import Random

from instdiff import knowledge
from instdiff.camera import projected
from instdiff.scene import Predicate, Relation, Scene, SceneObject

WORLDS = 3000  # how many different layouts there are; each takes the camera 10 to 25 ms, once
MOST_THINGS = 9
TABLES = ("table", "dining table", "coffee table", "desk")
_DRY = {"indoor": ("floor", "table", "wall", "ceiling"), "outdoor": ("ground", "sky", "table")}

Corners = tuple[float, float, float, float]


@dataclass(frozen=True)
class WorldThing:
    """A thing and its box (x0, y0, x1, y1) as fractions; ``carrier`` is the index of what it is on, or None."""

    category: str
    box: Corners
    support: str
    carrier: int | None


@dataclass(frozen=True)
class World:
    """The things of a scene, far ones first; ``setting`` is a name of `knowledge.settings`."""

    setting: str
    things: tuple[WorldThing, ...]


@cache
def world(seed: int, names: tuple[str, ...]) -> World | None:
    """The layout of this seed with things out of ``names``; None where none of them fits."""
    rng = Random(seed)
    setting = rng.choice(list(knowledge.settings().values()))
    chosen = (_anything if rng.random() < 0.35 else _usual)(setting, frozenset(names), rng)[:MOST_THINGS]
    if not chosen:
        return None
    objects = [
        SceneObject(id=f"{category}-{number}", category=category, support=_support(category, setting))
        for number, category in enumerate(chosen)
    ]
    relations = _relations(objects, rng)
    projection = projected(Scene(caption="", setting=setting.name, objects=tuple(objects), relations=tuple(relations)), rng=rng)
    ids = projection.ids
    supports = {item.id: item.support for item in objects}
    on = {relation.subject: relation.object for relation in relations if relation.predicate is Predicate.ON}
    things = tuple(
        WorldThing(instance.category, tuple(instance.box.xyxy), supports[name], ids.index(on[name]) if name in on else None)
        for name, instance in zip(ids, projection.layout.instances, strict=True)
    )
    return World(setting.name, things)


@cache
def alike(names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """For every category those that can take its place: with the same support and about the same size."""
    known = {name: thing for name, thing in knowledge.things().items() if name in names}
    return {
        name: tuple(
            other
            for other, twin in known.items()
            if other != name
            and twin.on[0] == thing.on[0]
            and max(twin.width_m / thing.width_m, thing.width_m / twin.width_m) < 1.6
            and max(twin.height_m / thing.height_m, thing.height_m / twin.height_m) < 1.6
        )
        for name, thing in known.items()
    }


def _usual(setting: knowledge.Setting, names: frozenset[str], rng: Random) -> list[str]:
    """What is found there, each as often as it is; something of it at least. Now and then one thing more."""
    usual = [option for option in setting.objects if option.category in names]
    if not usual:
        return []
    chosen = [option.category for option in usual if rng.random() < option.chance for _ in range(rng.randint(*option.count))]
    rng.shuffle(chosen)
    chosen = chosen[: rng.randint(2, MOST_THINGS)] or [rng.choice(usual).category]
    return chosen + (_anything(setting, names, rng)[:1] if rng.random() < 0.25 else [])


def _anything(setting: knowledge.Setting, names: frozenset[str], rng: Random) -> list[str]:
    """One to five things that can be in such a place, some of them twice."""
    wet = any(option.category in ("boat", "fish") for option in setting.objects)
    places = _DRY[setting.place] + (("water",) if wet else ())
    fitting = sorted(name for name, thing in knowledge.things().items() if name in names and set(thing.on) & set(places))
    if not fitting:
        return []
    chosen = [rng.choice(fitting) for _ in range(rng.randint(1, 4))]
    return chosen + ([chosen[0]] * rng.randint(1, 2) if rng.random() < 0.25 else [])


def _support(category: str, setting: knowledge.Setting) -> str | None:
    """Where a thing is found in this setting; its usual place otherwise."""
    thing = knowledge.things().get(category)
    if thing is None:
        return None
    if setting.name == "sky" and "sky" in thing.on:
        return "sky"
    return next((place for place in thing.on if place != "sky" or setting.place == "outdoor"), None)


def _relations(objects: list[SceneObject], rng: Random) -> list[Relation]:
    """Small things go on tables; now and then something sits on something, or two things belong together."""
    relations = []
    tables = [item for item in objects if item.category in TABLES]
    room = {item.id: item.width_m for item in tables}
    for item in objects:
        needed = max(1.6 * item.width_m, 0.3)
        table = next((table for table in tables if item.support == "table" and room[table.id] >= needed), None)
        if table:
            room[table.id] -= needed
            relations.append(Relation(subject=item.id, predicate=Predicate.ON, object=table.id))
    bound = {relation.subject for relation in relations} | {relation.object for relation in relations}
    free = [item for item in objects if item.id not in bound and item.support in ("floor", "ground")]
    if len(free) < 2 or rng.random() < 0.4:
        return relations
    small, large = sorted(rng.sample(free, 2), key=lambda item: item.longest_m)
    if large.thing and large.thing.surface and 1.5 * small.width_m < large.width_m and rng.random() < 0.4:
        return [*relations, Relation(subject=small.id, predicate=Predicate.ON, object=large.id)]
    beside = rng.choice([Predicate.NEXT_TO, Predicate.LEFT_OF, Predicate.RIGHT_OF, Predicate.IN_FRONT_OF, Predicate.BEHIND])
    return [*relations, Relation(subject=small.id, predicate=beside, object=large.id)]
