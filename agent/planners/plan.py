"""What a planner is, what it is told, and what it gives back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pydantic import Field, SecretStr

from instdiff.layout import Box, Instance, Layout
from instdiff.values import Fraction, Value
from instdiff.world.scene import Scene
from prompts.usage import Usage

if TYPE_CHECKING:
    from evaluators.report import Report


class Plan(Value):
    """A layout, who made it, and what the planner wants to say about it.

    ``planner`` is the name that `agent.planners.load_planner` takes ("offline", "openai:gpt-4o"); ``notes`` are short
    sentences for the reader; ``seed``, ``mis`` and ``alpha`` are the render settings the plan asks for, None for as
    they are. ``scene`` is what was projected, if anything was; ``ids`` names its object behind each instance.
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


class ChatOptions(Value):
    """How a chat model plans.

    Args:
        base_url: the server's address, e.g. ``http://127.0.0.1:8000/v1``; None for the provider's own.
        api_key: the key for the service, if it wants one.
        temperature: how freely the model answers, 0 to 2.
        timeout_s: seconds that one answer may take; None for a minute, and ten for a model in this process.
        max_attempts: requests for one plan, without those on terms that the service refuses or answers nothing to.
        planning: ``scene`` asks for things in metres that our camera puts on the picture, ``boxes`` for places.
        cache: the folder of earlier answers; None asks anew each time.
        num_ctx: tokens of context of ``ollama`` and ``llama`` models; None for as many as are needed.
        max_tokens, max_usd: at most so much is spent in one run; looked at before each request.
    """

    base_url: str | None = None
    api_key: SecretStr | None = None
    temperature: float = 0.2
    timeout_s: float | None = None
    max_attempts: int = 3
    planning: str = "scene"
    cache: Path | None = None
    num_ctx: int | None = None
    max_tokens: int | None = None
    max_usd: float | None = None


class Planner(Protocol):
    """Anything that plans. A planner that asks no model inherits all but `plan` and `revise`.

    An own one is handed to `agent.loop.Agent` as ``planner=``.

    Examples:
        This one plans one thing in the middle, and makes it larger where it was not found:

        >>> from agent.planners import Plan, Planner
        >>> from instdiff import Box, Instance, Layout
        >>> class OneThing(Planner):
        ...     name = "one-thing"
        ...
        ...     def plan(self, prompt, size, seed):
        ...         thing = Instance(caption=prompt, box=Box(x0=0.3, y0=0.3, x1=0.7, y1=0.7))
        ...         layout = Layout(width=size[0], height=size[1], caption=prompt, instances=(thing,))
        ...         return Plan(layout=layout, planner=self.name)
        ...
        ...     def revise(self, prompt, plan, report, seed):
        ...         return plan.with_box(0, Box(x0=0.1, y0=0.1, x1=0.9, y1=0.9))
        >>> OneThing().plan("a red ball", (640, 480), seed=0).layout.instances[0].box.xyxy
        (0.3, 0.3, 0.7, 0.7)

    Attributes:
        name: what runs call it.
    """

    name: str
    _usage: Usage = Usage()

    @property
    def usage(self) -> Usage:
        """What the run took: what `start` was given, and what a model was asked for since."""
        return self._usage

    def start(self, usage: Usage) -> None:
        """Begin a run, or go on with one that took this much before: limits are for one run."""
        self._usage = usage

    def check(self, prompt: str) -> None:
        """Raise BadInput for a prompt that is known at once not to be understood; chat models take any."""
        return None

    def plan(self, prompt: str, size: tuple[int, int], seed: int) -> Plan:
        """A layout of (width, height) pixels for a scene in words; the same seed, the same places."""
        ...

    def revise(self, prompt: str, plan: Plan, report: Report, seed: int) -> Plan:
        """A better plan, after a report on the picture of ``plan``."""
        ...
