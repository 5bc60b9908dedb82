"""A look at a layout before paint is spent: what has one right repair is repaired, the rest is said.

The geometric checks need nothing but boxes; what a scene says of its objects and relations is used where there is one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from agent.critic import checks
from agent.critic.checks import Fault, FindingKind, tag
from agent.planners.plan import Plan
from instdiff.values import Value, Words
from instdiff.world import nouns, placement
from instdiff.world.relations import broken_in
from instdiff.world.scene import Scene

SAME_PLACE = 0.8  # IoU of two things that are one


class Finding(Value):
    """One thing that is wrong: ``instance`` counts from 0 in the plan that was looked at, None for the whole plan."""

    kind: FindingKind
    instance: int | None = None
    repaired: bool = False
    sentence: Words


class Critique(NamedTuple):
    """The plan, repaired where there is one right repair, and what was found."""

    plan: Plan
    findings: tuple[Finding, ...]

    @property
    def open(self) -> tuple[Finding, ...]:
        """What is still wrong."""
        return tuple(finding for finding in self.findings if not finding.repaired)

    def noted(self) -> Plan:
        """The plan with what was found in its notes, for where nothing else is shown."""
        found = (f"{'repaired' if f.repaired else f.kind}: {f.sentence}" for f in self.findings)
        return self.plan.model_copy(update={"notes": (*self.plan.notes, *found)})


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
    findings = []
    origin = list(range(len(plan.layout.instances)))
    for check in (_forbidden, _duplicates, _counts):
        while True:  # what is dropped shifts the rest, so look again after each
            faults = list(check(plan, prompt))
            drop = next((f for f in faults if f.mend and repair and (only is None or origin[f.index] in only)), None)
            if drop is None:
                findings += [_finding(fault, origin, False) for fault in faults]
                break
            plan = drop.mend()
            findings.append(_finding(drop, origin, True))
            if len(plan.layout.instances) < len(origin):
                del origin[drop.index]
    for check in (checks.out_of_frame, checks.slivers, checks.relations, checks.floating, checks.sizes, checks.hidden):
        done: set[tuple] = set()
        while fault := next((f for f in check(plan) if (f.index, f.sentence) not in done), None):
            done.add((fault.index, fault.sentence))
            wanted = fault.mend and repair and (only is None or origin[fault.index] in only)
            mended = fault.mend() if wanted else None
            repaired = mended is not None and mended != plan and _no_worse(plan, mended, fault.index)
            plan = mended if repaired else plan
            findings.append(_finding(fault, origin, repaired))
    return Critique(plan, tuple(findings))


def _finding(fault: Fault, origin: list[int], repaired: bool) -> Finding:
    index = None if fault.index is None else origin[fault.index]
    return Finding(kind=fault.kind, instance=index, repaired=repaired, sentence=fault.sentence)


def _no_worse(before: Plan, after: Plan, index: int) -> bool:
    """True if no relation is newly broken, and nothing is newly crowded by the repaired instance."""
    known = broken_in(before)
    if any(relation not in known for relation in broken_in(after)):
        return False
    old = before.layout.instances[index].extent
    new = after.layout.instances[index].extent
    resting = {placement.carrier(after, index), *placement.loads(after, index)}
    for i, other in enumerate(after.layout.instances):
        if i == index or i in resting or other.extent is None or old is None:
            continue
        covered = old.intersection(other.extent) / min(old.area, other.extent.area)
        if new.intersection(other.extent) / min(new.area, other.extent.area) > max(0.5, covered + 0.05):
            return False
    return True


def _without(plan: Plan, index: int) -> Plan:
    """The plan without an instance, and its scene without the object behind it if no other instance shows it."""
    kept = [instance for i, instance in enumerate(plan.layout.instances) if i != index]
    ids = tuple(name for i, name in enumerate(plan.ids) if i != index)
    scene = plan.scene
    if scene and index < len(plan.ids) and (gone := plan.ids[index]) not in ids:
        relations = tuple(r for r in scene.relations if gone not in (r.subject, r.object))
        scene = Scene.parse(
            {**dict(scene), "objects": tuple(o for o in scene.objects if o.id != gone), "relations": relations}
        )
    return plan.model_copy(update={"layout": plan.layout.with_instances(kept), "ids": ids, "scene": scene})


def _forbidden(plan: Plan, prompt: str) -> Iterator[Fault]:
    absent = set(plan.scene.absent) if plan.scene else set(_reading(prompt).absent if prompt else ())
    absent = {nouns.category_of(name) for name in absent}
    for index, instance in enumerate(plan.layout.instances):
        if (category := nouns.category_of(instance.name)) in absent:
            sentence = f"{tag(plan, index)} must not be there: the words exclude {category}."
            yield Fault(FindingKind.FORBIDDEN, index, sentence, lambda index=index: _without(plan, index))


def _duplicates(plan: Plan, prompt: str) -> Iterator[Fault]:
    wanted = _wanted(plan, prompt)
    have = Counter(nouns.category_of(instance.name) for instance in plan.layout.instances)
    boxes = [(i, instance.extent) for i, instance in enumerate(plan.layout.instances) if instance.extent]
    for position, (index, box) in enumerate(boxes):
        category = nouns.category_of(plan.layout.instances[index].name)
        twin = next(
            (i for i, other in boxes[:position] if box.iou(other) >= SAME_PLACE and _category(plan, i) == category),
            None,
        )
        if twin is None:
            continue
        sentence = f"{tag(plan, index)} lies on {tag(plan, twin)}: the same thing in the same place."
        alike = plan.layout.instances[index].caption == plan.layout.instances[twin].caption
        drop = have[category] > wanted[category] if category in wanted else alike
        yield Fault(
            FindingKind.DUPLICATE, index, sentence, (lambda index=index: _without(plan, index)) if drop else None
        )


def _category(plan: Plan, index: int) -> str:
    return nouns.category_of(plan.layout.instances[index].name)


def _counts(plan: Plan, prompt: str) -> Iterator[Fault]:
    wanted = _wanted(plan, prompt)
    have = Counter(_category(plan, i) for i in range(len(plan.layout.instances)))
    for category, count in wanted.items():
        if have[category] == count:
            continue
        sentence = f"{have[category]} x {category} planned, and the words ask for {count}."
        surplus = have[category] - count
        if surplus < 0:
            yield Fault(FindingKind.COUNT, None, sentence)
            continue
        of_it = [i for i in range(len(plan.layout.instances)) if _category(plan, i) == category]
        # only what is shown twice is surely too much; which of five dogs goes if four are asked for is a choice
        twice = [i for i in of_it if i < len(plan.ids) and plan.ids[i] in plan.ids[:i]]
        index = twice[-1] if twice else of_it[-1]
        yield Fault(FindingKind.COUNT, index, sentence, (lambda index=index: _without(plan, index)) if twice else None)


def _reading(prompt: str):
    from agent.planners.grammar.reader import Reader

    return Reader(prompt).read()


def _wanted(plan: Plan, prompt: str) -> Counter:
    """How many of each category there must be, where that is known: as the words count, else from the scene."""
    planned = Counter(nouns.category_of(item.category) for item in plan.scene.objects) if plan.scene else Counter()
    return Counter({**planned, **(exact_counts(prompt) if prompt else {})})


def exact_counts(prompt: str) -> Counter:
    """{category: count} for what the words count: "a dog", "three cats"; not "dogs", "some cats"."""
    text = f" {' '.join(prompt.lower().split())} "
    guessed = {nouns.NUMBERS[word] for word in nouns.VAGUE if f" {word} " in text}
    counts = Counter()
    vague = set()
    for group in _reading(prompt).groups:
        counts[group.category] += group.count
        vague |= {group.category} if group.is_vague or group.count in guessed else set()
    return Counter({category: count for category, count in counts.items() if category not in vague})
