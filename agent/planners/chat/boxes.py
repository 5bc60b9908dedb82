"""Boxes as a chat model gives them: the classic way, in which the model decides places itself.

Places are whole percent of the picture here, and nowhere else: language models are steadier with small whole numbers
than with fractions, and edges with names of their own cannot be mistaken for a width and a height.
"""

from __future__ import annotations

import json
import math
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

import prompts
from agent.planners.chat.answer import Answer, Name, Phrase, PlanParts, Sentence, edges, layout_of, line, read_as
from agent.planners.plan import Plan
from instdiff.layout import MAX_INSTANCES, Box, Instance


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
        if all(max(planned.right, planned.bottom) <= 1 for planned in self.objects):
            raise ValueError("all edges lie between 0 and 1; they are whole percent, 0 to 100, not fractions")
        return self


class BoxesForm:
    """Asks for the edges of each object in percent, and takes them as they are."""

    name = "boxes"
    schema = PlannedLayout.model_json_schema()

    def examples(self, prompt: str) -> str:
        """The same two for every prompt: they show the form."""
        return prompts.read("plan_boxes_examples.md")

    def read(self, answer: str, prompt: str, size: tuple[int, int], seed: int) -> PlanParts:
        """The boxes of an answer on a picture of (width, height) pixels; raises `AnswerError`."""
        planned = read_as(PlannedLayout, answer)
        boxes = [{"caption": item.caption, "category": item.category, "box": item.box} for item in planned.objects]
        head = {"caption": planned.caption, "negative_caption": planned.negative_caption}
        return PlanParts(layout_of({"width": size[0], "height": size[1], **head, "instances": tuple(boxes)}))

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
