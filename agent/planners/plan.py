"""What a planner gives back."""

from __future__ import annotations

from pydantic import Field

from instdiff.layout import Fraction, Layout, _Value


class Plan(_Value):
    """A layout, who made it, and what the planner wants to say about it.

    ``planner`` is the name that `agent.planners.load_planner` takes ("offline", "openai:gpt-4o"); ``notes`` are short
    sentences for the reader; ``seed`` and ``mis`` are the render settings the plan asks for, None leaves them as they are.
    """

    layout: Layout
    planner: str
    notes: tuple[str, ...] = ()
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    mis: Fraction | None = None
