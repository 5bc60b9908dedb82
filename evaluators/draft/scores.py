"""The figures of one row of the draft benchmark, the table of all rows, and what presets gain and lose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evaluators.attributes import ratio, right_shares
from evaluators.coco.figures import coco_figures
from evaluators.draft.held_out import HeldOutLayout
from evaluators.gallery import Detections
from evaluators.matching import match
from evaluators.pim import KINDS, pim
from evaluators.report import FOUND_IOU, Detection
from evaluators.reporting import Table, figure_at, percent
from instdiff.layout import Layout
from instdiff.render_settings import RenderSettings

if TYPE_CHECKING:
    from instdiff.engine import PipelineEngine

COUNTS = {"1-2 instances": (1, 2), "3-5 instances": (3, 5), "6 or more": (6, 99)}
SMALL = (32 / 512) ** 2
LARGE = (96 / 512) ** 2  # shares of the picture
UPPER_BOUND = "composites"
METRICS = {
    "box AP": "box.ap",
    "box AP50": "box.ap50",
    "box AR100": "box.ar100",
    "mask AP": "mask.ap",
    "mask AP50": "mask.ap50",
    "points in mask": "pim.point",
    "scribbles in mask": "pim.scribble",
    "points in mask, as published": "pim_as_published.point",
    "scribbles in mask, as published": "pim_as_published.scribble",
    "colour right, of all": "colour.of_all",
    "colour right, of found": "colour.of_found",
    "texture right, of all": "texture.of_all",
    "texture right, of found": "texture.of_found",
    "recall@0.5": "recall.all",
    **{f"recall@0.5, {name}": f"recall.{name}" for name in (*COUNTS, "small", "medium", "large")},
}
REPEATS = 3
TIMED = 8  # pictures that are painted to take the time, in one batch
SET_BY_PRESET = {
    "steps": "num_inference_steps",
    "scheduler": "scheduler",
    "guidance every": "guidance_every",
    "inner every": "inner_every",
}
JUDGED = ("box AP50", "recall@0.5", "colour right, of all")


@dataclass(frozen=True)
class _Outcome:
    """What became of one planned instance."""

    is_found: bool
    layout_size: int  # how many instances the layout has
    share: float  # of the picture, that its box covers
    colour: bool | None  # None where no colour is asked for
    texture: bool | None


def row_figures(
    held_out: Sequence[HeldOutLayout],
    detections: Detections,
    size: tuple[int, int],
    places: Sequence[str],
    canonical: Callable[[str], str | None],
) -> dict:
    """All figures of a row, 0..1, None where one does not apply.

    AP, and points in mask as published (see `evaluators.pim.image_pim`), are of everything the judge saw; the rest is
    of what it is sure of. A planned instance is found if it is assigned a detection of its category with a box IoU of
    at least 0.5 (see `evaluators.matching.match`). Colours and textures count as right where the instance is found and
    the judge says the same word. Small and large are instances whose box covers less than (32/512)^2 and at least
    (96/512)^2 of the picture.

    Args:
        size: (width, height) in pixels of the pictures.
        places: what the painter was told, of which masks, points and scribbles have figures of their own; all for the
            upper bound.
        canonical: the judge's own word for a category.
    """
    truths = [layout.truth(size) for layout in held_out]
    outcomes: list[_Outcome] = []
    for layout, truth, sure in zip(held_out, truths, detections.sure, strict=True):
        outcomes += _outcomes(layout, truth, sure, canonical)
    kinds = [kind for kind in KINDS if kind in places]
    conditioned = {kind: [layout.conditioned(kind, size) for layout in held_out] for kind in kinds}
    published = {kind: pim(truths, detections.everything, kind, "paper") for kind in kinds}
    return {
        "box": coco_figures(truths, detections.everything, "box"),
        "mask": coco_figures(truths, detections.everything, "mask") if "mask" in places else None,
        "pim": {kind: pim(conditioned[kind], detections.sure, kind) if kind in kinds else None for kind in KINDS},
        "pim_as_published": {kind: published.get(kind) for kind in KINDS},
        "colour": _accuracy(outcomes, "colour"),
        "texture": _accuracy(outcomes, "texture"),
        "recall": _recalls(outcomes),
        "instances": len(outcomes),
    }


def _outcomes(
    held_out: HeldOutLayout, truth: Layout, sure: Sequence[Detection], canonical: Callable[[str], str | None]
) -> list[_Outcome]:
    """What became of the instances of one layout."""
    outcomes = []
    count = len(held_out.scene.instances)
    verdicts = match(truth, sure, canonical, FOUND_IOU).verdicts
    for stored, verdict in zip(held_out.scene.instances, verdicts, strict=True):
        detection = verdict.detection if verdict.iou >= FOUND_IOU else None
        colour = None if not stored.colour else detection is not None and detection.colour == stored.colour
        texture = None if not stored.texture else detection is not None and detection.texture == stored.texture
        outcomes.append(_Outcome(detection is not None, count, stored.box.area, colour, texture))
    return outcomes


def _accuracy(outcomes: Sequence[_Outcome], look: str) -> dict:
    """How many of those with a colour (or texture) have the right one."""
    asked = [outcome for outcome in outcomes if getattr(outcome, look) is not None]
    in_place = [outcome for outcome in asked if outcome.is_found]
    right = sum(getattr(outcome, look) for outcome in asked)
    return right_shares(len(asked), len(in_place), right)


def _recalls(outcomes: Sequence[_Outcome]) -> dict:
    """The share that was found: of all, by how many instances a layout has, and by size."""
    groups = {"all": outcomes}
    for name, (low, high) in COUNTS.items():
        groups[name] = [outcome for outcome in outcomes if low <= outcome.layout_size <= high]
    groups["small"] = [outcome for outcome in outcomes if outcome.share < SMALL]
    groups["medium"] = [outcome for outcome in outcomes if SMALL <= outcome.share < LARGE]
    groups["large"] = [outcome for outcome in outcomes if outcome.share >= LARGE]
    return {name: ratio(sum(outcome.is_found for outcome in group), len(group)) for name, group in groups.items()}


def make_table(title: str, rows: dict[str, dict]) -> Table:
    """One line for each figure, one column for each row of figures, in percent."""
    lines = [[metric, *(percent(figure_at(row, path)) for row in rows.values())] for metric, path in METRICS.items()]
    return Table(title, ["percent", *rows], lines)


def compare_presets(
    engine: PipelineEngine, rows: dict[str, tuple[RenderSettings, dict]], held_out: Sequence[HeldOutLayout], place: str
) -> tuple[dict[str, dict], Table]:
    """Settings, seconds per picture, how much faster and figures in percent of each preset, by name; and their table.

    Args:
        rows: name of the preset -> its settings and the figures of its pictures; the others are compared with the
            first.
        held_out: layouts; the first of them are painted once more to take the time.
        place: the kind of place that is told.
    """
    seconds = _seconds(engine, {name: settings for name, (settings, _) in rows.items()}, held_out[:TIMED], place)
    first = next(iter(rows))
    presets: dict[str, dict] = {}
    for name, (settings, figures) in rows.items():
        presets[name] = {column: getattr(settings, field) for column, field in SET_BY_PRESET.items()}
        presets[name] |= {"seconds per picture": seconds[name], "faster": seconds[first] / seconds[name]}
        for metric in JUDGED:
            share = figure_at(figures, METRICS[metric])
            presets[name][metric] = None if share is None else 100 * share
    measured = "figures of the judge in percent, and their change"
    title = f"Presets, {len(held_out)} held-out layouts told by {place}; {measured}"
    lines = [[name, *_cells(preset, presets[first])] for name, preset in presets.items()]
    return presets, Table(title, ["preset", *presets[first]], lines, key="presets_table")


def _cells(preset: dict, exact: dict) -> list[str]:
    cells = [str(preset[column]) for column in SET_BY_PRESET]
    cells += [f"{preset['seconds per picture']:.2f}", f"{preset['faster']:.2f} x"]
    for metric in JUDGED:
        value = preset[metric]
        if value is None:
            cells.append("-")
        elif preset is exact or exact[metric] is None:
            cells.append(f"{value:.1f}")
        else:
            cells.append(f"{value:.1f} ({value - exact[metric]:+.1f})")
    return cells


def _seconds(
    engine: PipelineEngine, settings: dict[str, RenderSettings], held_out: Sequence[HeldOutLayout], place: str
) -> dict[str, float]:
    """Seconds per picture of each preset, painted in turns, so that a busy minute is shared by all."""
    from evaluators.speed.measure import Stopwatch

    layouts = [layout.conditioned(place, engine.native_size) for layout in held_out]
    seeds = [layout.seed for layout in held_out]
    watches = {name: Stopwatch(engine.pipeline.device) for name in settings}
    for name in settings:  # what the first picture of a kind costs is not counted
        engine.paint(layouts[:1], settings[name].model_copy(update={"num_inference_steps": 2}), seeds[:1])
    for _ in range(REPEATS):
        for name, watch in watches.items():
            with watch.running():
                engine.paint(layouts, settings[name], seeds)
    return {name: watch.typical / len(layouts) for name, watch in watches.items()}
