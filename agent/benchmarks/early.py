"""How well an early look at a picture tells what becomes of it, and what it saves."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np

from agent import rounds
from agent.benchmarks.gain import PROMPTS
from agent.critic.critic import criticise_and_replan
from agent.planners import load_planner
from agent.request import read_prompts
from evaluators.detectors import load_detector
from evaluators.report import Report
from evaluators.reporting import EvaluationResult, Table, add_output_arguments, percent, progress_bar
from instdiff.engine import load_engine
from instdiff.errors import BadInput
from instdiff.render_settings import RenderSettings

OUT = Path("outputs/evaluations/early")
HELP = """Several pictures of each prompt are begun; a detector looks at them as far as they can be told after a quarter
of the steps, and again when they are done. How well does the early look tell which of them will be verified (area under
the ROC curve, 0.5 is a guess), and what does it cost to finish only the best?"""


class Pair(NamedTuple):
    """What is found on one picture early, and in the end."""

    early: Report
    final: Report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m agent.benchmarks early``."""
    parser.add_argument("--prompts", type=Path, default=PROMPTS, metavar="FILE", help="one a line (100 of our own)")
    parser.add_argument("--count", type=int, metavar="N", help="only the first N prompts")
    parser.add_argument("--candidates", type=int, default=8, metavar="N", help="pictures of each (%(default)s)")
    parser.add_argument("--verifier", default="draft", metavar="NAME", help="the detector that looks (%(default)s)")
    parser.add_argument("--engine", default="draft", metavar="NAME", help="what paints (default: %(default)s)")
    add_output_arguments(parser, OUT)


def run(args: argparse.Namespace) -> EvaluationResult:
    """The command."""
    planner = load_planner("offline")
    engine = load_engine(args.engine)
    detector = load_detector(args.verifier)
    groups: list[list[Pair]] = []
    spent = {"all": 0, "best": 0}
    with progress_bar() as progress:
        prompts = read_prompts(args.prompts)[: args.count]
        for seed, prompt in enumerate(progress.track(prompts, description="painting")):
            try:
                plan = criticise_and_replan(planner.plan(prompt, engine.native_size, seed), prompt, planner, seed).plan
            except BadInput:
                continue
            layout = rounds.as_written(plan.layout)
            settings = RenderSettings(seed=1000 * seed, num_images=args.candidates)
            early: list[Report] = []

            def keep_all(images, layout=layout, early=early):
                early += rounds.look(detector, images, layout, 0.5)
                return range(len(images))

            def keep_first(images):
                return [0]

            every = engine.render(layout, settings, choose=keep_all)
            spent["all"] += every.unet_evaluations
            spent["best"] += engine.render(layout, settings, choose=keep_first).unet_evaluations
            final = rounds.look(detector, every.images, layout, 0.5)
            groups.append([Pair(*pair) for pair in zip(early, final, strict=True)])
    measured = figures(groups) | {"cost_of_best": spent["best"] / spent["all"]}
    auc = "-" if measured["auc"] is None else f"{measured['auc']:.3f}"  # all verified, or none
    shown = [[name, auc if name == "auc" else percent(value)] for name, value in measured.items()]
    table = Table(f"An early look, {len(groups)} prompts of {args.candidates} pictures", ["", ""], shown)
    result = EvaluationResult("early", {"prompts": len(groups), **measured}, (table,))
    result.write(args.folder)
    return result


def figures(groups: list[list[Pair]]) -> dict[str, float | None]:
    """The area under the curve over all pictures; verified in the end: any of them, the early choice, the first."""
    pairs = [pair for group in groups for pair in group]
    scores = sorted({rounds.early_score(pair.early) for pair in pairs})
    rank = {score: number for number, score in enumerate(scores)}
    ranks = np.array([rank[rounds.early_score(pair.early)] for pair in pairs], dtype=float)
    verified = np.array([pair.final.verified for pair in pairs])
    chosen = [max(group, key=lambda pair: rounds.early_score(pair.early)) for group in groups]
    every = [max(group, key=lambda pair: pair.final.score) for group in groups]
    return {
        "auc": area_under_curve(ranks, verified),
        "verified, first": float(np.mean([group[0].final.verified for group in groups])),
        "verified, chosen early": float(np.mean([pair.final.verified for pair in chosen])),
        "verified, best of all": float(np.mean([pair.final.verified for pair in every])),
    }


def area_under_curve(scores: np.ndarray, positive: np.ndarray) -> float | None:
    """How often a positive scores higher than a negative, ties counting half; None if there are not both."""
    ours, others = scores[positive], scores[~positive]
    if not len(ours) or not len(others):
        return None
    above = (ours[:, None] > others).mean() + (ours[:, None] == others).mean() / 2
    return float(above)
