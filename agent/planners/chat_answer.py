"""What a chat model is asked to answer, and the careful reading of what it says.

Places are whole percent of the picture here, and nowhere else: language models are steadier with small whole numbers
than with fractions, and edges with names of their own cannot be mistaken for a width and a height.
"""

from __future__ import annotations

import json
import math
import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from evaluators.report import Report, VerdictKind
from instdiff.errors import BadInput
from instdiff.layout import MAX_INSTANCES, Box, Instance, Layout

MAX_ANSWER_CHARS = 60_000
MAX_OBJECT_STARTS = 40  # places of a "{" that are tried when JSON stands inside other text
FAILED = (VerdictKind.MISPLACED, VerdictKind.MISSING, VerdictKind.WRONG_ATTRIBUTE)


class BadAnswer(Exception):
    """The model's answer is no layout; the message is one line that the model can act on."""


def _one_line(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _text(limit: int, required: bool = True):
    """A line of text with a limit. The limit is no part of the JSON schema: several services refuse such keywords."""

    def check(text: str) -> str:
        line = _one_line(text)
        if required and not line:
            raise ValueError("this text is empty")
        if len(line) > limit:
            raise ValueError(f"this text has {len(line)} characters; at most {limit} are allowed")
        return line

    return Annotated[str, AfterValidator(check)]


def _rounded(value: object) -> object:
    return round(value) if isinstance(value, float) and math.isfinite(value) else value


def _percent(value: int) -> int:
    if not 0 <= value <= 100:
        raise ValueError(f"{str(value)[:20]} is no percentage; edges are whole percent of the picture, 0 to 100")
    return value


Percent = Annotated[int, BeforeValidator(_rounded), AfterValidator(_percent)]


class PlannedObject(BaseModel):
    """One visible object and where its edges are."""

    # what a model adds is ignored, but the schema sent to it allows no additions
    model_config = ConfigDict(extra="ignore", json_schema_extra={"additionalProperties": False})

    category: _text(60) = Field(description="one common English noun in the singular")
    caption: _text(400) = Field(description="what exactly this one looks like")
    left: Percent = Field(description="left edge: percent of the picture's width, from the left, 0 to 100")
    top: Percent = Field(description="top edge: percent of the picture's height, from the top, 0 to 100")
    right: Percent = Field(description="right edge, not a width: percent of the picture's width, from the left, greater than left")
    bottom: Percent = Field(description="bottom edge, not a height: percent of the picture's height, from the top, greater than top")

    @model_validator(mode="after")
    def _has_area(self) -> PlannedObject:
        for low, high, size in (("left", "right", "width"), ("top", "bottom", "height")):
            first, second = getattr(self, low), getattr(self, high)
            if first >= second:
                raise ValueError(
                    f'"{self.category}" has {low} {first} and {high} {second}; {high} is an edge, not a {size}, and must be greater'
                )
        return self

    @property
    def box(self) -> Box:
        return Box(x0=self.left / 100, y0=self.top / 100, x1=self.right / 100, y1=self.bottom / 100)


class PlannedLayout(BaseModel):
    """A picture as a list of objects with their places."""

    model_config = ConfigDict(extra="ignore", json_schema_extra={"additionalProperties": False})

    caption: _text(1500) = Field(description="one sentence that describes the whole picture")
    negative_caption: _text(800, required=False) = Field(description="what must not appear; empty if nothing is excluded")
    objects: list[PlannedObject] = Field(description=f"1 to {MAX_INSTANCES} visible objects")

    @model_validator(mode="after")
    def _is_usable(self) -> PlannedLayout:
        if not 1 <= len(self.objects) <= MAX_INSTANCES:
            raise ValueError(f"{len(self.objects)} objects; give 1 to {MAX_INSTANCES}")
        if all(max(thing.right, thing.bottom) <= 1 for thing in self.objects):
            raise ValueError("all edges lie between 0 and 1; they are whole percent, 0 to 100, not fractions")
        return self

    def layout(self, size: tuple[int, int]) -> Layout:
        """The same as a `Layout` for a picture of (width, height) pixels."""
        instances = tuple(Instance(caption=thing.caption, category=thing.category, box=thing.box) for thing in self.objects)
        return Layout(width=size[0], height=size[1], caption=self.caption, negative_caption=self.negative_caption, instances=instances)


def answer_schema() -> dict:
    """The JSON schema of an answer: types, names and descriptions only, which is what every service understands."""
    return PlannedLayout.model_json_schema()


def read_answer(text: str, size: tuple[int, int]) -> Layout:
    """The layout in a model's answer, for a picture of ``size`` (width, height) pixels.

    The text is data: JSON, possibly inside a fence or between sentences, and nothing in it is ever run.

    Raises:
        BadAnswer: there is no usable layout in it, with the first reason.
    """
    try:
        return PlannedLayout.model_validate(_json_object(text)).layout(size)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part)[:40] for part in first["loc"][:4])
        reason = first["msg"].removeprefix("Value error, ")
    except BadInput as error:
        where, reason = error.field, error.reason
    raise BadAnswer(f"{where}: {reason}" if where else reason)


def _json_object(text: str) -> dict:
    """The JSON object in a text; prose around it and commas before a closing bracket are forgiven."""
    if not text.strip():
        raise BadAnswer("the answer is empty")
    if len(text) > MAX_ANSWER_CHARS:
        raise BadAnswer(f"the answer has {len(text)} characters; at most {MAX_ANSWER_CHARS} are allowed")
    for candidate in (text, re.sub(r",(\s*[}\]])", r"\1", text)):
        for start in [match.start() for match in re.finditer(r"\{", candidate)][:MAX_OBJECT_STARTS]:
            try:
                value, _ = json.JSONDecoder().raw_decode(candidate, start)
            except (ValueError, RecursionError):  # not JSON from here on, or nested past all sense
                continue
            if isinstance(value, dict) and "objects" in value:
                return value
    raise BadAnswer('the answer holds no complete JSON object with "objects"')


def _edges(box: Box) -> dict[str, int]:
    """A box as whole percent, never without area."""
    left, top = min(round(box.x0 * 100), 99), min(round(box.y0 * 100), 99)
    return {"left": left, "top": top, "right": max(round(box.x1 * 100), left + 1), "bottom": max(round(box.y1 * 100), top + 1)}


def _place(instance: Instance) -> dict[str, int]:
    if instance.extent:
        return _edges(instance.extent)
    return {"x": round(instance.point.x * 100), "y": round(instance.point.y * 100)} if instance.point else {}


def layout_as_json(layout: Layout) -> str:
    """A layout in the words of the answer schema, one object a line."""
    objects = [{"category": thing.category or thing.caption, "caption": thing.caption, **_place(thing)} for thing in layout.instances]
    lines = ",\n".join("    " + json.dumps(thing, ensure_ascii=False) for thing in objects)
    head = f'  "caption": {json.dumps(layout.caption, ensure_ascii=False)},\n'
    head += f'  "negative_caption": {json.dumps(layout.negative_caption, ensure_ascii=False)},\n'
    return "{\n" + head + '  "objects": [\n' + lines + "\n  ]\n}"


def verdicts_as_json(layout: Layout, report: Report) -> str:
    """The verdicts on what failed, one a line: index, name as planned, kind, IoU, and where it was found (percent).

    Nothing in it is free text from a detector: the name is the plan's, the rest are numbers and our own words.
    """
    lines = []
    for verdict in report.verdicts:
        if verdict.kind in FAILED and verdict.instance < len(layout.instances):
            seen = _edges(verdict.detection.box) if verdict.detection else None
            name = layout.instances[verdict.instance].name
            entry = {"object": verdict.instance, "name": name, "verdict": verdict.kind.value, "iou": round(verdict.iou, 2), "found": seen}
            lines.append("  " + json.dumps(entry, ensure_ascii=False))
    return "[\n" + ",\n".join(lines) + "\n]"
