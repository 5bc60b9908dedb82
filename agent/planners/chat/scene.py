"""A scene as a chat model gives it, held against what is known of its things; our camera places it."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections import Counter
from functools import cache
from random import Random
from typing import Annotated, Literal, NamedTuple, get_args

from pydantic import BeforeValidator, Field, ValidationError, model_validator

import prompts
from agent.planners.chat.answer import (
    Answer,
    Name,
    Phrase,
    PlanParts,
    Sentence,
    first_reason,
    line,
    object_of,
    validated,
)
from agent.planners.chat.relations import words_of
from agent.planners.chat.slips import add_note, without_slips
from agent.planners.chat.stated import about, stated_relations, with_relations
from agent.planners.plan import Plan
from instdiff.layout import MAX_INSTANCES
from instdiff.world import knowledge, nouns
from instdiff.world.camera import project
from instdiff.world.scene import PICTURE, Predicate, Relation, Scene
from prompts.client import AnswerError

MOST = 4.0  # a known thing is believed to be up to so many times larger or smaller than usual
RANGE_M = (0.01, 200.0)  # what is believed of a thing that is not known, or whose size the words set
LARGEST_M = 1000.0  # what a scene has room for
NEAR = 4  # words between a thing and a word about its size
UNUSUAL = set(
    "giant gigantic huge enormous colossal massive monumental towering oversized immense mammoth larger tiny miniature"
    " mini toy microscopic minuscule dwarf thumb-sized palm-sized pocket-sized jumbo bigger smaller taller size".split()
)
UNIT = re.compile(r"mm|cm|km|m|ft|feet|foot|inch|inches|(centi|milli|kilo)?met(er|re)s?|stor(y|ey|eys|ies)")


def named_size(category: str) -> tuple[str, tuple[float, float] | None]:
    """The name that `instdiff.world.knowledge` has for a category (else the category), and its size in metres."""
    noun = nouns.known(" ".join(nouns.phrase_words(category)))
    if noun is None or noun.thing is None:
        return category, None
    return noun.thing.name, knowledge.size_of(noun.thing.name, noun.singular)


def believed_size(
    category: str, width_m: float | None, height_m: float | None, usual: tuple[float, float] | None, prompt: str
) -> tuple[tuple[float, float], str]:
    """The (width, height) in metres to plan with, and a note, empty if the model's own or the usual size is taken.

    Args:
        category: in the model's words, which may be those of the prompt.
        width_m, height_m: as the model gives them; None where it does not. One alone is completed in proportion.
        usual: the known size, None for what is not known.
        prompt: if it speaks of an unusual size near the thing, the model is believed within `RANGE_M`.
    """
    default = usual or knowledge.size_of(category)
    wide, high = default
    if width_m is not None:
        size = (width_m, high * (width_m / wide) if height_m is None else height_m)
    elif height_m is not None:
        size = (wide * (height_m / high), height_m)
    else:
        return default, "" if usual else f"The size of {category!r} is not known; {_metres(default)} is taken."
    ratios = [own / known for own, known in zip(size, default, strict=True)]
    near = usual and _within(size, (0, LARGEST_M)) and all(1 / MOST <= ratio <= MOST for ratio in ratios)
    if near or ((usual is None or asks_for_size(prompt, category)) and _within(size, RANGE_M)):
        return (round(size[0], 3), round(size[1], 3)), ""
    return default, f"The model makes {category!r} {_metres(size)}, which is not believed; {_metres(default)} is taken."


def asks_for_size(prompt: str, category: str) -> bool:
    """True if a word or a measure near the thing says that it is no thing of the usual size."""
    words = re.findall(r"\d+(?:[.,]\d+)?|[^\W\d_]+(?:-[^\W\d_]+)*", prompt.lower())
    noun = nouns.known(category.lower())
    names = {category.lower(), *((noun.meaning.name, *noun.meaning.synonyms) if noun and noun.meaning else ())}
    last = {form.split()[-1] for name in names if name for form in (name, nouns.plural_of(name))}
    for place in (i for i, word in enumerate(words) if word in last):
        around = words[max(place - NEAR, 0) : place + NEAR + 1]
        measured = any(a[0].isdigit() and UNIT.fullmatch(b) for a, b in itertools.pairwise(around))
        if measured or UNUSUAL.intersection(around):
            return True
    return False


def _within(size: tuple[float, float], bounds: tuple[float, float]) -> bool:
    return all(math.isfinite(value) and bounds[0] <= value <= bounds[1] for value in size)


def _metres(size: tuple[float, float]) -> str:
    return f"{size[0]:.3g} x {size[1]:.3g} m"


FILE = "scene_examples.jsonl"
FILLERS = "a an and are as at by for from has in is it its of on or that the their there to which while with".split()


class Example(NamedTuple):
    """A description and the scene that a good planner makes of it, in the words of the answer schema."""

    prompt: str
    scene: dict

    def read(self) -> Scene:
        """The scene, as an answer is read."""
        return read_scene(json.dumps(self.scene), self.prompt)[0]


@cache
def load_examples() -> tuple[Example, ...]:
    """All examples, in the order of the file."""
    return tuple(Example(**json.loads(line)) for line in prompts.read(FILE).splitlines())


def nearest_examples(prompt: str, count: int = 3) -> list[Example]:
    """The examples that share the most telling words with the prompt, the nearest last, next to the question.

    Similarity is the cosine of word counts, weighted by how rare a word is among the examples; of equals the first win.
    """
    wanted = _weighted(_words(prompt))
    ranked = sorted(load_examples(), key=lambda example: -_cosine(wanted, _weighted(_words(example.prompt))))
    return ranked[:count][::-1]


@cache
def _words(text: str) -> Counter[str]:
    """The telling words of a text: in the singular, by the names that `instdiff.world.knowledge` has for them."""
    words: Counter[str] = Counter()
    for word in re.findall(r"[^\W\d_]+", text.lower()):
        noun = nouns.known(word)
        if word not in FILLERS:
            words[noun.meaning.name if noun and noun.meaning else nouns.singular_of(word)] += 1
    return words


@cache
def _rarity() -> dict[str, float]:
    counts = Counter(word for example in load_examples() for word in _words(example.prompt))
    return {word: math.log(1 + len(load_examples()) / count) for word, count in counts.items()}


def _weighted(words: Counter[str]) -> dict[str, float]:
    return {word: count * _rarity().get(word, 1.0) for word, count in words.items()}


def _cosine(a: dict[str, float], b: dict[str, float]) -> float:
    length = math.hypot(*a.values()) * math.hypot(*b.values())
    return sum(weight * b.get(word, 0.0) for word, weight in a.items()) / length if length else 0.0


MAX_RELATIONS = 120
DISTANCE_M = (0.1, 1000.0)
Carrier = Literal["floor", "ground", "water", "table", "wall", "ceiling", "sky", "air"]
Metres = float | None
# an unknown support is forgiven: the usual one of the thing is taken
Support = Annotated[Carrier | None, BeforeValidator(lambda value: value if value in get_args(Carrier) else None)]


class PlannedThing(Answer):
    """One thing in the world."""

    id: Name = Field(description='a name of its own, such as "dog-1"')
    category: Name = Field(description="one common English noun in the singular")
    caption: Phrase = Field(description="what exactly this one looks like")
    width_m: Metres = Field(default=None, description="real width as seen, in metres; null for the usual size")
    height_m: Metres = Field(default=None, description="real height as seen, in metres; null for the usual size")
    distance_m: Metres = Field(
        default=None, description="metres from the camera; null for all objects if distances do not matter"
    )
    support: Support = Field(default=None, description="what it stands on or hangs from; null for the usual place")


class PlannedRelation(Answer):
    """How one thing lies to another, or on the picture."""

    subject: Name = Field(description="the id of an object")
    predicate: Predicate
    object: Name = Field(
        default=PICTURE, description=f'the id of another object, or "{PICTURE}" for a part of the picture'
    )


class PlannedScene(Answer):
    """A scene: things with real sizes, how they lie to each other, and what must not appear."""

    caption: Sentence = Field(description="one sentence that describes the whole picture")
    setting: Annotated[str, line(80, required=False)] = Field(
        default="", description='where it is, such as "kitchen"; empty if nowhere in particular'
    )
    objects: list[PlannedThing] = Field(description=f"1 to {MAX_INSTANCES} visible things")
    relations: list[PlannedRelation] = Field(default=[], description="how they lie to each other")
    absent: list[Name] = Field(default=[], description="what must not appear")

    @model_validator(mode="after")
    def _is_usable(self) -> PlannedScene:
        if not 1 <= len(self.objects) <= MAX_INSTANCES:
            raise ValueError(f"{len(self.objects)} objects; give 1 to {MAX_INSTANCES}")
        if len(self.relations) > MAX_RELATIONS or len(self.absent) > MAX_INSTANCES:
            raise ValueError(f"give at most {MAX_RELATIONS} relations and {MAX_INSTANCES} absent things")
        excluded = {named_size(name)[0] for name in self.absent}
        if both := [item.category for item in self.objects if named_size(item.category)[0] in excluded]:
            raise ValueError(f'"{both[0]}" is among the objects and among the absent things; it can only be one')
        return self


class SceneForm:
    """Asks for the things of a scene and puts them on the picture with `instdiff.world.camera`."""

    name = "scene"
    schema = PlannedScene.model_json_schema()

    def examples(self, prompt: str) -> str:
        """The worked examples that are nearest to the prompt."""
        scenes = [(example.prompt, scene_as_json(example.read())) for example in nearest_examples(prompt)]
        examples = [f"Description: {words}\n\n```json\n{scene}\n```" for words, scene in scenes]
        return "\n\n".join(["Worked examples:", *examples])

    def read(self, answer: str, prompt: str, size: tuple[int, int], seed: int) -> PlanParts:
        """The scene of an answer on a picture of (width, height) pixels; raises `AnswerError`.

        Where the model's relations are lost or unclear, the prompt's own are added. A scene that contradicts itself
        all the same is refused, and usable without what contradicts.
        """
        scene, notes, contradicted, is_loose = _read_scene(answer, prompt)
        if is_loose:
            stated = stated_relations(scene, prompt)
            added = [words_of(relation.model_dump()) for relation in stated if relation not in scene.relations]
            add_note(notes, "Relations that the description states are added", added)
            settled = {about(relation) for relation in stated}
            contradicted = [relation for relation in contradicted if about(relation) not in settled]
            scene = with_relations(scene, stated)
        projection = project(scene, size, Random(seed))
        parts = PlanParts(projection.layout, (*notes, *projection.relaxed), scene, projection.ids)
        if contradicted:
            raise AnswerError(_contradiction(contradicted), usable=parts)
        return parts

    def as_json(self, plan: Plan) -> str:
        """The plan's scene, one thing a line."""
        if plan.scene is None:
            raise ValueError("the plan has no scene")
        return scene_as_json(plan.scene)

    def labels(self, plan: Plan) -> list[str | int]:
        """The ids of the scene's things."""
        return list(plan.ids)


def read_scene(answer: str, prompt: str) -> tuple[Scene, list[str]]:
    """The scene in a model's answer, and notes on what was not taken as it says.

    Categories get the names of `instdiff.world.knowledge` where it knows them; sizes are held against it.

    Raises:
        AnswerError: there is no usable scene in it, or it contradicts itself, with the first reason.
    """
    scene, notes, contradicted, _ = _read_scene(answer, prompt)
    if contradicted:
        raise AnswerError(_contradiction(contradicted))
    return scene, notes


def _contradiction(relations: list[Relation]) -> str:
    return f'both "{words_of(relations[0].model_dump())}" and the opposite are stated; give one'


class _ReadScene(NamedTuple):
    """A scene, notes, relations that contradict others and are not in it, and whether those in it may not be all."""

    scene: Scene
    notes: list[str]
    contradicted: list[Relation]
    is_loose: bool


def _read_scene(answer: str, prompt: str) -> _ReadScene:
    """What an answer comes to; raises `AnswerError`."""
    given = object_of(answer)
    readable, notes, against, is_loose = without_slips(given, prompt)
    # where no thing can be read, what is wrong with them as they are is the reason
    planned = validated(PlannedScene, readable if readable["objects"] else given)
    distances = [item.distance_m for item in planned.objects]
    placed = all(value is not None and DISTANCE_M[0] <= value <= DISTANCE_M[1] for value in distances)
    if any(distances) and not placed:
        notes.append("The model's distances are incomplete or out of range; the camera chooses them.")
    objects = []
    for item in planned.objects:
        category, usual = named_size(item.category)
        (width_m, height_m), note = believed_size(item.category, item.width_m, item.height_m, usual, prompt)
        notes += [note] if note and note not in notes else []
        size = {"width_m": width_m, "height_m": height_m, "distance_m": item.distance_m if placed else None}
        objects.append({"id": item.id, "category": category, "caption": item.caption, **size, "support": item.support})
    relations = [
        {"subject": r.subject, "predicate": r.predicate, "object": PICTURE if r.predicate.is_place else r.object}
        for r in planned.relations
    ]
    head = {"caption": planned.caption, "setting": _setting(planned.setting), "absent": tuple(planned.absent)}
    try:
        scene = Scene.model_validate({**head, "objects": objects, "relations": relations})
        return _ReadScene(scene, notes, [Relation.model_validate(relation) for relation in against], is_loose)
    except ValidationError as error:
        raise AnswerError(first_reason(error)) from error


def scene_as_json(scene: Scene) -> str:
    """A scene in the words of the answer schema, one thing or relation a line."""
    relations = [f"    {_line(relation.model_dump(mode='json'))}" for relation in scene.relations]
    fields = set(PlannedThing.model_fields)
    objects = [f"    {_line(item.model_dump(mode='json', include=fields))}" for item in scene.objects]
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
    """The setting that `instdiff.world.knowledge` has under this name, or empty."""
    noun = nouns.known(words.lower())
    return noun.meaning.name if noun and isinstance(noun.meaning, knowledge.Setting) else ""
