"""A scene as a chat model gives it: objects with metres, what carries them, and how they lie. Our camera makes the places."""

from __future__ import annotations

import json
import math
from random import Random
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from agent.planners.chat import examples
from agent.planners.chat.answer import Answer, BadAnswer, Drawn, first_reason, read_as, text
from agent.planners.chat.sizes import believed, named
from agent.planners.plan import Plan
from instdiff import knowledge
from instdiff.camera import projected
from instdiff.layout import MAX_INSTANCES
from instdiff.scene import PICTURE, Predicate, Scene

MAX_RELATIONS = 120
DISTANCE_M = (0.1, 1000.0)
SUPPORTS = ("floor", "ground", "water", "table", "wall", "ceiling", "sky", "air")
INVERSE = {
    Predicate.RIGHT_OF: Predicate.LEFT_OF,
    Predicate.BELOW: Predicate.ABOVE,
    Predicate.UNDER: Predicate.ON,
    Predicate.BEHIND: Predicate.IN_FRONT_OF,
    Predicate.SMALLER_THAN: Predicate.LARGER_THAN,
}
Metres = float | None
# an unknown support is forgiven: the usual one of the thing is taken
Support = Annotated[Literal[SUPPORTS] | None, BeforeValidator(lambda value: value if value in SUPPORTS else None)]


class PlannedThing(Answer):
    """One thing in the world."""

    id: text(60) = Field(description='a name of its own, such as "dog-1"')
    category: text(60) = Field(description="one common English noun in the singular")
    caption: text(400) = Field(description="what exactly this one looks like")
    width_m: Metres = Field(default=None, description="real width as seen, in metres; null for the usual size")
    height_m: Metres = Field(default=None, description="real height as seen, in metres; null for the usual size")
    distance_m: Metres = Field(default=None, description="metres from the camera; null for all objects if distances do not matter")
    support: Support = Field(default=None, description="what it stands on or hangs from; null for the usual place")


class PlannedRelation(Answer):
    """How one thing lies to another, or on the picture."""

    subject: text(60) = Field(description="the id of an object")
    predicate: Predicate
    object: text(60) = Field(default=PICTURE, description=f'the id of another object, or "{PICTURE}" for a part of the picture')


class PlannedScene(Answer):
    """A scene: things with real sizes, how they lie to each other, and what must not appear."""

    caption: text(1500) = Field(description="one sentence that describes the whole picture")
    setting: text(80, required=False) = Field(default="", description='where it is, such as "kitchen"; empty if nowhere in particular')
    objects: list[PlannedThing] = Field(description=f"1 to {MAX_INSTANCES} visible things")
    relations: list[PlannedRelation] = Field(default=[], description="how they lie to each other")
    absent: list[text(60)] = Field(default=[], description="what must not appear")

    @model_validator(mode="after")
    def _is_usable(self) -> PlannedScene:
        if not 1 <= len(self.objects) <= MAX_INSTANCES:
            raise ValueError(f"{len(self.objects)} objects; give 1 to {MAX_INSTANCES}")
        if len(self.relations) > MAX_RELATIONS or len(self.absent) > MAX_INSTANCES:
            raise ValueError(f"give at most {MAX_RELATIONS} relations and {MAX_INSTANCES} absent things")
        excluded = {named(name)[0] for name in self.absent}
        if both := [thing.category for thing in self.objects if named(thing.category)[0] in excluded]:
            raise ValueError(f'"{both[0]}" is among the objects and among the absent things; it can only be one')
        stated: set[tuple[Predicate, str, str]] = set()
        for relation in self.relations:
            pair = (relation.subject, relation.object)
            kind = INVERSE.get(relation.predicate, relation.predicate)
            pair = pair[::-1] if kind != relation.predicate else pair
            if kind in INVERSE.values() and (kind, *pair[::-1]) in stated:
                raise ValueError(f'both "{pair[0]} {kind} {pair[1]}" and the opposite are stated; give one')
            stated.add((kind, *pair))
        return self


class SceneForm:
    """Asks for the things of a scene and puts them on the picture with `instdiff.camera`."""

    name = "scene"
    schema = PlannedScene.model_json_schema()

    def examples(self, prompt: str) -> str:
        """The worked examples that are nearest to the prompt."""
        return "Worked examples:\n\n" + "\n\n".join(
            f"Description: {example.prompt}\n\n```json\n{scene_as_json(read_scene(json.dumps(example.scene), example.prompt)[0])}\n```"
            for example in examples.nearest(prompt)
        )

    def read(self, answer: str, prompt: str, size: tuple[int, int], seed: int) -> Drawn:
        """The scene of an answer on a picture of (width, height) pixels; raises `BadAnswer`."""
        scene, notes = read_scene(answer, prompt)
        projection = projected(scene, size, Random(seed))
        return Drawn(projection.layout, (*notes, *projection.gave_way), scene, projection.ids)

    def as_json(self, plan: Plan) -> str:
        """The plan's scene, one thing a line."""
        return scene_as_json(plan.scene)

    def called(self, plan: Plan) -> list[str | int]:
        """The ids of the scene's things."""
        return list(plan.ids)


def read_scene(answer: str, prompt: str) -> tuple[Scene, list[str]]:
    """The scene in a model's answer, and notes on what was not taken as it says.

    Categories get the names of `instdiff.knowledge` where it knows them; sizes are held against it.

    Raises:
        BadAnswer: there is no usable scene in it, with the first reason.
    """
    planned = read_as(PlannedScene, answer)
    distances = [thing.distance_m for thing in planned.objects]
    placed = all(value is not None and math.isfinite(value) and DISTANCE_M[0] <= value <= DISTANCE_M[1] for value in distances)
    notes = [] if placed or not any(distances) else ["The model's distances are incomplete or out of range; the camera chooses them."]
    objects = []
    for thing in planned.objects:
        category, usual = named(thing.category)
        (width_m, height_m), note = believed(thing.category, thing.width_m, thing.height_m, usual, prompt)
        notes += [note] if note and note not in notes else []
        size = {"width_m": width_m, "height_m": height_m, "distance_m": thing.distance_m if placed else None}
        objects.append({"id": thing.id, "category": category, "caption": thing.caption, **size, "support": thing.support})
    relations = [
        {"subject": r.subject, "predicate": r.predicate, "object": PICTURE if r.predicate.is_place else r.object} for r in planned.relations
    ]
    head = {"caption": planned.caption, "setting": _setting(planned.setting), "absent": tuple(planned.absent)}
    try:
        return Scene.model_validate({**head, "objects": objects, "relations": relations}), notes
    except ValidationError as error:
        raise BadAnswer(first_reason(error)) from error


def scene_as_json(scene: Scene) -> str:
    """A scene in the words of the answer schema, one thing or relation a line."""
    relations = [f"    {_line(relation.model_dump(mode='json'))}" for relation in scene.relations]
    objects = [f"    {_line(item.model_dump(mode='json', include=set(PlannedThing.model_fields)))}" for item in scene.objects]
    head = f'  "caption": {_line(scene.caption)},\n  "setting": {_line(scene.setting)},\n'
    body = f'  "objects": [{_block(objects)}],\n  "relations": [{_block(relations)}],\n'
    return "{\n" + head + body + f'  "absent": {_line(list(scene.absent))}\n' + "}"


def _block(lines: list[str]) -> str:
    return "\n" + ",\n".join(lines) + "\n  " if lines else ""


def _line(value: object) -> str:
    if isinstance(value, dict):
        value = {key: round(part, 3) if isinstance(part, float) else part for key, part in value.items()}
    return json.dumps(value, ensure_ascii=False)


def _setting(words: str) -> str:
    """The setting that `instdiff.knowledge` has under this name, or empty."""
    noun = knowledge.nouns().get(words.lower())
    return noun.meaning.name if noun and isinstance(noun.meaning, knowledge.Setting) else ""
