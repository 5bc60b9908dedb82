"""Things that are there get another size: "twice as large", "slightly smaller", "as tall as the lamp"."""

from __future__ import annotations

from math import prod

from agent.edit.amounts import Growth, growth_of
from agent.edit.editable_plan import Sheet, with_adjectives, with_other_phrase, without_sizes
from agent.edit.move import bring
from agent.edit.referents import find
from instdiff.errors import BadInput
from instdiff.world import placement

SMALLEST = 0.03
LARGEST = 0.96  # sides that a thing can be given
SAID = 1.24  # a thing that grows or shrinks by so much is called large or small
LEAST_CHANGE = 0.02
MARGIN = 1.1  # how much larger than another thing one is that is to be larger


def resize(sheet: Sheet, name: str, words: str) -> bool:
    """Make one thing larger or smaller on its foot; False if the words give no size.

    Raises:
        BadInput: it fills the picture already, or the words compare it with what is not there.
    """
    growth = growth_of(words)
    if growth is None:
        return False
    box = sheet.box(name)
    loads = sheet.loads_of(name)
    if any(growth.pixels):
        factor = fit = 1.0
        width, height = _sides_in_pixels(sheet, name, growth)
    else:
        factor = _factor(sheet, name, growth)
        fit = min(factor, max(1.0, min(LARGEST / side for side in _changed(box.width, box.height, growth))))
        width, height = (
            max(side * fit, min(SMALLEST, side)) if growth.side in ("", which) else side
            for side, which in ((box.width, "width"), (box.height, "height"))
        )
    if max(abs(width / box.width - 1), abs(height / box.height - 1)) < LEAST_CHANGE:
        what = sheet.instances[name].caption or name
        raise BadInput("edit", f"{what} cannot be {words}: it has that size already, or no more room on the picture")
    foot = box.centre.y + height / 2 if sheet.objects[name].hangs else box.y1
    sheet.put(name, placement.frame(box.centre.x, foot, width, height))
    bring(sheet, loads, box, sheet.box(name), top=True)
    sheet.relate([], {name, *loads})
    change = f"{width / box.width:.2f} times as wide and {height / box.height:.2f} times as high"
    limit = ", as the picture has no room for more" if fit < factor else ""
    sheet.notes.append(f"{sheet.instances[name].caption} is {change}{limit}.")
    if not growth.side and not any(growth.pixels):
        _call_by_size(sheet, name, factor)
    return True


def _sides_in_pixels(sheet: Sheet, name: str, growth: Growth) -> tuple[float, float]:
    """Width and height as fractions of the picture, of sizes in pixels.

    Raises:
        BadInput: the thing would be too small to be painted, or larger than the picture.
    """
    box = sheet.box(name)
    layout = sheet.start.layout
    sides: list[float] = []
    for side, pixels, whole in zip((box.width, box.height), growth.pixels, layout.size, strict=True):
        asked = (side if growth.is_more else 0.0) + pixels / whole if pixels else side
        if not SMALLEST <= asked <= 1 and asked != side:
            what = sheet.instances[name].caption or name
            least = f"{SMALLEST * whole:.0f} to {whole} pixels"
            raise BadInput("edit", f"{what} would have a side of {asked * whole:.0f} pixels; {least} are painted")
        sides.append(asked)
    return sides[0], sides[1]


def _changed(width: float, height: float, growth: Growth) -> list[float]:
    """The sides that change."""
    return [side for side, which in ((width, "width"), (height, "height")) if growth.side in ("", which)]


def _factor(sheet: Sheet, name: str, growth: Growth) -> float:
    """Of its own size; a size that is compared with another thing's is that of its box."""
    if not growth.other:
        return growth.factor
    others = [other for other in find(sheet, growth.other) if other != name]
    if len(others) != 1:
        raise BadInput("edit", f'"{growth.other}" is not one other thing; say it like "as large as the dog"')
    own = _changed(sheet.box(name).width, sheet.box(name).height, growth)
    at = _changed(sheet.box(others[0]).width, sheet.box(others[0]).height, growth)
    ratio = (prod(at) / prod(own)) ** (1 / len(own))
    if not growth.at_least:
        return ratio * growth.factor
    return max(growth.factor, ratio * MARGIN) if growth.factor > 1 else min(growth.factor, ratio / MARGIN)


def _call_by_size(sheet: Sheet, name: str, factor: float) -> None:
    """The words of the captions must not speak against the size."""
    old = sheet.instances[name].caption or sheet.objects[name].category
    if 1 / SAID < factor < SAID:
        new = without_sizes(old, larger=factor < 1)
    else:
        new = with_adjectives(old, ["small" if factor < 1 else "large"])
    if new != old:
        sheet.caption = with_other_phrase(sheet.caption, old, sheet.objects[name].category, new)
        sheet.describe(name, new)
