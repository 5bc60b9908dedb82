"""What is wrong with a picture, thing by thing, as the report on it says."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from agent.repair.regions import region_of
from evaluators.questions import names_to_ask_for, visible_part
from evaluators.report import Detection, Report, Verdict, VerdictKind
from instdiff.layout import Box, Layout

ON_IT = 0.3  # what shares more of its box with a planned place is not another thing beside it
HIDDEN = 0.5  # a missing thing of which the plan leaves less than this share in sight is hidden


class FailureKind(StrEnum):
    """What can be wrong with a thing on a picture."""

    MISSING = "missing"
    HIDDEN = "hidden"
    MISPLACED = "misplaced"
    WRONG_ATTRIBUTE = "wrong attribute"
    EXTRA = "one too many"


class Failure(NamedTuple):
    """One thing that is wrong.

    Attributes:
        tag: how a person knows the thing: "lamp 2".
        verdict: on the planned thing; None for what is not planned.
        extra: what is seen and not planned; None for a planned thing.
    """

    kind: FailureKind
    tag: str
    verdict: Verdict | None = None
    extra: Detection | None = None


def failures_of(
    layout: Layout, report: Report, within: Sequence[Box] | None = None, unwanted: Collection[str] = ()
) -> Iterator[Failure]:
    """What failed: planned things that are not found, then things of a planned kind that are one too many.

    Other extras are left as they are: a picture may show more than was asked for, and what lies on a planned thing is
    most often a part of it, or two of them seen as one.

    Args:
        within: only what touches one of these regions; None is everything.
        unwanted: categories that must not be seen at all.
    """

    def is_asked(place: Box) -> bool:
        return within is None or any(place.intersection(region) > 0 for region in within)

    for verdict in report.verdicts:
        kind = _kind(layout, verdict)
        if kind and is_asked(region_of(layout.instances[verdict.instance])):
            yield Failure(kind, tag(layout, verdict.instance), verdict)
    names = (*(instance.name for instance in layout.instances), *names_to_ask_for(layout))
    planned = {name.lower() for name in names}
    places = [region_of(instance) for instance in layout.instances]

    def is_too_much(extra: Detection) -> bool:
        is_another = extra.category.lower() in planned and _is_apart(extra.box, places)
        return extra.category in unwanted or is_another

    for number, extra in enumerate(filter(is_too_much, report.extras), 1):
        if is_asked(extra.box):
            yield Failure(FailureKind.EXTRA, f"extra {extra.category} {number}", extra=extra)


def _is_apart(seen: Box, places: Sequence[Box]) -> bool:
    """True if most of what is seen lies on no planned thing."""
    return all(seen.intersection(place) < ON_IT * seen.area for place in places)


def tag(layout: Layout, index: int) -> str:
    """How a person knows an instance: "lamp 2"."""
    return f"{layout.instances[index].name} {index + 1}"


def _kind(layout: Layout, verdict: Verdict) -> FailureKind | None:
    match verdict.kind:
        case VerdictKind.MISSING:
            return FailureKind.HIDDEN if _is_hidden(layout, verdict.instance) else FailureKind.MISSING
        case VerdictKind.MISPLACED:
            return FailureKind.MISPLACED
        case VerdictKind.WRONG_ATTRIBUTE:
            return FailureKind.WRONG_ATTRIBUTE
    return None


def _is_hidden(layout: Layout, index: int) -> bool:
    place = layout.instances[index].extent
    if place is None:
        return False
    nearer = [other.extent for other in layout.instances if other.extent and other.extent.y1 > place.y1]
    visible = visible_part(place, nearer)
    return visible is None or visible.area < HIDDEN * place.area
