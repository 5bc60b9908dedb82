"""The planner that needs no network and no model: a parser of English, knowledge of the world, and a camera.

What a prompt says, and what is usually there, becomes the objects and relations of a scene.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from agent.planners.plan import Plan, Planner
from agent.planners.revision import revise
from agent.planners.scenes import scene_of
from instdiff.world.camera import project

if TYPE_CHECKING:
    from evaluators.report import Report


class OfflinePlanner(Planner):
    """Reads a prompt with a grammar and lays it out with `instdiff.world.camera`; the same seed, the same plan."""

    name = "offline"

    def check(self, prompt: str) -> None:
        """Raise BadInput for a prompt that cannot be read: empty, too long, or naming nothing that can be there."""
        scene_of(prompt, Random(0))

    def plan(self, prompt: str, size: tuple[int, int], seed: int) -> Plan:
        """A layout of (width, height) pixels for the prompt.

        Raises:
            BadInput: the prompt is empty or longer than 2000 characters.
        """
        scene, notes = scene_of(prompt, Random(seed))
        layout, ids, relaxed = project(scene, size, Random(seed))
        return Plan(layout=layout, planner=self.name, notes=(*notes, *relaxed), scene=scene, ids=ids)

    def revise(self, prompt: str, plan: Plan, report: Report, seed: int) -> Plan:
        """A better plan after a look at the picture; see `agent.planners.revision`."""
        return revise(plan, report, seed).model_copy(update={"planner": self.name})
