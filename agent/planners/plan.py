"""What a planner gives back."""

from __future__ import annotations

from pydantic import Field

from instdiff.layout import Fraction, Layout, _Value
from instdiff.scene import Scene


class Usage(_Value):
    """What a chat model was asked for and what it cost; ``usd`` is None where its price is not known.

    ``estimated`` is true where the service did not say how many tokens it took, and an upper estimate was counted.
    """

    requests: int = Field(default=0, ge=0)
    prompt_tokens: int = Field(default=0, ge=0)
    answer_tokens: int = Field(default=0, ge=0)
    usd: float | None = Field(default=0.0, ge=0)
    estimated: bool = False

    @property
    def tokens(self) -> int:
        """Prompts and answers together."""
        return self.prompt_tokens + self.answer_tokens


class Plan(_Value):
    """A layout, who made it, and what the planner wants to say about it.

    ``planner`` is the name that `agent.planners.load_planner` takes ("offline", "openai:gpt-4o"); ``notes`` are short
    sentences for the reader; ``seed``, ``mis`` and ``alpha`` are the render settings the plan asks for, None leaves them as they are.
    ``scene`` is what was projected, if anything was, and ``ids`` names its object behind each instance.
    """

    layout: Layout
    planner: str
    notes: tuple[str, ...] = ()
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    mis: Fraction | None = None
    alpha: Fraction | None = None
    scene: Scene | None = None
    ids: tuple[str, ...] = ()
