"""What is different between the plans of two rounds, in sentences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from agent.show import place
from instdiff.layout import Instance, Layout


def changes(before: Layout, after: Layout) -> list[str]:
    """One sentence for each thing that came, went, moved or was described otherwise; boxes are x0 y0 x1 y1 in pixels."""
    said = [sentence for old, new in _pairs(before, after) for sentence in _changed(old, new, before, after)]
    if before.caption != after.caption:
        said.append(f"the caption was: {before.caption}")
    return said


def _pairs(before: Layout, after: Layout) -> Iterator[tuple[Instance | None, Instance | None]]:
    """Things of one name are taken for each other in their order."""
    left: dict[str, list[Instance]] = defaultdict(list)
    for instance in before.instances:
        left[instance.name].append(instance)
    for instance in after.instances:
        yield (left[instance.name].pop(0) if left[instance.name] else None), instance
    for rest in left.values():
        yield from ((instance, None) for instance in rest)


def _changed(old: Instance | None, new: Instance | None, before: Layout, after: Layout) -> Iterator[str]:
    if old is None:
        yield f"{new.name}: new, at {place(new, after)}"
    elif new is None:
        yield f"{old.name}: gone"
    else:
        if place(old, before) != place(new, after):
            yield f"{new.name}: from {place(old, before)} to {place(new, after)}"
        if old.caption != new.caption:
            yield f"{new.name}: described as {new.caption}, before as {old.caption}"
