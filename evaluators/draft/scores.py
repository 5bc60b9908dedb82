"""The figures of one row of the draft benchmark, the table of all rows, and what presets gain and lose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evaluators.coco.figures import coco_figures
from evaluators.draft.held_out import HeldOut
from evaluators.gallery import Detections
from evaluators.matching import match
from evaluators.pim import KINDS, pim
from evaluators.report import Detection
from instdiff.layout import Layout
from instdiff.render_settings import RenderSettings

if TYPE_CHECKING:
    from instdiff.engine import PipelineEngine

FOUND_IOU = 0.5
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


@dataclass(frozen=True)
class _Outcome:
    """What became of one planned instance."""

    found: bool
    of: int  # how many instances the layout has
    share: float  # of the picture, that its box covers
    colour: bool | None  # None where no colour is asked for
    texture: bool | None


def row_figures(
    held_out: Sequence[HeldOut],
    seen: Detections,
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
    truths = [one.truth(size) for one in held_out]
    outcomes = [
        outcome
        for one, truth, sure in zip(held_out, truths, seen.sure, strict=True)
        for outcome in _of(one, truth, sure, canonical)
    ]
    told = {kind: kind in places for kind in KINDS}
    return {
        "box": coco_figures(truths, seen.everything, "box"),
        "mask": coco_figures(truths, seen.everything, "mask") if "mask" in places else None,
        "pim": {
            kind: pim([one.conditioned(kind, size) for one in held_out], seen.sure, kind) if is_told else None
            for kind, is_told in told.items()
        },
        "pim_as_published": {
            kind: pim(truths, seen.everything, kind, "paper") if is_told else None for kind, is_told in told.items()
        },
        "colour": _accuracy(outcomes, "colour"),
        "texture": _accuracy(outcomes, "texture"),
        "recall": _recalls(outcomes),
        "instances": len(outcomes),
    }


def _of(
    held_out: HeldOut, truth: Layout, seen: Sequence[Detection], canonical: Callable[[str], str | None]
) -> list[_Outcome]:
    """What became of the instances of one layout."""
    outcomes = []
    for one, verdict in zip(held_out.scene.instances, match(truth, seen, canonical, FOUND_IOU).verdicts, strict=True):
        found = verdict.detection is not None and verdict.iou >= FOUND_IOU
        colour, texture = (
            (found and getattr(verdict.detection, look) == asked) if (asked := getattr(one, look)) else None
            for look in ("colour", "texture")
        )
        outcomes.append(_Outcome(found, len(held_out.scene.instances), one.box.area, colour, texture))
    return outcomes


def _accuracy(outcomes: Sequence[_Outcome], look: str) -> dict:
    """How many of those with a colour (or texture) have the right one."""
    asked = [outcome for outcome in outcomes if getattr(outcome, look) is not None]
    found = [outcome for outcome in asked if outcome.found]
    right = sum(getattr(outcome, look) for outcome in asked)
    return {
        "asked": len(asked),
        "found": len(found),
        "of_all": _ratio(right, len(asked)),
        "of_found": _ratio(right, len(found)),
    }


def _recalls(outcomes: Sequence[_Outcome]) -> dict:
    """The share that was found: of all, by how many instances a layout has, and by size."""
    groups = {"all": outcomes}
    groups |= {name: [one for one in outcomes if low <= one.of <= high] for name, (low, high) in COUNTS.items()}
    groups["small"] = [one for one in outcomes if one.share < SMALL]
    groups["medium"] = [one for one in outcomes if SMALL <= one.share < LARGE]
    groups["large"] = [one for one in outcomes if one.share >= LARGE]
    return {name: _ratio(sum(one.found for one in group), len(group)) for name, group in groups.items()}


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def make_table(title: str, rows: dict[str, dict]) -> dict:
    """One line for each figure, one column for each row of figures, in percent."""
    lines = [[metric, *(_percent(figures, path) for figures in rows.values())] for metric, path in METRICS.items()]
    return {"title": title, "columns": ["percent", *rows], "rows": lines}


def _percent(figures: dict, path: str) -> str:
    kind, name = path.split(".")
    value = (figures[kind] or {}).get(name)
    return "-" if value is None else f"{100 * value:.1f}"


REPEATS = 3
TIMED = 8  # pictures that are painted to take the time, in one batch
SET_BY_PRESET = {
    "steps": "num_inference_steps",
    "scheduler": "scheduler",
    "guidance every": "guidance_every",
    "inner every": "inner_every",
}
JUDGED = ("box AP50", "recall@0.5", "colour right, of all")


def compared(
    engine: PipelineEngine, rows: dict[str, tuple[RenderSettings, dict]], held_out: Sequence[HeldOut], place: str
) -> dict:
    """One line for each preset.

    Args:
        rows: name of the preset -> its settings and the figures of its pictures; the first is what the others are
        compared with.
        held_out: layouts; the first of them are painted once more to take the time.
        place: the kind of place that is told.

    Returns:
        ``presets``: name -> settings, seconds per picture, how much faster, and figures in percent; ``presets_table``:
        the same to print.
    """
    seconds = _seconds(engine, {name: settings for name, (settings, _) in rows.items()}, held_out[:TIMED], place)
    first = next(iter(rows))
    found = {}
    for name, (settings, figures) in rows.items():
        found[name] = {column: getattr(settings, field) for column, field in SET_BY_PRESET.items()}
        found[name] |= {"seconds per picture": seconds[name], "faster": seconds[first] / seconds[name]}
        found[name] |= {metric: _signed_percent(figures, METRICS[metric]) for metric in JUDGED}
    title = (
        f"Presets, {len(held_out)} held-out layouts told by {place}; figures of the judge in percent, and their change"
    )
    lines = [[name, *_cells(one, found[first])] for name, one in found.items()]
    return {"presets": found, "presets_table": {"title": title, "columns": ["preset", *found[first]], "rows": lines}}


def _cells(one: dict, exact: dict) -> list[str]:
    cells = [str(one[column]) for column in SET_BY_PRESET]
    cells += [f"{one['seconds per picture']:.2f}", f"{one['faster']:.2f} x"]
    for metric in JUDGED:
        value = one[metric]
        before = exact[metric]
        cells.append(
            "-" if value is None else f"{value:.1f}" if one is exact else f"{value:.1f} ({value - before:+.1f})"
        )
    return cells


def _signed_percent(figures: dict, path: str) -> float | None:
    kind, name = path.split(".")
    return None if figures[kind][name] is None else 100 * figures[kind][name]


def _seconds(
    engine: PipelineEngine, settings: dict[str, RenderSettings], held_out: Sequence[HeldOut], place: str
) -> dict[str, float]:
    """Seconds per picture of each preset, painted in turns, so that a busy minute is shared by all."""
    from evaluators.speed.measure import Stopwatch

    layouts = [one.conditioned(place, engine.native_size) for one in held_out]
    seeds = [one.seed for one in held_out]
    watches = {name: Stopwatch(engine.pipeline.device) for name in settings}
    for name in settings:  # what the first picture of a kind costs is not counted
        engine.paint(layouts[:1], settings[name].model_copy(update={"num_inference_steps": 2}), seeds[:1])
    for _ in range(REPEATS):
        for name, watch in watches.items():
            with watch.running():
                engine.paint(layouts, settings[name], seeds)
    return {name: watch.typical / len(layouts) for name, watch in watches.items()}
