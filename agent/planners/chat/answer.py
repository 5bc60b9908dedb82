"""What all answers of chat models have in common: careful reading, a strict schema, and verdicts as typed data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Annotated, NamedTuple, Protocol, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from agent.planners.plan import Plan
from evaluators.report import Detection, Report, Verdict, VerdictKind
from instdiff.errors import BadInput
from instdiff.layout import Box, Layout
from instdiff.world import nouns
from instdiff.world.scene import Scene
from prompts.client import AnswerError
from prompts.lenient_json import objects_in
from prompts.thoughts import without_thoughts

MAX_ANSWER_CHARS = 60_000
CUT_OFF = "truncated: the answer was cut off before its end; plan fewer objects and use shorter captions"
MAX_WRAPPERS = 5  # objects around the one that is meant
OBJECTS_BEGIN = re.compile(r"""["']?objects["']?\s*:\s*\[""")
FAILED = (VerdictKind.MISPLACED, VerdictKind.MISSING, VerdictKind.WRONG_ATTRIBUTE)
INSTEAD_IOU = 0.3  # from this IoU on, what was seen in a missing object's place stands there instead of it


class PlanParts(NamedTuple):
    """What an answer comes to: the fields of a `Plan` that it decides."""

    layout: Layout
    notes: tuple[str, ...] = ()
    scene: Scene | None = None
    ids: tuple[str, ...] = ()


class Form(Protocol):
    """What is asked for, a scene or boxes. Its prompts are the files ``plan_NAME_*.md``."""

    name: str
    schema: dict

    def examples(self, prompt: str) -> str:
        """Worked examples, as text for the model."""

    def read(self, text: str, prompt: str, size: tuple[int, int], seed: int) -> PlanParts:
        """The answer on a picture of (width, height) pixels; raises `AnswerError`. The same seed, the same places."""

    def as_json(self, plan: Plan) -> str:
        """A plan in the words of the schema."""

    def labels(self, plan: Plan) -> list[str | int]:
        """What each instance of the plan is called in those words."""


def line(limit: int, required: bool = True) -> AfterValidator:
    """Text becomes one line of at most so many characters, and is refused if it is longer, or empty though required.

    The limit is no part of the JSON schema: several services refuse such keywords.
    """

    def check(text: str) -> str:
        words = " ".join("".join(char if char.isprintable() else " " for char in text).split())
        if required and not words:
            raise ValueError("this text is empty")
        if len(words) > limit:
            raise ValueError(f"this text has {len(words)} characters; at most {limit} are allowed")
        return words

    return AfterValidator(check)


Name = Annotated[str, line(60)]
Phrase = Annotated[str, line(400)]
Sentence = Annotated[str, line(1500)]


def _strict(schema: dict) -> None:
    """Strict services want every property required; what has a default in the model is forgiven when read."""
    schema["required"] = list(schema["properties"])
    schema["additionalProperties"] = False
    for field in schema["properties"].values():
        field.pop("default", None)


class Answer(BaseModel):
    """A part of an answer. What a model adds is ignored, but the schema sent to it allows no additions."""

    model_config = ConfigDict(extra="ignore", json_schema_extra=_strict)


AnswerType = TypeVar("AnswerType", bound=Answer)


def read_as(model: type[AnswerType], answer: str) -> AnswerType:
    """A model's answer as this pydantic model, without any slip; raises `AnswerError` with the first reason against it.

    The text is data: JSON, possibly inside a fence or between sentences, and nothing in it is ever run.
    """
    return validated(model, object_of(answer))


def validated(model: type[AnswerType], data: dict) -> AnswerType:
    """The fields of an answer as this pydantic model; raises `AnswerError` with the first reason against them."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise AnswerError(first_reason(error)) from error


def first_reason(error: ValidationError) -> str:
    """The first problem of a validation, in one line: where, and what."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part)[:40] for part in first["loc"][:4])
    reason = first["msg"].removeprefix("Value error, ")
    return f"{where}: {reason}" if where else reason


def object_of(answer: str) -> dict:
    """The JSON object in a model's answer that has a list of objects.

    It may stand in a fence or between sentences, after a thought or a draft: the last complete one is meant. A schema
    that is repeated has no such list.

    Raises:
        AnswerError: there is none, or it begins and does not end.
    """
    text = without_thoughts(answer)
    if not text.strip():
        raise AnswerError("the answer is empty")
    if len(text) > MAX_ANSWER_CHARS:
        raise AnswerError(f"the answer has {len(text)} characters; at most {MAX_ANSWER_CHARS} are allowed")
    last: dict | None = None
    is_whole = False  # and not only something that is called objects
    unread = ""  # what stands behind the last one and is no JSON
    end = 0
    for found in objects_in(text):
        unread += text[end : found.start]
        end = found.end
        for candidate in _with_objects(found.value):
            holds_things = _holds_things(candidate["objects"])
            if holds_things or not is_whole:
                last = candidate
                is_whole = holds_things
                unread = ""
    if last is None or OBJECTS_BEGIN.search(unread + text[end:]):
        raise AnswerError('the answer holds no complete JSON object with "objects"')
    return last


def _with_objects(value: object, depth: int = 0) -> Iterator[dict]:
    """The objects with "objects" in a JSON value, however they are wrapped, but none that describes a form."""
    if isinstance(value, dict) and "objects" in value and not _is_schema(value["objects"]):
        yield value
    elif depth < MAX_WRAPPERS and isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _with_objects(part, depth + 1)


def _holds_things(value: object) -> bool:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(isinstance(part, dict) for part in parts)


def _is_schema(value: object) -> bool:
    return isinstance(value, dict) and bool({"type", "items", "$ref"} & value.keys())


def layout_of(fields: dict) -> Layout:
    """The `Layout` with these fields; what it refuses is the answer's fault."""
    try:
        return Layout.parse(fields)
    except BadInput as error:
        raise AnswerError(str(error)) from error


def edges(box: Box) -> dict[str, int]:
    """A box as whole percent of the picture, never without area."""
    left = min(round(box.x0 * 100), 99)
    top = min(round(box.y0 * 100), 99)
    right = max(round(box.x1 * 100), left + 1)
    return {"left": left, "top": top, "right": right, "bottom": max(round(box.y1 * 100), top + 1)}


def verdicts_as_json(plan: Plan, report: Report, labels: list[str | int]) -> str:
    """The verdicts on what failed, one a line: object, planned category, kind, IoU, where it was planned and found.

    Nothing in it is free text from a detector: names are the plan's or known categories, else our words and numbers.
    """
    instances = plan.layout.instances
    lines = []
    for verdict in report.verdicts:
        if verdict.kind not in FAILED or verdict.instance >= len(instances):
            continue
        instance = instances[verdict.instance]
        detection = verdict.detection or _stand_in(verdict, plan, report)
        entry = {
            "object": labels[verdict.instance],
            "category": instance.name,
            "verdict": verdict.kind.value,
            "iou": round(verdict.iou, 2),
            "planned": edges(instance.extent) if instance.extent else None,
            "found": {"category": _own_word(detection.category, plan), **edges(detection.box)} if detection else None,
        }
        lines.append("  " + json.dumps(entry, ensure_ascii=False))
    return "[\n" + ",\n".join(lines) + "\n]"


def _stand_in(verdict: Verdict, plan: Plan, report: Report) -> Detection | None:
    """What nobody planned and that stands where a missing object should be."""
    place = plan.layout.instances[verdict.instance].extent
    if not place:
        return None
    rivals = [extra for extra in report.extras if extra.box.iou(place) >= INSTEAD_IOU]
    return max(rivals, key=lambda extra: extra.box.iou(place), default=None)


def _own_word(category: str, plan: Plan) -> str | None:
    """A detector's category if the plan or `instdiff.world.knowledge` has it, else None: free text is not passed on."""
    ours = {name for instance in plan.layout.instances for name in (instance.category, instance.name)}
    noun = nouns.known(category.lower())
    return category if category in ours else noun.meaning.name if noun and noun.meaning else None
