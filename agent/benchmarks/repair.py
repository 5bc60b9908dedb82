"""What it is worth to mend what failed and keep the rest, beside painting everything anew in each round."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from agent import batch
from agent.benchmarks.gain import add_loop_arguments
from agent.request import read_prompts
from agent.runs import Round, Run
from evaluators.detectors import Detector
from evaluators.gallery import check_apart, load_scorer
from evaluators.report import Report, VerdictKind
from evaluators.reporting import EvaluationResult, Table, percent, progress_bar
from evaluators.verifying import verify
from instdiff.errors import BadInput, ServiceError
from instdiff.formats import load_layout
from instdiff.layout import Box, Layout

OUT = Path("outputs/evaluations/repair")
MODES = {"everything anew": False, "what failed alone": True}
EDGE = 4  # pixels on each side of a region's edge, where a seam would be
HELP = """Each prompt goes through the agent twice, with the same seeds: once it mends only what failed and keeps the
rest of the picture, once it paints everything anew in each round. A detector that is not in the loop looks at the first
and the best pictures. What a round costs is counted in evaluations of the UNet: latents that were given to it.

The prompts are the 100 of the gain benchmark, or those of --prompts. What is painted is kept under --out."""


class Looked(NamedTuple):
    """The picture that counts after a round, and what the detector says of its plan."""

    done: Round
    image: np.ndarray  # (H, W, 3) uint8
    layout: Layout
    report: Report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m agent.benchmarks repair``."""
    add_loop_arguments(parser, 5, OUT)


def run(args: argparse.Namespace) -> EvaluationResult:
    """The command.

    Raises:
        BadInput: the detector is the verifier of the loop, or a folder holds other pictures.
        ServiceError: something that is needed cannot be loaded or reached.
    """
    check_apart(args.detector, args.verifier)
    prompts = read_prompts(args.prompts)[: args.count]
    asked = batch.build_request(vars(args), batch.RUN_FLAGS)
    runs = {
        name: batch.run_prompts(prompts, asked.model_copy(update={"repair": repair}), args.folder / slug(name))[0]
        for name, repair in MODES.items()
    }
    detector = load_scorer(args)
    measured = {}
    with progress_bar() as progress:
        for name, own in runs.items():
            each = [list(look(detector, run)) for run in progress.track(own, description=f"looking, {name}")]
            measured[name] = figures(each)
    perfect = drawn_perfectly(detector, [own for own in runs[next(iter(MODES))] if own.rounds])
    result = _result(args, len(prompts), measured, perfect)
    result.write(args.folder)
    return result


def drawn_perfectly(detector: Detector, runs: Sequence[Run]) -> float | None:
    """The share of first plans that a detector verifies where they are drawn and not painted; None without drawings."""
    try:
        from evaluators.draft.held_out import make_composer, sprites_folder
        from evaluators.eye.pictures import draw_plan, drawable  # the extra "train", and torch

        composer = make_composer(sprites_folder(None))
    except (ImportError, BadInput, ServiceError):
        return None
    layouts = [load_layout(run.folder / "round-0/layout.json", boxes="xywh") for run in runs]
    known = [draw_plan(layout, composer, seed) for seed, layout in enumerate(layouts) if drawable(layout, composer)]
    reports = [verify(detector, [picture.image], [picture.layout])[0] for picture in known]
    return sum(report.verified for report in reports) / len(reports) if reports else None


def slug(name: str) -> str:
    """The folder of a mode."""
    return name.replace(" ", "-")


def look(detector: Detector, run: Run) -> Iterator[Looked]:
    """What a detector finds after each round; where nothing was accepted, what it found before."""
    before: Looked | None = None
    for done in run.rounds:
        if before and done.image == before.done.image:
            before = before._replace(done=done)
        else:
            layout = load_layout(run.folder / done.layout, boxes="xywh")
            with Image.open(run.folder / done.image) as file:
                image = file.convert("RGB")
            [report] = verify(detector, [image], [layout])
            before = Looked(done, np.asarray(image), layout, report)
        yield before


def figures(runs: Sequence[Sequence[Looked]]) -> dict[str, float | None]:
    """What the rounds gained and cost; shares are 0..1, None where there is nothing to measure.

    ``failed``: pictures on which something that can be judged is not found. ``lost``: of all things that were found
    before an accepted repair, those that are not found after it. ``seam``: the mean step of brightness across the edges
    of repaired regions, as a multiple of that in the same places before.
    """
    first = [rounds[0] for rounds in runs]
    last = [rounds[-1] for rounds in runs]
    failed = [index for index, one in enumerate(first) if not _is_right(one.report)]
    repaired = [index for index in failed if _is_right(last[index].report)]
    pairs = [pair for rounds in runs for pair in itertools.pairwise(rounds) if _accepted(pair[1])]
    mended = [pair for pair in pairs if pair[1].done.repair and pair[1].done.repair.regions]
    found_before = sum(len(found(before.report)) for before, _ in pairs)
    lost = sum(len(found(before.report) - found(after.report)) for before, after in pairs)
    outside = [psnr_outside(before.image, after.image, _regions(after)) for before, after in mended]
    seams = [seam(before.image, after.image, _regions(after)) for before, after in mended]
    tried = [one.done.repair for rounds in runs for one in rounds[1:] if one.done.repair and one.done.repair.regions]
    return {
        "verified_first": len(first) and sum(one.report.verified for one in first) / len(first),
        "verified_best": len(last) and sum(one.report.verified for one in last) / len(last),
        "loop_verified_first": sum(one.done.verified for one in first) / len(first),
        "loop_verified_best": sum(one.done.verified for one in last) / len(last),
        "failed": len(failed),
        "repaired": len(repaired) / len(failed) if failed else None,
        "rounds": sum(len(rounds) - 1 for rounds in runs),
        "evaluations_first": sum(one.done.unet_evaluations for one in first),
        "evaluations_after": sum(one.done.unet_evaluations for rounds in runs for one in rounds[1:]),
        "seconds_after": round(sum(one.done.seconds for rounds in runs for one in rounds[1:]), 1),
        "lost": lost / found_before if found_before else None,
        "share_repainted": median(repair.share for repair in tried) if tried else None,
        "psnr_outside": min(outside) if outside else None,
        "seam": median(seams) if seams else None,
    }


def found(report: Report) -> set[int]:
    """The instances that are found."""
    return {verdict.instance for verdict in report.verdicts if verdict.kind is VerdictKind.FOUND}


def psnr_outside(before: np.ndarray, after: np.ndarray, regions: Sequence[Box]) -> float:
    """Peak signal to noise of what is outside of regions, in decibels; 99 where nothing differs."""
    outside = ~inside(before.shape[:2], regions)
    error = np.square(before[outside].astype(float) - after[outside]).mean() if outside.any() else 0.0
    return 99.0 if error == 0 else float(10 * np.log10(255**2 / error))


def inside(size: tuple[int, int], regions: Sequence[Box]) -> np.ndarray:
    """(H, W) bool: what lies in one of the regions."""
    mask = np.zeros(size, dtype=bool)
    for region in regions:
        x0, y0, x1, y1 = (round(side) for side in region.to_corners((size[1], size[0])))
        mask[y0:y1, x0:x1] = True
    return mask


def seam(before: np.ndarray, after: np.ndarray, regions: Sequence[Box]) -> float:
    """The mean step between neighbours within a few pixels of a region's edge, as a multiple of that before."""
    mask = inside(before.shape[:2], regions)
    steps = []
    for picture in (before, after):
        light = picture.astype(float).mean(axis=-1)
        total = count = 0.0
        for axis in (0, 1):
            edge = np.diff(mask.astype(int), axis=axis) != 0
            near = edge.copy()
            for shift in range(1, EDGE + 1):
                near |= np.roll(edge, shift, axis) | np.roll(edge, -shift, axis)
            step = np.abs(np.diff(light, axis=axis))[near]
            total += step.sum()
            count += step.size
        steps.append(total / max(count, 1))
    return steps[1] / steps[0] if steps[0] else 1.0


def _is_right(report: Report) -> bool:
    return report.found == report.checked


def _regions(after: Looked) -> tuple[Box, ...]:
    return after.done.repair.regions if after.done.repair else ()


def _accepted(after: Looked) -> bool:
    return bool(after.done.repair and after.done.repair.accepted)


ROWS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "pictures verified, first": ("verified_first", percent),
    "pictures verified, best": ("verified_best", percent),
    "the same by the loop's own detector, first": ("loop_verified_first", percent),
    "the same by the loop's own detector, best": ("loop_verified_best", percent),
    "pictures that failed at first": ("failed", str),
    "of these repaired": ("repaired", percent),
    "rounds after the first": ("rounds", str),
    "evaluations of the UNet in them": ("evaluations_after", str),
    "seconds in them": ("seconds_after", str),
    "found things lost by a repair": ("lost", percent),
    "median share of the picture painted anew": ("share_repainted", percent),
    "PSNR outside, dB, at least": ("psnr_outside", lambda value: "-" if value is None else f"{value:.1f}"),
    "step at the edges of regions, before = 1": ("seam", lambda value: "-" if value is None else f"{value:.2f}"),
}


def _result(args: argparse.Namespace, count: int, measured: dict[str, dict], perfect: float | None) -> EvaluationResult:
    rows = [[label, *(show(own[name]) for own in measured.values())] for label, (name, show) in ROWS.items()]
    notes = [f"{count} prompts, at most {args.rounds} rounds steered by {args.verifier}; {args.detector} looked"]
    anew, mended = measured.values()
    if anew["evaluations_after"]:
        share = mended["evaluations_after"] / anew["evaluations_after"]
        notes.append(f"mending takes {share:.0%} of the evaluations of the UNet that painting everything anew takes")
    if perfect is not None:
        notes.append(f"of the same layouts drawn perfectly, {args.detector} verifies {percent(perfect)} %")
    table = Table(f"Mending what failed, {count} prompts", ["", *measured], rows)
    return EvaluationResult(
        "repair", {"detector": args.detector, "prompts": count, "perfect": perfect, **measured}, (table,), notes
    )
