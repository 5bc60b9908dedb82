"""What presets gain and lose: seconds per picture beside the judge's figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from evaluators.draft.layouts import HeldOut
from evaluators.draft.scores import METRICS
from instdiff.settings import RenderSettings

if TYPE_CHECKING:
    from instdiff.engine import Engine

REPEATS, TIMED = 3, 8  # pictures that are painted to take the time, in one batch
SET_BY_PRESET = {"steps": "num_inference_steps", "scheduler": "scheduler", "guidance every": "guidance_every", "inner every": "inner_every"}
JUDGED = ("box AP50", "recall@0.5", "colour right, of all")


def compared(engine: Engine, rows: dict[str, tuple[RenderSettings, dict]], held_out: Sequence[HeldOut], place: str) -> dict:
    """One line for each preset.

    Args:
        rows: name of the preset -> its settings and the figures of its pictures; the first is what the others are compared with.
        held_out: layouts; the first of them are painted once more to take the time.
        place: the kind of place that is told.

    Returns:
        ``presets``: name -> settings, seconds per picture, how much faster, and figures in percent; ``presets_table``: the same to print.
    """
    seconds = _seconds(engine, {name: settings for name, (settings, _) in rows.items()}, held_out[:TIMED], place)
    first = next(iter(rows))
    found = {}
    for name, (settings, figures) in rows.items():
        found[name] = {column: getattr(settings, field) for column, field in SET_BY_PRESET.items()}
        found[name] |= {"seconds per picture": seconds[name], "faster": seconds[first] / seconds[name]}
        found[name] |= {metric: _percent(figures, METRICS[metric]) for metric in JUDGED}
    title = f"Presets, {len(held_out)} held-out layouts told by {place}; figures of the judge in percent, and their change"
    lines = [[name, *_cells(one, found[first])] for name, one in found.items()]
    return {"presets": found, "presets_table": {"title": title, "columns": ["preset", *found[first]], "rows": lines}}


def _cells(one: dict, exact: dict) -> list[str]:
    cells = [str(one[column]) for column in SET_BY_PRESET]
    cells += [f"{one['seconds per picture']:.2f}", f"{one['faster']:.2f} x"]
    for metric in JUDGED:
        value, before = one[metric], exact[metric]
        cells.append("-" if value is None else f"{value:.1f}" if one is exact else f"{value:.1f} ({value - before:+.1f})")
    return cells


def _percent(figures: dict, path: str) -> float | None:
    kind, name = path.split(".")
    return None if figures[kind][name] is None else 100 * figures[kind][name]


def _seconds(engine: Engine, settings: dict[str, RenderSettings], held_out: Sequence[HeldOut], place: str) -> dict[str, float]:
    """Seconds per picture of each preset, painted in turns, so that a busy minute is shared by all."""
    from instdiff.bench.measure import Stopwatch

    layouts, seeds = [one.conditioned(place, engine.native_size) for one in held_out], [one.seed for one in held_out]
    watches = {name: Stopwatch(engine.pipeline.device) for name in settings}
    for name in settings:  # what the first picture of a kind costs is not counted
        engine.paint(layouts[:1], settings[name].model_copy(update={"num_inference_steps": 2}), seeds[:1])
    for _ in range(REPEATS):
        for name, watch in watches.items():
            with watch.running():
                engine.paint(layouts, settings[name], seeds)
    return {name: watch.typical / len(layouts) for name, watch in watches.items()}
