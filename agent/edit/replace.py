"""Something else in the place of what is there: "replace the bowl with two round pears"."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from agent.edit.additions import add, add_groups, compared_size, ids_of_groups, new_object, read_new
from agent.edit.editable_plan import Sheet, counted_together, numbered, with_other_phrase
from agent.edit.move import exchange_ends
from agent.edit.place import scale_of
from agent.edit.referents import is_noun
from agent.edit.remove import remove
from agent.planners.english.parts import Group, Reading
from agent.planners.english.words import SIZES
from instdiff.errors import BadInput
from instdiff.layout import Box
from instdiff.world import placement
from instdiff.world.scene import SceneObject

MOST_GROWTH = 2.5  # what takes the place of something else covers at most so much more
ROW_GROWTH = 1.6  # a row of things is at most so much wider than the one whose place they take
MOST_COVERED = 0.05  # of the area of the old thing: what a larger one may cover of others besides
GAP = 0.06  # between the things of a row, of their width


def replace(sheet: Sheet, names: list[str], words: str, each: bool = False) -> None:
    """Something else with its foot where the old thing had it, as large as it really is at that distance.

    Several things take the place of one side by side, and those of a number that is not said are one for each.

    Args:
        each: the words name what takes the place of each of the old things.

    Raises:
        BadInput: the words name nothing, or what is there already.
    """
    reading = read_new(sheet, words)
    if words.startswith("the ") and is_noun(sheet, words):
        cure = f'say "a {words[4:]}" for another one, or swap the two'
        raise BadInput("edit", f'"{words}" is there already; {cure}')
    placed = {subject for subject, *_ in (*reading.relations, *reading.places, *reading.between)}
    there = {index for index, found in ids_of_groups(sheet, reading, words).items() if found}
    carriers = {target for subject, _, target in reading.relations if subject == 0} - there
    if 0 in placed and not carriers:  # "with a cat on the sofa": elsewhere
        for name in names:
            remove(sheet, name)
        return add(sheet, words)
    bound = placed - carriers | {held for _, held in reading.hosts}  # "with a cactus in a pot": the pot has the place
    roots = [index for index in range(len(reading.groups)) if index not in bound]
    ids: dict[int, tuple[str, ...]] = dict.fromkeys(range(len(reading.groups)), ())
    shares = _shares(reading, roots, len(names), each)
    for name, share in zip(list(names), shares, strict=True):
        groups = [reading.groups[index] for index in share]
        for index, new in zip(share, _replace_one(sheet, name, groups, words), strict=True):
            ids[index] = (*ids[index], new)
    for caption in dict.fromkeys(sheet.instances[new].caption for news in ids.values() for new in news):
        sheet.caption = counted_together(sheet.caption, caption)
    last = [new for index in roots for new in ids[index]]
    if not all(ids.values()):
        add_groups(sheet, reading, words, ids)
        called = sheet.instances[last[0]].caption
        sheet.caption = with_other_phrase(sheet.caption, called, sheet.objects[last[0]].category, words)
    sheet.last = last
    return None


def _shares(reading: Reading, roots: list[int], old: int, each: bool) -> list[list[int]]:
    """For each old thing the groups that new ones in its place are of, one for each new thing."""
    groups = reading.groups
    if each and all(groups[index].count == 1 or groups[index].is_vague for index in roots):
        return [list(roots) for _ in range(old)]
    one_each = old > 1 and len(roots) == 1 and groups[roots[0]].is_vague
    units = roots * old if one_each else [index for index in roots for _ in range(groups[index].count)]
    whole, rest = divmod(len(units), old)
    shares = []
    for at in range(old):
        share = whole + (at < rest)
        shares.append(units[:share])
        units = units[share:]
    return shares


def _replace_one(sheet: Sheet, name: str, groups: Sequence[Group], words: str) -> list[str]:
    """Things of these groups in the place of one; their ids. Without a group it goes."""
    if not groups:
        remove(sheet, name)
        return []
    old = sheet.instances[name]
    category = sheet.objects[name].category
    position = sheet.index(name)
    loads = sheet.loads_of(name)
    bound = [relation for relation in sheet.relations if name in (relation.subject, relation.object)]
    box = sheet.box(name)
    scale = scale_of(sheet, name)
    items: list[SceneObject] = []
    sizes: list[tuple[float, float]] = []
    sheet.remove(name)
    for group in groups:
        item = new_object(sheet, group, words)
        alone = len(groups) == 1
        sizes.append(_size(sheet, item, box, scale, category if alone else "", compared_size(group, words)))
        items.append(item)
        sheet.add(item, box)
    others = [sheet.box(key) for key in sheet.order if key not in {item.id for item in items}]
    for at, (item, place) in enumerate(zip(items, _row(box, sizes, others), strict=True)):
        sheet.put(item.id, place)
        sheet.order.remove(item.id)
        sheet.order.insert(position + at, item.id)
        sheet.relate([exchange_ends(relation, name, item.id) for relation in bound], {item.id})
        sheet.relate([], {item.id})
    called = _called(items)
    sheet.caption = with_other_phrase(sheet.caption, old.caption, category, called)
    _set_down(sheet, items[len(items) // 2].id, loads)
    sheet.notes.append(f"Replaced {old.caption} with {called}.")
    return [item.id for item in items]


def _size(
    sheet: Sheet, item: SceneObject, box: Box, scale: float, category: str, compared: float | None
) -> tuple[float, float]:
    """(width, height) of a new thing: that of the old box for the same kind of thing, else of its metres there."""
    if item.category == category:
        factor = compared or prod(SIZES.get(word, 1.0) for word in item.caption.split())
        return box.width * factor, box.height * factor
    metre = scale / sheet.aspect
    width = item.width_m * metre
    height = item.height_m * metre * sheet.aspect
    fit = min(
        max(1.0, placement.SHORTEST_SIDE / min(width, height)),
        placement.LONGEST_SIDE / max(width, height),
        (MOST_GROWTH * box.area / (width * height)) ** 0.5,
    )
    if compared:  # "with a smaller cat": than the old thing
        bound = (box.area * compared**2 / (width * height)) ** 0.5
        fit = min(fit, bound) if compared < 1 else max(fit, bound)
    return width * fit, height * fit


def _row(box: Box, sizes: Sequence[tuple[float, float]], others: Sequence[Box]) -> list[Box]:
    """Boxes side by side on the foot of another one, about its middle.

    They are made smaller where they are too many, and where a large one would cover what the old one did not.
    """
    if len(sizes) == 1:
        return [_alone(box, sizes[0], others)]
    total = sum(width for width, _ in sizes) * (1 + GAP)
    least = len(sizes) * placement.SHORTEST_SIDE * (1 + GAP)
    fit = min(1.0, max(ROW_GROWTH * box.width, least) / total)
    total *= fit
    edge = 1 - placement.MARGIN
    x = min(max(box.centre.x - total / 2, placement.MARGIN), max(edge - total, placement.MARGIN))
    boxes = []
    for width, height in sizes:
        step = width * fit * (1 + GAP)
        boxes.append(placement.frame(x + step / 2, box.y1, width * fit, height * fit))
        x += step
    return boxes


def _alone(box: Box, size: tuple[float, float], others: Sequence[Box]) -> Box:
    """A box on the foot of another one, smaller where it would cover more of others, but not below the old area."""
    width, height = size
    covered = sum(map(box.intersection, others))
    for _ in range(20):
        alone = placement.frame(box.centre.x, box.y1, width, height)
        if sum(map(alone.intersection, others)) <= covered + MOST_COVERED * box.area or (
            alone.area < 0.9 * box.area and alone.width <= ROW_GROWTH * box.width
        ):
            break
        width *= 0.93
        height *= 0.93
    return alone


def _called(items: Sequence[SceneObject]) -> str:
    """ "two round pears and a cup": what the things of a row are called together."""
    captions = [item.caption for item in items]
    return " and ".join(numbered(caption, captions.count(caption)) for caption in dict.fromkeys(captions))


def _set_down(sheet: Sheet, name: str, loads: list[str]) -> None:
    """What was carried stands on the new surface, if it still is over it."""
    top = placement.surface(sheet.plan(), sheet.index(name))
    below = sheet.box(name)
    for load in loads:
        box = sheet.box(load)
        x = min(max(box.centre.x, below.x0), below.x1)
        sheet.put(load, placement.frame(x, top, box.width, box.height))
        sheet.settle.add(load)
