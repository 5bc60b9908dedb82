"""Where a picture is painted anew for another plan of it, or because a person says that something is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from agent.repair.regions import grown, region_of
from instdiff.errors import BadInput
from instdiff.layout import Box, Layout

GROWTH = 0.15  # how far a region reaches beyond a place, of its sides


class Changed(NamedTuple):
    """Regions of a picture, the indices of the instances that are painted anew in them, and what goes from there."""

    regions: tuple[Box, ...]
    apart: tuple[int, ...] = ()
    gone: tuple[str, ...] = ()


def changed_between(before: Layout, after: Layout) -> Changed:
    """Where things that are not as before were, and are now; nothing where no thing is another."""
    gone = list(before.instances)
    new = []
    for index, instance in enumerate(after.instances):
        if instance in gone:
            gone.remove(instance)
        else:
            new.append(index)
    places = [region_of(instance) for instance in (*gone, *(after.instances[index] for index in new))]
    left = {instance.name for instance in after.instances}
    names = dict.fromkeys(instance.name for instance in gone if instance.name not in left)
    return Changed(tuple(grown(place, GROWTH) for place in dict.fromkeys(places)), tuple(new), tuple(names))


def regions_of_things(layout: Layout, names: Sequence[str]) -> Changed:
    """Where things are that a person names: "lamp" is every lamp, "lamp 2" the second thing of the layout.

    Raises:
        BadInput: there is no such thing.
    """
    chosen: list[int] = []
    for name in names:
        wanted = _on_one_line(name)
        fitting = [
            index
            for index, own in enumerate(_on_one_line(instance.name) for instance in layout.instances)
            if wanted in (own, f"{own} {index + 1}", str(index + 1))
        ]
        if not fitting:
            every = ", ".join(f"{instance.name} {index}" for index, instance in enumerate(layout.instances, 1))
            raise BadInput("thing", f'"{name}" is not on the picture; there are {every or "no things"}')
        chosen += fitting
    indices = tuple(dict.fromkeys(chosen))
    return Changed(tuple(grown(region_of(layout.instances[index]), GROWTH) for index in indices), indices)


def _on_one_line(name: str) -> str:
    return " ".join(name.lower().split())
