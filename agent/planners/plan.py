"""What a planner gives back."""

from __future__ import annotations

from pydantic import Field

from instdiff.layout import Box, Instance, Layout
from instdiff.values import Fraction, Value
from instdiff.world.scene import Scene


class Plan(Value):
    """A layout, who made it, and what the planner wants to say about it.

    ``planner`` is the name that `agent.planners.load_planner` takes ("offline", "openai:gpt-4o"); ``notes`` are short
    sentences for the reader; ``seed``, ``mis`` and ``alpha`` are the render settings the plan asks for, None leaves
    them as they are. ``scene`` is what was projected, if anything was, and ``ids`` names its object behind each
    instance.
    """

    layout: Layout
    planner: str
    notes: tuple[str, ...] = ()
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    mis: Fraction | None = None
    alpha: Fraction | None = None
    scene: Scene | None = None
    ids: tuple[str, ...] = ()

    def with_box(self, index: int, box: Box) -> Plan:
        """The plan with one instance in another box; a mask or scribble of the old place is dropped."""
        instances = list(self.layout.instances)
        instances[index] = Instance(caption=instances[index].caption, category=instances[index].category, box=box)
        return self.model_copy(update={"layout": self.layout.with_instances(instances)})
