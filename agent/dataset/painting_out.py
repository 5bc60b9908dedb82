"""What was planned and is not there is painted over, so that no half-painted thing stays without a label."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from agent.dataset.folder import Item
from agent.edit.editable_plan import without_object
from agent.repair.regions import grown, region_of
from evaluators.report import Report, VerdictKind
from instdiff.engine import BatchEngine, Change
from instdiff.formats import layout_to_json
from instdiff.layout import Box, Layout
from instdiff.render_settings import RenderSettings

if TYPE_CHECKING:
    from PIL.Image import Image

GROWTH = 0.1  # share of a place's side that is painted over around it
SURE = 0.5  # what is seen elsewhere with such a score is labelled there
IN_PLACE = (VerdictKind.FOUND, VerdictKind.WRONG_ATTRIBUTE)


def paint_out(
    item: Item, image: Image, engine: BatchEngine, look: Callable[[Image], Report], settings: RenderSettings, seed: int
) -> tuple[Item, Image]:
    """The item and its picture with what is not verified painted over, or as they were where something else went.

    The layout of the item keeps all its instances; ``painted_out`` says which are gone, and its caption names them no
    more. Places are painted with the rest of the layout, and of the picture nothing else changes.

    Args:
        look: gives the report on a picture of the item's layout.
        settings: as the picture was painted.
    """
    layout = item.plan()
    gone = [verdict.instance for verdict in item.report.verdicts if not _is_verified(item.report, verdict.instance)]
    rest = [instance for index, instance in enumerate(layout.instances) if index not in gone]
    if not gone or not rest or not hasattr(engine, "repaint"):
        return item, image
    caption = _caption_without(layout, gone)
    after = layout.with_instances(rest).model_copy(update={"caption": caption})
    regions = tuple(region for index in gone for region in _places(layout, item.report, index))
    painted = engine.repaint([Change(image, after, regions, (), seed)], settings).images[0]
    report = look(painted)
    if not _found(item.report) <= _found(report):
        return item, image
    is_gone = tuple(index for index in gone if not _is_verified(report, index))
    whole = layout.model_copy(update={"caption": caption})
    note = f"Painted out: {', '.join(layout.instances[index].caption for index in is_gone)}."
    update = {"report": report, "painted_out": is_gone, "layout": layout_to_json(whole), "score": report.mean_iou}
    return item.model_copy(update={**update, "notes": (*item.notes, note)}), painted


def _is_verified(report: Report, index: int) -> bool:
    """True if a thing is in its place, or is seen elsewhere with certainty."""
    verdict = next(verdict for verdict in report.verdicts if verdict.instance == index)
    is_elsewhere = verdict.detection is not None and verdict.detection.score >= SURE
    return verdict.kind in IN_PLACE or is_elsewhere


def _found(report: Report) -> set[int]:
    return {verdict.instance for verdict in report.verdicts if verdict.kind in IN_PLACE}


def _places(layout: Layout, report: Report, index: int) -> list[Box]:
    """Where a thing was planned, and where something of it is seen."""
    seen = [verdict.detection.box for verdict in report.verdicts if verdict.instance == index and verdict.detection]
    return [grown(box, GROWTH) for box in (region_of(layout.instances[index]), *seen)]


def _caption_without(layout: Layout, gone: list[int]) -> str:
    """The caption of the picture, which names some of the things no more."""
    caption = layout.caption
    left = [instance.category for instance in layout.instances]
    for index in gone:
        instance = layout.instances[index]
        left.remove(instance.category)
        caption = without_object(caption, instance.caption, instance.category, left.count(instance.category))
    return caption
