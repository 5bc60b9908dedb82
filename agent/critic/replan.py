"""What the critic cannot repair goes back to the planner: another arrangement of the scene, or one more request."""

from __future__ import annotations

from random import Random
from string import Template

import prompts
from agent.critic import Critique, Finding, FindingKind, criticise
from agent.planners import CHAT_NAME, Planner
from agent.planners.plan import Plan
from instdiff.errors import InstDiffError
from instdiff.world.camera import project
from instdiff.world.scene import Scene

ARRANGEMENTS = 4  # how many others are tried
MAX_PROMPT = 8000


def criticise_and_replan(plan: Plan, prompt: str, planner: Planner | None, seed: int) -> Critique:
    """Criticise a first plan, and plan again what is wrong and has no one right repair.

    A scene is arranged with other seeds, without asking anyone; after that a chat model is asked once more, with the
    faults. The plan with the fewest faults is kept. A service that fails is no error here: there is a plan.
    """
    critique = criticise(plan, prompt)
    if any(finding.kind is not FindingKind.COUNT for finding in critique.open) and plan.scene:
        critique = _arrange(critique, plan.scene, prompt, seed)
    if critique.open and planner and CHAT_NAME.fullmatch(plan.planner):
        critique = _ask_again(critique, prompt, planner, seed)
    return critique


def _arrange(first: Critique, scene: Scene, prompt: str, seed: int) -> Critique:
    """The best of a few other arrangements of the scene, if one is better."""
    best = first
    for attempt in range(1, ARRANGEMENTS + 1):
        projection = project(scene, first.plan.layout.size, Random(f"{seed} {attempt}"))
        other = criticise(first.plan.model_copy(update={"layout": projection.layout, "ids": projection.ids}), prompt)
        best = other if len(other.open) < len(best.open) else best
        if not best.open:
            break
    return _after(first, best, "The scene is arranged anew.")


def _ask_again(first: Critique, prompt: str, planner: Planner, seed: int) -> Critique:
    faults = "\n".join(f"- {finding.sentence}" for finding in first.open)
    words = Template(prompts.read("plan_again.md")).substitute(prompt=prompt, faults=faults)
    if len(words) > MAX_PROMPT:
        return first
    try:
        second = criticise(planner.plan(words, first.plan.layout.size, seed), prompt)
    except InstDiffError as error:
        note = f"The planner was told what is wrong, and had no better plan ({error})."
        return first._replace(plan=first.plan.model_copy(update={"notes": (*first.plan.notes, note)}))
    caption = {"caption": first.plan.layout.caption}  # the faults are no part of the picture's description
    second = second._replace(
        plan=second.plan.model_copy(update={"layout": second.plan.layout.model_copy(update=caption)})
    )
    return _after(first, second if len(second.open) < len(first.open) else first, "The planner was asked again.")


def _after(first: Critique, best: Critique, how: str) -> Critique:
    """The better critique, with what was wrong before it as repaired."""
    if best is first:
        return first
    still = {finding.sentence for finding in best.open}
    gone = [f for f in first.findings if f.sentence not in still]
    repaired: list[Finding] = [
        f if f.repaired else f.model_copy(update={"repaired": True, "sentence": f"{f.sentence} {how}"}) for f in gone
    ]
    return best._replace(
        findings=(*repaired, *(f for f in best.findings if f.sentence not in {g.sentence for g in gone}))
    )
