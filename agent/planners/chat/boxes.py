"""Boxes as a chat model gives them: the classic way, in which the model decides places itself.

Places are whole percent of the picture here, and nowhere else: language models are steadier with small whole numbers
than with fractions, and edges with names of their own cannot be mistaken for a width and a height.
"""

from __future__ import annotations

import json
import math
import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

import prompts
from agent.planners.chat.answer import (
    Answer,
    Name,
    Phrase,
    PlanParts,
    Sentence,
    edges,
    layout_of,
    line,
    object_of,
    validated,
)
from agent.planners.plan import Plan
from instdiff.errors import printable
from instdiff.layout import MAX_INSTANCES, Box, Instance

SIDES = ("left", "top", "right", "bottom")
OVERHANG = 0.02  # of the picture; as far past its border an edge may be
NUMBER = re.compile(r"([-+]?\d{1,6}(?:\.\d{1,9})?)\s*(?:%|percent|px|pixels)?")
LEAST_REACH = 1 / 3  # of the picture; boxes that all lie nearer to its upper left corner are in another unit


def _rounded(value: object) -> object:
    return round(value) if isinstance(value, float) and math.isfinite(value) else value


def _percent(value: int) -> int:
    if not 0 <= value <= 100:
        raise ValueError(f"{str(value)[:20]} is no percentage; edges are whole percent of the picture, 0 to 100")
    return value


Percent = Annotated[int, BeforeValidator(_rounded), AfterValidator(_percent)]


class PlannedBox(Answer):
    """One visible object and where its edges are."""

    category: Name = Field(description="one common English noun in the singular")
    caption: Phrase = Field(description="what exactly this one looks like")
    left: Percent = Field(description="left edge: percent of the picture's width, from the left, 0 to 100")
    top: Percent = Field(description="top edge: percent of the picture's height, from the top, 0 to 100")
    right: Percent = Field(
        description="right edge, not a width: percent of the picture's width, from the left, greater than left"
    )
    bottom: Percent = Field(
        description="bottom edge, not a height: percent of the picture's height, from the top, greater than top"
    )

    @model_validator(mode="after")
    def _has_area(self) -> PlannedBox:
        for low, high, size in (("left", "right", "width"), ("top", "bottom", "height")):
            first = getattr(self, low)
            second = getattr(self, high)
            if first >= second:
                cure = f"{high} is an edge, not a {size}, and must be greater"
                raise ValueError(f'"{self.category}" has {low} {first} and {high} {second}; {cure}')
        return self

    @property
    def box(self) -> Box:
        return Box(x0=self.left / 100, y0=self.top / 100, x1=self.right / 100, y1=self.bottom / 100)


class PlannedLayout(Answer):
    """A picture as a list of objects with their places."""

    caption: Sentence = Field(description="one sentence that describes the whole picture")
    negative_caption: Annotated[str, line(800, required=False)] = Field(
        description="what must not appear; empty if nothing is excluded"
    )
    objects: list[PlannedBox] = Field(description=f"1 to {MAX_INSTANCES} visible objects")

    @model_validator(mode="after")
    def _is_usable(self) -> PlannedLayout:
        if not 1 <= len(self.objects) <= MAX_INSTANCES:
            raise ValueError(f"{len(self.objects)} objects; give 1 to {MAX_INSTANCES}")
        return self


def in_percent(answer: dict, prompt: str, size: tuple[int, int]) -> tuple[dict, list[str]]:
    """An answer whose boxes are in percent, whatever the model took instead, and notes on what was mended or left out.

    Args:
        answer: in the form of the schema, more or less.
        prompt: taken as caption where there is none.
        size: (width, height) of the picture in pixels, as the model is told.
    """
    notes: list[str] = []
    objects: list[dict] = []
    left_out: list[object] = []
    values = answer.get("objects")
    for value in values if isinstance(values, list) else []:
        edges = _edges(value) if isinstance(value, dict) else None
        if edges is None or not isinstance(value.get("category"), str):
            left_out.append(value)
        else:
            caption = value["caption"] if isinstance(value.get("caption"), str) else value["category"]
            objects.append({**value, "caption": caption, **edges})
    unit, scale = _unit_of([[item[side] for side in SIDES] for item in objects], size)
    if unit != "percent":
        notes.append(f"The model gives places as {unit} of the picture, and not as percent; they are read so.")
        objects = [{**item, **_converted(item, scale)} for item in objects]
    if left_out:
        named = "; ".join(printable(json.dumps(value, ensure_ascii=False))[:80] for value in left_out[:3])
        notes.append(f"{len(left_out)} of the model's objects cannot be read and are left out: {named}.")
    caption = answer["caption"] if isinstance(answer.get("caption"), str) else printable(prompt)
    negative = answer.get("negative_caption") or ""
    if isinstance(negative, list):
        negative = ", ".join(word for word in negative if isinstance(word, str))
    return {**answer, "caption": caption, "negative_caption": negative, "objects": objects}, notes


def _edges(value: dict) -> dict[str, int | float] | None:
    """The four edges as numbers, None if one of them is none."""
    edges = {side: _number(value.get(side)) for side in SIDES}
    return {side: edge for side, edge in edges.items() if edge is not None} if None not in edges.values() else None


def _number(value: object) -> int | float | None:
    """A finite number, also from text with a unit: "10%"."""
    if isinstance(value, str):
        number = NUMBER.fullmatch(value.strip())
        return float(number[1]) if number else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if isinstance(value, int) or math.isfinite(value) else None


def _unit_of(boxes: list[list], size: tuple[int, int]) -> tuple[str, tuple[int, int]]:
    """What the edges (left, top, right, bottom) of a whole answer are, and how many of it the picture has each way.

    They are percent unless that is impossible for most boxes, or all lie between 0 and 1. Of pixels and thousandths
    those are meant whose picture the boxes fit into and fill better; they reach over a good part of it.
    """
    if not boxes or all(max(box) <= 1 for box in boxes):
        return "fractions", (1, 1)
    if 2 * sum(max(box) > 100 for box in boxes) > len(boxes):
        right = max(box[2] for box in boxes)
        bottom = max(box[3] for box in boxes)
        units = [("pixels", size), ("thousandths", (1000, 1000))]
        for unit, (width, height) in sorted(units, key=lambda unit: unit[1][0] * unit[1][1]):
            fits = right <= width * (1 + OVERHANG) and bottom <= height * (1 + OVERHANG)
            if fits and right >= width * LEAST_REACH and bottom >= height * LEAST_REACH:
                return unit, (width, height)
    return "percent", (100, 100)


def _converted(edges: dict, scale: tuple[int, int]) -> dict[str, float]:
    """Edges as percent, on the picture; a box of less than one percent is one percent wide."""
    percent = {side: edges[side] / scale[number % 2] * 100 for number, side in enumerate(SIDES)}
    percent = {side: min(edge, 100.0) for side, edge in percent.items()}
    for low, high in (("left", "right"), ("top", "bottom")):
        if edges[low] < edges[high] and round(percent[low]) >= round(percent[high]):
            percent[low] = min(round(percent[low]), 99)
            percent[high] = percent[low] + 1
    return percent


class BoxesForm:
    """Asks for the edges of each object in percent, and takes them as they are."""

    name = "boxes"
    schema = PlannedLayout.model_json_schema()

    def examples(self, prompt: str) -> str:
        """The same two for every prompt: they show the form."""
        return prompts.read("plan_boxes_examples.md")

    def read(self, answer: str, prompt: str, size: tuple[int, int], seed: int) -> PlanParts:
        """The boxes of an answer on a picture of (width, height) pixels; raises `AnswerError`."""
        given = object_of(answer)
        readable, notes = in_percent(given, prompt, size)
        planned = validated(PlannedLayout, readable if readable["objects"] else given)
        boxes = [{"caption": item.caption, "category": item.category, "box": item.box} for item in planned.objects]
        head = {"caption": planned.caption, "negative_caption": planned.negative_caption}
        layout = layout_of({"width": size[0], "height": size[1], **head, "instances": tuple(boxes)})
        return PlanParts(layout, tuple(notes))

    def as_json(self, plan: Plan) -> str:
        """The plan's layout, one object a line."""
        layout = plan.layout
        objects = [{"category": item.name, "caption": item.caption, **_place(item)} for item in layout.instances]
        lines = ",\n".join("    " + json.dumps(item, ensure_ascii=False) for item in objects)
        head = f'  "caption": {json.dumps(layout.caption, ensure_ascii=False)},\n'
        head += f'  "negative_caption": {json.dumps(layout.negative_caption, ensure_ascii=False)},\n'
        return "{\n" + head + '  "objects": [\n' + lines + "\n  ]\n}"

    def labels(self, plan: Plan) -> list[str | int]:
        """Numbers, from 0."""
        return list(range(len(plan.layout.instances)))


def _place(instance: Instance) -> dict[str, int]:
    if instance.extent:
        return edges(instance.extent)
    return {"x": round(instance.point.x * 100), "y": round(instance.point.y * 100)} if instance.point else {}
