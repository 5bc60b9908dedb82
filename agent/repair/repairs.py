"""The coming repairs of a picture: for what failed the next moves, and the regions that they paint anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from agent.planners.plan import Plan
from agent.repair.failures import Failure, FailureKind
from agent.repair.records import Step
from agent.repair.regions import covered_share, grown, region_of
from agent.repair.routes import ROUTES, Move
from evaluators.report import Report, VerdictKind
from instdiff.layout import Box, Layout
from instdiff.values import Value

AT_ONCE = 3  # repairs that are begun in one round, in one batch; only the most promising is finished
GROWTH = (0.15, 0.3, 0.6, 1.0)  # how far a region reaches beyond a place, of its sides, after so many moves


class Repair(Value):
    """One way to mend a picture.

    Attributes:
        steps: what is done, for each thing that failed.
        plan: what is to be seen afterwards.
        regions: where the picture is painted anew; none where the plan alone changes.
        apart: indices of the instances that are painted anew.
        anew: the whole picture is painted anew, from another plan or other noise.
    """

    steps: tuple[Step, ...]
    plan: Plan
    regions: tuple[Box, ...] = ()
    apart: tuple[int, ...] = ()
    anew: bool = False

    @property
    def share(self) -> float:
        """How much of the picture is painted anew, 0..1."""
        return 1.0 if self.anew else covered_share(self.regions)


def next_repairs(
    plan: Plan,
    failures: Sequence[Failure],
    tried: Collection[tuple[str, str]],
    given: bool = False,
    count: int = AT_ONCE,
) -> list[Repair]:
    """The next ways to mend a picture, at most ``count``; none where all are spent.

    Each takes the next move of every thing that failed, as far as it has one; the k-th repair the k-th of them.

    Args:
        plan: of the picture, with its mis and alpha.
        failures: what is wrong with it.
        tried: (thing, move) of earlier rounds, which are not tried again.
        given: the layout was given, and stays as it is.
    """
    coming = {failure: _coming(plan, failure, tried, given) for failure in failures}
    repairs = []
    for number in range(count):
        now = {failure: moves[number] for failure, moves in coming.items() if number < len(moves)}
        if now:
            repairs.append(_repair(plan, now, tried))
    return repairs


def _coming(plan: Plan, failure: Failure, tried: Collection[tuple[str, str]], given: bool) -> list[Move]:
    """The moves that a failure has left, in their order."""
    return [
        move
        for move in ROUTES[failure.kind]
        if (failure.tag, move.name) not in tried
        and not (given and move.changes_plan)
        and move.make(plan, failure) is not None
    ]


def _repair(plan: Plan, moves: dict[Failure, Move], tried: Collection[tuple[str, str]]) -> Repair:
    """All moves made, one after the other; what one would change back is left out."""
    after = plan
    steps = []
    regions: list[Box] = []
    apart = []
    for failure, move in moves.items():
        moved = move.make(after, failure)
        if moved is None:
            continue
        steps.append(Step(thing=failure.tag, failure=failure.kind.value, move=move.name))
        if move.paints:
            before = sum(thing == failure.tag for thing, _ in tried)
            regions += _regions(after, moved, failure, GROWTH[min(before, len(GROWTH) - 1)])
            apart += [failure.verdict.instance] if failure.verdict else []
        after = moved
    return Repair(steps=tuple(steps), plan=after, regions=tuple(regions), apart=tuple(apart))


def _regions(before: Plan, after: Plan, failure: Failure, growth: float) -> list[Box]:
    """Where a thing was planned, is planned now, and where it is seen instead, each with what is around it."""
    if failure.extra:
        return [grown(failure.extra.box, growth)]
    assert failure.verdict
    index = failure.verdict.instance
    places = [region_of(plan.layout.instances[index]) for plan in (before, after)]
    if failure.kind is FailureKind.MISPLACED and failure.verdict.detection:
        places.append(failure.verdict.detection.box)
    return [grown(place, growth) for place in dict.fromkeys(places)]


def is_better(before: tuple[Layout, Report], after: tuple[Layout, Report]) -> bool:
    """True if everything that was found is still found, and more is, or less that is not planned is seen.

    The instances of one plan are known by their places in it; those of another one by their names: of two planned dogs
    as many must be found as before.
    """
    names = [[instance.name.lower() for instance in layout.instances] for layout, _ in (before, after)]
    same = names[0] == names[1]
    found = [
        Counter(
            verdict.instance if same else own[verdict.instance]
            for verdict in report.verdicts
            if verdict.kind is VerdictKind.FOUND
        )
        for own, (_, report) in zip(names, (before, after), strict=True)
    ]
    return not found[0] - found[1] and _rank(after[1]) > _rank(before[1])


def _rank(report: Report) -> tuple[float, int]:
    """Share found, then few extras."""
    return (report.found / report.checked if report.checked else 0.0, -len(report.extras))
