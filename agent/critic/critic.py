"""A look at a layout before paint is spent: what has one right repair is repaired, the rest is said, or planned again.

The geometric checks need nothing but boxes; what a scene says of its objects and relations is used where there is one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from string import Template
from typing import NamedTuple

import prompts
from agent.critic import checks
from agent.critic.checks import Fault
from agent.critic.findings import Finding, FindingKind
from agent.planners import CHAT_NAME
from agent.planners.english.parts import Reading
from agent.planners.english.reader import read_prompt
from agent.planners.plan import Plan, Planner
from instdiff.errors import BadInput, InstDiffError
from instdiff.world import nouns
from instdiff.world.camera import project
from instdiff.world.placement import carrier, loads
from instdiff.world.relations import broken_relations_in
from instdiff.world.scene import Scene

PLACE_CHECKS = (
    checks.out_of_frame,
    checks.slivers,
    checks.relations,
    checks.floating,
    checks.sizes,
    checks.hidden,
)
CROWDED = 0.5  # share of the smaller of two boxes that a repair may make them share
SAME_COVER = 0.05  # what they may share more than before where it was more already
ARRANGEMENTS = 4  # how many others of a scene are tried
MAX_PROMPT = 8000  # characters of the prompt with its faults


class Critique(NamedTuple):
    """The plan, repaired where there is one right repair, and what was found."""

    plan: Plan
    findings: tuple[Finding, ...]

    @property
    def open(self) -> tuple[Finding, ...]:
        """What is still wrong."""
        return tuple(finding for finding in self.findings if not finding.repaired)

    def plan_with_notes(self) -> Plan:
        """The plan with what was found in its notes, for where nothing else is shown."""
        notes = (f"{'repaired' if f.repaired else f.kind}: {f.sentence}" for f in self.findings)
        return self.plan.model_copy(update={"notes": (*self.plan.notes, *notes)})


def criticise(plan: Plan, prompt: str = "", repair: bool = True, only: set[int] | None = None) -> Critique:
    """Look at a plan.

    Args:
        prompt: the words; what they count is compared with the plan. Without them, and without a scene, nothing is
            counted.
        repair: False reports only, for layouts that the user made.
        only: repair these instances alone, by index.

    Returns:
        The repaired plan, and the findings in the order of the checks: first what should not be there, then each
        instance's place, then relations. A repair is made only if it breaks no relation and hides nothing else.
    """
    absent = plan.scene.absent if plan.scene else _reading(prompt).absent
    exact = exact_counts(prompt)
    critic = _Critic(plan, repair, only)
    critic.drop(partial(checks.forbidden, absent={nouns.category_of(name) for name in absent}))
    critic.drop(lambda plan: checks.duplicates(plan, _wanted(plan, exact)))
    critic.drop(lambda plan: checks.counts(plan, _wanted(plan, exact)))
    for check in PLACE_CHECKS:
        critic.mend(check)
    return Critique(critic.plan, tuple(critic.findings))


class _Critic:
    """A plan under repair, with the findings so far. ``origin`` holds each instance's index in the plan at first."""

    def __init__(self, plan: Plan, repair: bool, only: set[int] | None):
        self.plan = plan
        self.repair = repair
        self.only = only
        self.findings: list[Finding] = []
        self.origin = list(range(len(plan.layout.instances)))

    def drop(self, check: Callable[[Plan], Iterator[Fault]]) -> None:
        """Repair what should not be there, and note all faults; a drop shifts the rest, so look again after each."""
        while drop := next(((fault, plan) for fault in check(self.plan) if (plan := self._repair(fault))), None):
            fault, plan = drop
            self._note(fault, repaired=True)
            if fault.instance is not None:
                del self.origin[fault.instance]
            self.plan = plan
        for fault in check(self.plan):
            self._note(fault, repaired=False)

    def mend(self, check: Callable[[Plan], Iterator[Fault]]) -> None:
        """Note the faults of instances' places, each once, and repair those whose repair makes nothing else worse."""
        noted: set[tuple[int | None, str]] = set()
        while fault := next((f for f in check(self.plan) if (f.instance, f.sentence) not in noted), None):
            noted.add((fault.instance, fault.sentence))
            mended = self._repair(fault)
            is_better = (
                mended is not None
                and fault.instance is not None
                and mended != self.plan
                and _is_no_worse(self.plan, mended, fault.instance)
            )
            if mended is not None and is_better:
                self.plan = mended
            self._note(fault, is_better)

    def _repair(self, fault: Fault) -> Plan | None:
        """The plan without the fault, None if it may not or cannot be repaired."""
        if not self.repair or fault.mend is None or fault.instance is None:
            return None
        return fault.mend() if self.only is None or self.origin[fault.instance] in self.only else None

    def _note(self, fault: Fault, repaired: bool) -> None:
        index = None if fault.instance is None else self.origin[fault.instance]
        self.findings.append(Finding(kind=fault.kind, instance=index, repaired=repaired, sentence=fault.sentence))


def _is_no_worse(before: Plan, after: Plan, index: int) -> bool:
    """True if no relation is newly broken, and nothing is newly crowded by the repaired instance."""
    broken = broken_relations_in(before)
    if any(relation not in broken for relation in broken_relations_in(after)):
        return False
    old = before.layout.instances[index].extent
    new = after.layout.instances[index].extent
    if old is None or new is None:
        return True
    resting = {index, carrier(after, index), *loads(after, index)}
    for i, instance in enumerate(after.layout.instances):
        at = instance.extent
        if i in resting or at is None:
            continue
        covered = old.intersection(at) / min(old.area, at.area)
        if new.intersection(at) / min(new.area, at.area) > max(CROWDED, covered + SAME_COVER):
            return False
    return True


def _wanted(plan: Plan, exact: Counter[str]) -> Counter[str]:
    """How many of each category there must be, where that is known: as the words count, else from the scene."""
    objects = plan.scene.objects if plan.scene else ()
    return Counter({**Counter(nouns.category_of(item.category) for item in objects), **exact})


def exact_counts(prompt: str) -> Counter[str]:
    """{category: count} for what the words count: "a dog", "three cats"; not "dogs", "some cats"."""
    if not prompt:
        return Counter()
    text = f" {' '.join(prompt.lower().split())} "
    guessed = {nouns.NUMBERS[word] for word in nouns.VAGUE if f" {word} " in text}
    counts: Counter[str] = Counter()
    vague = set()
    for group in _reading(prompt).groups:
        counts[group.category] += group.count
        if group.is_vague or group.count in guessed:
            vague.add(group.category)
    return Counter({category: count for category, count in counts.items() if category not in vague})


def _reading(prompt: str) -> Reading:
    """What a prompt says; nothing where it cannot be read: a chat model may have planned another language."""
    try:
        return read_prompt(prompt) if prompt.strip() else Reading()
    except BadInput:
        return Reading()


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
        arrangement = {"layout": projection.layout, "ids": projection.ids}
        best = _better(best, criticise(first.plan.model_copy(update=arrangement), prompt))
        if not best.open:
            break
    return _with_repaired(first, best, "The scene is arranged anew.")


def _ask_again(first: Critique, prompt: str, planner: Planner, seed: int) -> Critique:
    """What a chat model plans that is told the faults, if that is better."""
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
    layout = second.plan.layout.model_copy(update=caption)
    second = second._replace(plan=second.plan.model_copy(update={"layout": layout}))
    return _with_repaired(first, _better(first, second), "The planner was asked again.")


def _better(first: Critique, second: Critique) -> Critique:
    """The critique with fewer open findings, the first of equal ones."""
    return second if len(second.open) < len(first.open) else first


def _with_repaired(first: Critique, best: Critique, cure: str) -> Critique:
    """The better critique, with what was wrong before it as repaired by the cure."""
    if best is first:
        return first
    still_open = {finding.sentence for finding in best.open}
    mended = [
        finding if finding.repaired else _as_repaired(finding, cure)
        for finding in first.findings
        if finding.sentence not in still_open
    ]
    known = {finding.sentence for finding in first.findings} - still_open
    return best._replace(findings=(*mended, *(f for f in best.findings if f.sentence not in known)))


def _as_repaired(finding: Finding, cure: str) -> Finding:
    return finding.model_copy(update={"repaired": True, "sentence": f"{finding.sentence} {cure}"})
