"""Where the things of a training scene go: freely, or as the planners and their camera lay out a kind of scene."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random

import numpy as np

from instdiff.world import knowledge
from instdiff.world.camera import project
from instdiff.world.scene import HANGING, Predicate, Relation, Scene, SceneObject

WORLDS = 3000  # how many different layouts there are; each takes the camera 10 to 25 ms, once
MOST_THINGS = 9
TWIN_RATIO = 1.6  # twins differ by less in width and in height
TABLES = ("table", "dining table", "coffee table", "desk")
BESIDE = (Predicate.NEXT_TO, Predicate.LEFT_OF, Predicate.RIGHT_OF, Predicate.IN_FRONT_OF, Predicate.BEHIND)
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
    members: tuple[WorldThing, ...]


@cache
def world(seed: int, names: tuple[str, ...]) -> World | None:
    """The layout of this seed with things out of ``names``; None where none of them fits."""
    rng = Random(seed)
    setting = rng.choice(list(knowledge.settings().values()))
    chosen = (_anything if rng.random() < 0.35 else _usual)(setting, frozenset(names), rng)[:MOST_THINGS]
    if not chosen:
        return None
    objects = [
        SceneObject.model_validate({"id": f"{name}-{i}", "category": name, "support": _support(name, setting)})
        for i, name in enumerate(chosen)
    ]
    relations = _relations(objects, rng)
    scene = Scene(caption="", setting=setting.name, objects=tuple(objects), relations=tuple(relations))
    projection = project(scene, rng=rng)
    ids = projection.ids
    supports = {item.id: item.support for item in objects}
    on = {relation.subject: relation.object for relation in relations if relation.predicate is Predicate.ON}
    instances = projection.layout.instances
    boxes = [instance.box for instance in instances if instance.box]
    members = tuple(
        WorldThing(instance.category, box.xyxy, supports[name], ids.index(on[name]) if name in on else None)
        for name, instance, box in zip(ids, instances, boxes, strict=True)
    )
    return World(setting.name, members)


@cache
def twins_of_categories(names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """For every category those that can take its place: with the same support and about the same size."""
    kinds = {name: kind for name, kind in knowledge.things().items() if name in names}
    return {
        name: tuple(
            twin_name
            for twin_name, twin in kinds.items()
            if twin_name != name
            and twin.on[0] == kind.on[0]
            and max(twin.width_m / kind.width_m, kind.width_m / twin.width_m) < TWIN_RATIO
            and max(twin.height_m / kind.height_m, kind.height_m / twin.height_m) < TWIN_RATIO
        )
        for name, kind in kinds.items()
    }


def _usual(setting: knowledge.Setting, names: frozenset[str], rng: Random) -> list[str]:
    """What is found there, each as often as it is; something of it at least. Now and then one thing more."""
    usual = [option for option in setting.objects if option.category in names]
    if not usual:
        return []
    chosen = [kind.category for kind in usual if rng.random() < kind.chance for _ in range(rng.randint(*kind.count))]
    rng.shuffle(chosen)
    chosen = chosen[: rng.randint(2, MOST_THINGS)] or [rng.choice(usual).category]
    return chosen + (_anything(setting, names, rng)[:1] if rng.random() < 0.25 else [])


def _anything(setting: knowledge.Setting, names: frozenset[str], rng: Random) -> list[str]:
    """One to five things that can be in such a place, some of them twice."""
    wet = any(option.category in ("boat", "fish") for option in setting.objects)
    places = _DRY[setting.place] + (("water",) if wet else ())
    fitting = sorted(name for name, kind in knowledge.things().items() if name in names and set(kind.on) & set(places))
    if not fitting:
        return []
    chosen = [rng.choice(fitting) for _ in range(rng.randint(1, 4))]
    return chosen + ([chosen[0]] * rng.randint(1, 2) if rng.random() < 0.25 else [])


def _support(category: str, setting: knowledge.Setting) -> str | None:
    """Where a thing is found in this setting; its usual place otherwise."""
    kind = knowledge.things().get(category)
    if kind is None:
        return None
    if setting.name == "sky" and "sky" in kind.on:
        return "sky"
    return next((place for place in kind.on if place != "sky" or setting.place == "outdoor"), None)


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
    return [*relations, Relation(subject=small.id, predicate=rng.choice(BESIDE), object=large.id)]


MOST = 12
SMALLEST = 0.07
LARGEST = 1.1
STRETCH = 1.35  # how far from its natural shape a thing is drawn to fill its box


@dataclass(frozen=True)
class PlacedThing:
    """A thing before it is painted; all lengths are fractions of the picture's side.

    ``depth`` orders the painting: the smallest first. ``standing`` things get a contact shadow, and belong below the
    horizon. ``carrier`` is the depth of what it is on, or None.
    """

    category: str
    left: float
    top: float
    width: float
    height: float
    depth: float
    standing: bool
    carrier: float | None = None


def number_of_instances(rng: np.random.Generator) -> int:
    """1 to 12, about 4 on average; now and then a crowd."""
    return int(rng.integers(8, MOST + 1) if rng.random() < 0.06 else np.clip(rng.poisson(2.8) + 1, 1, MOST))


def choose_categories(count: int, names: Sequence[str], rng: np.random.Generator) -> list[str]:
    """``count`` out of ``names``; a third of them again what is there already."""
    chosen = [names[int(rng.integers(len(names)))]]
    while len(chosen) < count:
        pool = chosen if rng.random() < 0.3 else names
        chosen.append(pool[int(rng.integers(len(pool)))])
    return chosen


def place_freely(names: Sequence[str], ratios: Sequence[float], rng: np.random.Generator) -> list[PlacedThing]:
    """Anything anywhere, at any size. ``ratios``: natural width / height of each."""
    placed = []
    largest = LARGEST if len(names) < 4 else 0.7 if len(names) < 8 else 0.4
    for name, ratio in zip(names, ratios, strict=True):
        side = float(np.exp(rng.uniform(np.log(SMALLEST if rng.random() < 0.3 else 0.16), np.log(largest))))
        ratio = ratio * float(np.exp(rng.normal(0, 0.15)))
        width = side * ratio**0.5
        height = side / ratio**0.5
        shrink = min(1.0, LARGEST / max(width, height))
        width, height = (length * shrink for length in (width, height))
        left, top = (_start(length, rng) for length in (width, height))
        placed.append(PlacedThing(name, left, top, width, height, depth=rng.random() - width * height, standing=False))
    return placed


def _start(length: float, rng: np.random.Generator) -> float:
    """Left or top of a thing: inside the picture, or (1 in 6, or too large) cut by its border, at least 3/4 left."""
    if rng.random() < 1 / 6 or length >= 1:
        return float(rng.choice([-rng.uniform(0, 0.25) * length, 1 - rng.uniform(0.75, 1) * length]))
    return float(rng.uniform(0, 1 - length))


def place_in_world(
    world: World, names: tuple[str, ...], ratio_of: Callable[[str], float], wet: bool, rng: np.random.Generator
) -> list[PlacedThing]:
    """A world's things seen a little differently: mirrored, nearer or farther, some left out, some replaced.

    ``ratio_of`` tells the natural width / height of a category; it is asked once for each thing placed, in order.
    Things keep their boxes' areas, bottoms and centres.
    """
    flip = rng.random() < 0.5
    zoom = float(np.exp(rng.uniform(-0.12, 0.2)))
    middle = 0.5 + rng.uniform(-0.06, 0.06)
    carriers = {member.carrier for member in world.members}
    placed: dict[int, PlacedThing] = {}
    for index, member in enumerate(world.members):
        gone = rng.random() < 0.07 or (member.carrier is not None and member.carrier not in placed)
        twins = twins_of_categories(names).get(member.category, ())
        swapped = rng.random() < 0.2 and index not in carriers and bool(twins)
        if gone:
            continue
        category = twins[rng.integers(len(twins))] if swapped else member.category
        x0, y0, x1, y1 = member.box
        x0, x1 = ((x - middle) * zoom + middle for x in ((1 - x1, 1 - x0) if flip else (x0, x1)))
        y0, y1 = ((y - 0.6) * zoom + 0.6 for y in (y0, y1))
        hangs = member.support in HANGING and member.carrier is None
        left, top, width, height = _fitted((x0, y0, x1, y1), ratio_of(category), hangs)
        if member.carrier is not None:
            left, top = _on(placed[member.carrier], world.members[member.carrier].box, member.box, flip, width, height)
        standing = not hangs and member.carrier is None and not wet
        placed[index] = PlacedThing(category, left, top, width, height, index, standing, member.carrier)
    return list(placed.values())


def _fitted(box: Corners, ratio: float, hangs: bool) -> tuple[float, float, float, float]:
    """(left, top, width, height) of a thing of this natural shape in about this box; it stands on the box's bottom."""
    width = box[2] - box[0]
    height = box[3] - box[1]
    area = width * height
    shape = float(np.clip(width / height, ratio / STRETCH, ratio * STRETCH))
    fitted = ((area * shape) ** 0.5, (area / shape) ** 0.5)
    top = (box[1] + box[3] - fitted[1]) / 2 if hangs else box[3] - fitted[1]
    return (box[0] + box[2] - fitted[0]) / 2, top, *fitted


def _on(base: PlacedThing, at: Corners, box: Corners, flip: bool, width: float, height: float) -> tuple[float, float]:
    """(left, top) of a thing on a base that has been moved and reshaped: the same part of it is under its foot.

    A table's top is drawn as seen from above, so what is on it stands a little in front of its far edge.
    """
    across = ((box[0] + box[2]) / 2 - at[0]) / (at[2] - at[0])
    down = (box[3] - at[1]) / (at[3] - at[1])
    if base.category in TABLES:
        down = max(down, 0.14)
    foot = base.left + (1 - across if flip else across) * base.width
    return foot - width / 2, base.top + down * base.height - height
