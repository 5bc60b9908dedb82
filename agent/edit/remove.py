"""Things go: what stood on them stands where they stood, and the caption speaks of them no more."""

from __future__ import annotations

from agent.edit.editable_plan import Sheet, without_object
from instdiff.world import placement


def remove(sheet: Sheet, name: str) -> None:
    """Take one thing away."""
    instance = sheet.instances[name]
    loads = sheet.loads_of(name)
    category = sheet.objects[name].category
    left = sum(item.category == category for item in sheet.objects.values()) - 1
    sheet.caption = without_object(sheet.caption, instance.caption, category, left)
    below = sheet.box(name)
    top = placement.surface(sheet.plan(), sheet.index(name)) if instance.extent else below.y0
    sheet.remove(name)
    for load in loads:
        box = sheet.box(load)
        sheet.put(load, placement.frame(box.centre.x, box.y1 + below.y1 - top, box.width, box.height))
    sheet.settle |= set(loads)
    sheet.notes.append(f"Removed {instance.caption}.")
