"""The LMD benchmark, stage two: prompts are planned and painted, and a detector says whether the pictures do what was asked.

The same checks as of layouts, made on what the detector sees. As in the benchmark, a relation compares the surest boxes
of the two things.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evaluators import lmd, planned
from evaluators.manifest import FILE, Job, open_manifest, paint, painted_with, prompt_key
from evaluators.matching import match
from evaluators.plan_checks import Case
from evaluators.report import Detection
from evaluators.results import percent, progress_bar, write_results
from evaluators.scored import Gallery, Painted, add_detector_arguments, check_apart, check_scorer, load_scorer
from evaluators.sheet import Tile, contact_sheet
from instdiff.errors import BadInput
from instdiff.layout import MAX_INSTANCES, Instance, Layout

if TYPE_CHECKING:
    from evaluators.detectors import Detector

KEEP = Path("outputs/evaluations/lmd")
BATCH = 8
SHEET, MOST_ON_SHEET, SIDE = "failures.png", 60, 320
PUBLISHED = {  # percent; Lian et al., 2024, table 1: photographs, looked at by OWL-ViT
    "SD 1.5, published": {"negation": 28, "numeracy": 39, "attribution": 52, "spatial": 28},
    "LMD+, published": {"negation": 100, "numeracy": 86, "attribution": 69, "spatial": 67},
}


@dataclass(frozen=True)
class Looked:
    """One picture and what the detector saw on it, surest first."""

    painted: Painted
    seen: tuple[Detection, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m evaluators lmd`` that its sibling stage does not share."""
    parser.add_argument("--stage", choices=("layout", "image"), default="layout", help="what is judged")
    images = parser.add_argument_group("stage image")
    images.add_argument("--count", type=int, default=len(lmd.cases()), metavar="N", help="only N prompts, spread over the tasks")
    images.add_argument("--pictures", type=Path, metavar="FOLDER", help="score these, of python -m agent.batch; paint nothing")
    images.add_argument("--rounds", type=int, default=1, metavar="N", help="paint each prompt at most so often; 1 plans and paints once")
    images.add_argument("--images", type=int, default=1, metavar="N", help="pictures per round, of which the verifier keeps the best")
    images.add_argument("--verifier", default="draft", metavar="NAME", help="the detector in the loop (default: draft)")
    images.add_argument("--engine", default="draft", metavar="NAME", help="what paints (default: draft)")
    images.add_argument("--keep", type=Path, default=KEEP, metavar="FOLDER", help="where pictures and figures go (default: %(default)s)")
    add_detector_arguments(images)


def run(args: argparse.Namespace) -> dict:
    """The command: paint what is missing, look at everything, score.

    Raises:
        BadInput: the detector steered the painting, or a folder holds pictures of other settings.
        ServiceError: something that is needed cannot be loaded.
    """
    if not 1 <= args.count <= len(lmd.cases()):
        raise BadInput("count", f"{args.count}: there are {len(lmd.cases())} prompts")
    chosen, loops = lmd.some_cases(args.count), args.rounds > 1 or args.images > 1
    if args.pictures:
        galleries = given(args.pictures)
    else:
        check_apart(args.detector, args.verifier if loops else "none")
        galleries = _paint_rounds(args, chosen) if loops else {"pictures": _paint_once(args, chosen)}
    for gallery in galleries.values():
        check_scorer(args.detector, gallery.manifest)
    detector, columns, looked = load_scorer(args), {}, {}
    for name, gallery in galleries.items():
        looked = look(detector, gallery, chosen)
        columns[name] = figures(looked, chosen)
    failures = columns[name]["failures"]
    if failures:
        contact_sheet(_tiles(failures, looked, detector), args.keep / SHEET, SIDE, columns=5)
    return _result(args, gallery, columns, _notes(args, looked, chosen, failures))


def given(folder: Path) -> dict[str, Gallery]:
    """The pictures of a folder with a manifest, or the first and the best of ``python -m agent.batch``."""
    if (folder / FILE).exists() or not (folder / "best").is_dir():
        return {"pictures": Gallery.open(folder)}
    return {"round 0": Gallery.open(folder / "first"), "best round": Gallery.open(folder / "best")}


def _paint_once(args: argparse.Namespace, chosen: Sequence[Case]) -> Gallery:
    """Every prompt planned once and painted once; the n-th from seed ``--seed`` + n."""
    from instdiff.engine import engine_info, load_engine

    size, engine = engine_info(args.engine).native_size, load_engine(args.engine)
    folder, planner = args.keep / "once", str(args.layouts or args.planner)
    manifest = open_manifest(folder, painted_with(engine, engine.defaults, planner=planner, verifier="none", seed=args.seed))
    missing = [case.prompt for case in chosen if prompt_key(case.prompt) not in manifest.keys]
    layouts = planned.layouts_for(args, missing)[1] if missing else {}
    jobs = [
        Job(prompt_key(case.prompt), layouts[case.prompt].resized(*size), args.seed + number)
        for number, case in enumerate(chosen)
        if case.prompt in layouts
    ]
    with progress_bar() as progress:
        task = progress.add_task("painting", total=len(jobs))
        paint(folder, manifest, jobs, engine, engine.defaults, BATCH, lambda count: progress.advance(task, count))
    return Gallery.open(folder)


def _paint_rounds(args: argparse.Namespace, chosen: Sequence[Case]) -> dict[str, Gallery]:
    """Every prompt through the loop of the agent."""
    if args.layouts:
        raise BadInput("layouts", "are painted once; with --rounds and --images the planner plans")
    folder = args.keep / f"rounds-{args.rounds}-images-{args.images}"
    options = {"rounds": args.rounds, "images": args.images, "verifier": args.verifier, "engine": args.engine}
    more = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    planned.run_agent("agent.batch", [case.prompt for case in chosen], args.planner, args.planner_url, args.seed, folder, *more)
    return given(folder)


def look(detector: Detector, gallery: Gallery, chosen: Sequence[Case]) -> dict[str, Looked]:
    """What the detector sees of the things that each prompt is about, by prompt; pictures that are not there are left out.

    Raises:
        BadInput: the detector does not know one of the things: that it does not see it would say nothing.
    """
    if unknown := [name for case in chosen for name in names_of(case) if not detector.knows(name)]:
        raise BadInput("detector", f'{detector.name} does not know "{unknown[0]}"')
    there = {prompt_key(case.prompt): case for case in chosen if prompt_key(case.prompt) in gallery.manifest.keys}
    looked = {}
    with progress_bar() as progress:
        task = progress.add_task(f"looking, {gallery.folder.name}", total=len(there))
        for painted in gallery.pictures(list(there)):
            [seen] = detector.detect([painted.image], names_of(there[painted.key]))
            looked[there[painted.key].prompt] = Looked(painted, tuple(sorted(seen, key=lambda one: -one.score)))
            progress.advance(task)
    return looked


def names_of(case: Case) -> list[str]:
    """The things that a prompt is about."""
    return sorted({name for check in case.checks for name in check.names})


def figures(looked: dict[str, Looked], chosen: Sequence[Case]) -> dict:
    """`lmd.score` of what was seen; "all" is the mean of the tasks, as in the benchmark, whose tasks are of one size."""
    seen = {case.prompt: as_layout(looked[case.prompt], case.group == "spatial") for case in chosen if case.prompt in looked}
    result = lmd.score(seen, chosen)
    shares = [counts["share"] for counts in result["tasks"].values() if counts["of"]]
    result["all"]["share"] = round(sum(shares) / len(shares), 4)
    for failure in result["failures"]:
        one = looked.get(failure["prompt"])
        failure["planned"] = True
        failure["seen"] = [f"{d.colour} {d.category} {d.score:.2f}".strip() for d in one.seen] if one else "there is no picture"
    return result


def as_layout(looked: Looked, surest: bool) -> Layout:
    """What was seen, as a layout that can be checked like a plan; ``surest`` keeps one of each thing."""
    seen = list({one.category: one for one in reversed(looked.seen)}.values()) if surest else looked.seen
    instances = [Instance(caption=f"{one.colour} {one.category}".strip(), category=one.category, box=one.box) for one in seen]
    return looked.painted.layout.with_instances(instances[:MAX_INSTANCES])


def _tiles(failures: list[dict], looked: dict[str, Looked], detector: Detector) -> list[Tile]:
    """The failed pictures, with what was planned and seen drawn over them."""
    from PIL import Image

    from evaluators.draw import draw_report

    tiles = []
    for failure in failures[:MOST_ON_SHEET]:
        words = failure["prompt"].removeprefix("A realistic photo of a scene ")
        if failure["prompt"] not in looked:
            tiles.append(Tile(Image.new("RGB", (SIDE, SIDE), "lightgray"), (words, "there is no picture"), "firebrick"))
            continue
        one = looked[failure["prompt"]]
        report = match(one.painted.layout, one.seen, detector.canonical, detector=detector.name)
        lines = (words, f"seen: {', '.join(failure['seen']) or 'nothing'}", f"failed: {', '.join(failure['failed'])}")
        tiles.append(Tile(draw_report(one.painted.image, one.painted.layout, report), lines, "firebrick"))
    return tiles


def _notes(args: argparse.Namespace, looked: dict[str, Looked], chosen: Sequence[Case], failures: list[dict]) -> list[str]:
    weight = sum(case.repeat for case in chosen)
    notes = [f"{len(looked)} pictures of {len(chosen)} prompts, which count {weight} times; {args.detector} looked at them"]
    notes.append("all: the mean of the tasks. Published: Lian et al., 2024, photographs looked at by OWL-ViT")
    if looked and not any(one.colour for each in looked.values() for one in each.seen):
        notes.append(f"{args.detector} tells no colours, so that no attribution can hold")
    if len(looked) < len(chosen):
        notes.append(f"{len(chosen) - len(looked)} prompts have no picture, and fail")
    return notes + ([f"failures: {args.keep / SHEET}"] if failures else [])


def _result(args: argparse.Namespace, gallery: Gallery, columns: dict[str, dict], notes: list[str]) -> dict:
    rows = []
    for task in (*lmd.TASKS, "all"):
        shares = [(one["all"] if task == "all" else one["tasks"][task])["share"] for one in columns.values()]
        published = [sum(one.values()) / 4 if task == "all" else one[task] for one in PUBLISHED.values()]
        rows.append([task, *map(percent, shares), *(f"{value:.1f}" for value in published)])
    title = f"LMD benchmark, pictures, {args.count} prompts"
    final = list(columns.values())[-1]
    result = {
        "evaluation": "lmd-image",
        "detector": args.detector,
        "painted_with": gallery.manifest.painted_with,
        "columns": columns,
        **{key: final[key] for key in ("tasks", "all", "failures")},
        "notes": notes,
        "table": {"title": title, "columns": ["percent", *columns, *PUBLISHED], "rows": rows},
    }
    write_results(args.keep, result)
    return result
