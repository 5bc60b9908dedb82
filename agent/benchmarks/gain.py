"""What the loop gains: pictures verified in round 0 and in the best round, by a detector that is not in the loop."""

from __future__ import annotations

import argparse
from pathlib import Path

from agent import batch
from agent.batch import BEST, FIRST
from agent.request import read_prompts
from evaluators.detectors import Detector
from evaluators.gallery import Gallery, add_detector_arguments, check_apart, check_scorer, load_scorer
from evaluators.report import Report, VerdictKind
from evaluators.reporting import EvaluationResult, Table, add_output_arguments, percent, progress_bar
from evaluators.verifying import verify

PROMPTS = Path(__file__).parent / "data" / "gain_prompts.txt"
OUT = Path("outputs/evaluations/gain")
FIGURES = {
    "pictures fully verified": "verified",
    "things found in their place": "found",
    "things of their kind found, anywhere": "present",
    "mean IoU": "mean_iou",
}
HELP = """What do more rounds gain? Each prompt goes through the agent (plan, paint, look, plan again); then a detector
that is not in the loop looks at the picture of round 0 and at that of the best round. A picture is fully verified if
everything that its layout plans is found with an IoU of at least 0.5 and in the right colour.

The prompts are 100 of our own, or those of --prompts. Pictures are kept under --out and painted once. --pictures names
a folder of python -m agent.batch, of which nothing more is painted."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m agent.benchmarks gain``."""
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="score these of agent.batch; paint nothing")
    add_loop_arguments(parser, 3, OUT)


def add_loop_arguments(parser: argparse.ArgumentParser, rounds: int, out: Path) -> None:
    """The options of benchmarks that take prompts through the agent and look at what comes out."""
    parser.add_argument("--prompts", type=Path, default=PROMPTS, metavar="FILE", help="one a line (100 of our own)")
    parser.add_argument("--count", type=int, metavar="N", help="only the first N prompts")
    at_most = "paint each at most so often (%(default)s)"
    parser.add_argument("--rounds", type=int, default=rounds, metavar="N", help=at_most)
    parser.add_argument("--verifier", default="draft", metavar="NAME", help="the detector in the loop (%(default)s)")
    parser.add_argument("--engine", default="draft", metavar="NAME", help="what paints (default: %(default)s)")
    parser.add_argument("--planner", default="offline", metavar="NAME", help="who plans (default: %(default)s)")
    parser.add_argument("--planner-url", metavar="URL", help="an OpenAI-compatible endpoint for the planner")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the first prompt (default: %(default)s)")
    add_output_arguments(parser, out)
    add_detector_arguments(parser)


def run(args: argparse.Namespace) -> EvaluationResult:
    """The command.

    Raises:
        BadInput: the detector is the verifier of the loop, or a folder holds other pictures.
        ServiceError: something that is needed cannot be loaded or reached.
    """
    folder = args.pictures or _paint(args)
    galleries = {name: Gallery.open(folder / name) for name in (FIRST, BEST)}
    for gallery in galleries.values():
        check_scorer(args.detector, gallery)
    best_keys = set(galleries[BEST].keys)
    keys = [key for key in galleries[FIRST].keys if key in best_keys]
    detector = load_scorer(args)
    reports = {name: look(detector, gallery, keys) for name, gallery in galleries.items()}
    return _result(args, galleries[BEST], reports)


def _paint(args: argparse.Namespace) -> Path:
    """Paint what is missing; returns the folder of the batch."""
    check_apart(args.detector, args.verifier)
    folder = args.folder / "batch"
    batch.run_prompts(
        read_prompts(args.prompts)[: args.count], batch.build_request(vars(args), batch.RUN_FLAGS), folder
    )
    return folder


def look(detector: Detector, gallery: Gallery, keys: list[str]) -> dict[str, Report]:
    """What the detector finds of each picture's own layout, by key."""
    reports = {}
    with progress_bar() as progress:
        pictures = gallery.pictures(keys)
        for picture in progress.track(pictures, total=len(keys), description=f"looking, {gallery.folder.name}"):
            [reports[picture.key]] = verify(detector, [picture.image], [picture.layout])
    return reports


def figures(reports: dict[str, Report]) -> dict[str, float | None]:
    """Shares 0..1 of pictures that are verified and of instances found (of those that can be judged); the mean IoU."""
    verdicts = [verdict for report in reports.values() for verdict in report.verdicts]
    checked = [verdict for verdict in verdicts if verdict.kind != VerdictKind.UNCHECKED]
    sums: dict[str, float] = {"found": sum(verdict.kind == VerdictKind.FOUND for verdict in checked)}
    sums["present"] = sum(verdict.detection is not None for verdict in checked)
    sums["mean_iou"] = sum(verdict.iou for verdict in checked)
    verified = sum(report.verified for report in reports.values()) / len(reports)
    return {"verified": verified, **{name: total / len(checked) if checked else None for name, total in sums.items()}}


def _result(args: argparse.Namespace, gallery: Gallery, reports: dict[str, dict[str, Report]]) -> EvaluationResult:
    shares = {name: figures(by_key) for name, by_key in reports.items()}
    first, best = ({key for key, report in reports[name].items() if report.verified} for name in (FIRST, BEST))
    count = len(reports[BEST])
    rounds, verifier = (gallery.painted_with.get(name) for name in ("rounds", "verifier"))
    notes = [
        f"{count} prompts, at most {rounds} rounds steered by {verifier}; {args.detector} looked at the pictures",
        f"{len(best - first)} pictures became fully verified, {len(first - best)} no longer are",
    ]
    measured = {"detector": args.detector, "pictures": count, "round_0": shares[FIRST], "best_round": shares[BEST]}
    measured |= {"gained": sorted(best - first), "lost": sorted(first - best), "painted_with": gallery.painted_with}
    rows = [[label, percent(shares[FIRST][name]), percent(shares[BEST][name])] for label, name in FIGURES.items()]
    table = Table(f"The gain of the loop, {count} prompts", ["percent", "round 0", "best round"], rows)
    result = EvaluationResult("gain", measured, (table,), notes)
    result.write(args.folder)
    return result
