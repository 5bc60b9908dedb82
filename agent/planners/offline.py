"""The planner that needs no network and no model: a parser of English, knowledge of the world, and a camera.

What a prompt says, and what is usually there, becomes the objects and relations of a scene.
"""

from __future__ import annotations

import re
from random import Random
from typing import TYPE_CHECKING

from agent.planners.plan import Plan, Planner
from agent.planners.scenes import scene_of
from agent.repair.failures import failures_of
from agent.repair.repairs import next_repairs
from instdiff.world.camera import project

if TYPE_CHECKING:
    from evaluators.report import Report

MADE = re.compile(r"(?P<thing>.+?), [^:]+: (?P<move>.+)")  # `agent.repair.records.Step.sentence`


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
        """The plan after the next move for everything that failed, or the scene in another arrangement.

        Moves are those of `agent.repair.routes`; notes keep which of them were made.
        """
        made = {(step["thing"], step["move"]) for note in plan.notes if (step := MADE.fullmatch(note))}
        repairs = next_repairs(plan, list(failures_of(plan.layout, report)), made, count=1)
        if repairs:
            [repair] = repairs
            notes = tuple(step.sentence for step in repair.steps)
            return repair.plan.model_copy(update={"notes": (*plan.notes, *notes), "seed": seed, "planner": self.name})
        changes = {"seed": seed, "planner": self.name, "notes": ("the scene is arranged anew",)}
        if plan.scene is None:
            return plan.model_copy(update=changes)
        layout, ids, _ = project(plan.scene, plan.layout.size, Random(seed))
        return plan.model_copy(update={**changes, "layout": layout, "ids": ids})
