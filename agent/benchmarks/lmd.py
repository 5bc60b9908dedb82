"""The LMD benchmark: do layouts, or what is seen on pictures, do what 400 short prompts ask?"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from agent import batch
from agent.benchmarks import planned_layouts
from agent.benchmarks.plan import share
from agent.benchmarks.plan_checks import Case, Check, holds
from evaluators.contact_sheet import Tile, contact_sheet
from evaluators.gallery import Gallery, PaintedPicture, add_detector_arguments, check_apart, check_scorer, load_scorer
from evaluators.manifest import FILE, Job, open_manifest, paint, painted_with, prompt_key
from evaluators.matching import match
from evaluators.report import Detection
from evaluators.reporting import percent, progress_bar, write_results
from instdiff.errors import BadInput
from instdiff.layout import MAX_INSTANCES, Box, Instance, Layout
from instdiff.world import nouns
from instdiff.world.scene import Predicate

if TYPE_CHECKING:
    from evaluators.detectors import Detector

DATA = Path(__file__).parent / "data" / "lmd400.json"
SIZE = (512, 512)  # of the recorded layouts, in pixels
TASKS = ("negation", "numeracy", "attribution", "spatial")
FORMS = {
    "negation": re.compile(r"without (\w+)$"),
    "numeracy": re.compile(r"with (one|two|three|four|five) (\w+)$"),
    "attribution": re.compile(r"with an? (\w+) (\w+) and an? (\w+) (\w+)$"),
    "spatial": re.compile(r"with an? (\w+) on the (\w+) and an? (\w+) on the (\w+)$"),
}
SIDES = {"left": Predicate.LEFT_OF, "right": Predicate.RIGHT_OF, "top": Predicate.ABOVE, "bottom": Predicate.BELOW}


@cache
def _records() -> list[dict]:
    return json.loads(DATA.read_text(encoding="utf-8"))["prompts"]


@cache
def cases() -> list[Case]:
    """The 250 distinct prompts with their checks; ``repeat`` is how often each counts, 400 in all."""
    return [Case(r["prompt"], _checks(r["task"], r["prompt"]), r["task"], r["repeat"]) for r in _records()]


def recorded() -> dict[str, Layout]:
    """GPT-4's layouts by prompt, as they were published with the benchmark."""
    layouts = {}
    for record in _records():
        instances = tuple(Instance(caption=name, box=Box.from_coco(box, SIZE)) for name, box in record["gpt4"])
        layouts[record["prompt"]] = Layout(width=SIZE[0], height=SIZE[1], caption=record["prompt"], instances=instances)
    return layouts


def _checks(task: str, prompt: str) -> tuple[Check, ...]:
    words = FORMS[task].search(prompt).groups()
    match task:
        case "negation":
            return (Check("absent", words),)
        case "numeracy":
            return (Check("count", words[1:], n=nouns.NUMBERS[words[0]]),)
        case "attribution":
            return tuple(Check("attr", (noun,), attribute=colour) for colour, noun in (words[:2], words[2:]))
    return (Check("rel", (words[0], words[2]), relation=SIDES[words[1]]),)


def some_cases(count: int) -> list[Case]:
    """So many of the distinct prompts, spread over the tasks; a larger number holds all of a smaller one, in the same
    order.
    """
    order = sorted(
        cases(), key=lambda case: hashlib.sha256(case.prompt.encode()).digest()
    )  # a task's own order counts upwards
    by_task = [[case for case in order if case.group == task] for task in TASKS]
    return [case for row in zip_longest(*by_task) for case in row if case][:count]


def score(layouts: dict[str, Layout], chosen: Sequence[Case] | None = None) -> dict:
    """Share of prompts whose layout does all that is asked, by task and in all, each prompt counted as often as the
    benchmark does.

    Args:
        layouts: by prompt; a prompt without one fails.
        chosen: the prompts to score; all if not given.

    Returns:
        ``{"tasks": {task: {"passed", "of", "share"}}, "all": {...}, "failures": [...]}``
    """
    counts = {task: [0, 0] for task in (*TASKS, "all")}
    failures = []
    for case in cases() if chosen is None else chosen:
        layout = layouts.get(case.prompt)
        failed = [str(check) for check in case.checks if layout is None or not holds(check, layout)]
        for key in (case.group, "all"):
            counts[key][0] += 0 if failed else case.repeat
            counts[key][1] += case.repeat
        if failed:
            failures.append({"prompt": case.prompt, "failed": failed, "planned": layout is not None})

    def share(good, total):
        return round(good / total, 4) if total else None

    shares = {key: {"passed": good, "of": total, "share": share(good, total)} for key, (good, total) in counts.items()}
    return {"tasks": {task: shares[task] for task in TASKS}, "all": shares["all"], "failures": failures}


KEEP = Path("outputs/evaluations/lmd")
BATCH = 8
SHEET = "failures.png"
MOST_ON_SHEET = 60
SIDE = 320
HELP = """The LMD benchmark: 250 prompts that count 400 times. Stage "layout" asks of each layout:

  negation     no instance of the object
  numeracy     exactly the number
  attribution  an instance with each colour and object together
  spatial      the box centres lie as the words say

The layouts that GPT-4 wrote for the benchmark are scored beside. Stage "image" asks the same of what a detector sees on the
pictures that are painted from the plans."""
PUBLISHED = {  # percent; Lian et al., 2024, table 1: photographs, looked at by OWL-ViT
    "SD 1.5, published": {"negation": 28, "numeracy": 39, "attribution": 52, "spatial": 28},
    "LMD+, published": {"negation": 100, "numeracy": 86, "attribution": 69, "spatial": 67},
}


@dataclass(frozen=True)
class Looked:
    """One picture and what the detector saw on it, surest first."""

    painted: PaintedPicture
    seen: tuple[Detection, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m agent.benchmarks lmd``."""
    parser.add_argument("--stage", choices=("layout", "image"), default="layout", help="what is judged")
    images = parser.add_argument_group("stage image")
    images.add_argument(
        "--count", type=int, default=len(cases()), metavar="N", help="only N prompts, spread over the tasks"
    )
    images.add_argument(
        "--pictures", type=Path, metavar="FOLDER", help="score these, of python -m agent.batch; paint nothing"
    )
    images.add_argument(
        "--rounds", type=int, default=1, metavar="N", help="paint each prompt at most so often; 1 plans and paints once"
    )
    images.add_argument(
        "--images", type=int, default=1, metavar="N", help="pictures per round, of which the verifier keeps the best"
    )
    images.add_argument("--verifier", default="draft", metavar="NAME", help="the detector in the loop (default: draft)")
    images.add_argument("--engine", default="draft", metavar="NAME", help="what paints (default: draft)")
    images.add_argument(
        "--keep", type=Path, default=KEEP, metavar="FOLDER", help="where pictures and figures go (default: %(default)s)"
    )
    add_detector_arguments(images)
    planned_layouts.add_arguments(parser)


def run(args: argparse.Namespace) -> dict:
    """The command.

    Raises:
        BadInput: the detector steered the painting, or a file or folder holds something else.
        ServiceError: something that is needed cannot be loaded or reached.
    """
    return run_images(args) if args.stage == "image" else run_layouts(args)


def run_layouts(args: argparse.Namespace) -> dict:
    """Plan, and score the plans beside those of GPT-4."""
    name, layouts = planned_layouts.layouts_for(args, [case.prompt for case in cases()])
    ours = score(layouts)
    theirs = score(recorded())
    rows = [[task, share(ours["tasks"][task]), share(theirs["tasks"][task])] for task in TASKS]
    rows.append(["all", share(ours["all"]), share(theirs["all"])])
    table = {"title": "LMD benchmark, layouts", "columns": ["task", name, "GPT-4, recorded"], "rows": rows}
    return {"evaluation": "lmd", "stage": args.stage, "planner": name, **ours, "gpt4_recorded": theirs, "table": table}


def run_images(args: argparse.Namespace) -> dict:
    """Paint what is missing, look at everything, score.

    Raises:
        BadInput: the detector steered the painting, or a folder holds pictures of other settings.
        ServiceError: something that is needed cannot be loaded.
    """
    if not 1 <= args.count <= len(cases()):
        raise BadInput("count", f"{args.count}: there are {len(cases())} prompts")
    chosen = some_cases(args.count)
    loops = args.rounds > 1 or args.images > 1
    if args.pictures:
        galleries = given(args.pictures)
    else:
        check_apart(args.detector, args.verifier if loops else "none")
        galleries = _paint_rounds(args, chosen) if loops else {"pictures": _paint_once(args, chosen)}
    for gallery in galleries.values():
        check_scorer(args.detector, gallery)
    detector = load_scorer(args)
    columns = {}
    looked = {}
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

    size = engine_info(args.engine).native_size
    engine = load_engine(args.engine)
    folder = args.keep / "once"
    planner = str(args.layouts or args.planner)
    manifest = open_manifest(
        folder, painted_with(engine, engine.defaults, planner=planner, verifier="none", seed=args.seed)
    )
    missing = [case.prompt for case in chosen if prompt_key(case.prompt) not in manifest.keys]
    layouts = planned_layouts.layouts_for(args, missing)[1] if missing else {}
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
    batch.run_prompts([case.prompt for case in chosen], batch.build_request(args), folder)
    return given(folder)


def look(detector: Detector, gallery: Gallery, chosen: Sequence[Case]) -> dict[str, Looked]:
    """What the detector sees of the things that each prompt is about, by prompt; pictures that are not there are left
    out.

    Raises:
        BadInput: the detector does not know one of the things: that it does not see it would say nothing.
    """
    if unknown := [name for case in chosen for name in names_of(case) if not detector.knows(name)]:
        raise BadInput("detector", f'{detector.name} does not know "{unknown[0]}"')
    there = {prompt_key(case.prompt): case for case in chosen if prompt_key(case.prompt) in gallery.keys}
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
    seen = {
        case.prompt: as_layout(looked[case.prompt], case.group == "spatial") for case in chosen if case.prompt in looked
    }
    result = score(seen, chosen)
    shares = [counts["share"] for counts in result["tasks"].values() if counts["of"]]
    result["all"]["share"] = round(sum(shares) / len(shares), 4)
    for failure in result["failures"]:
        one = looked.get(failure["prompt"])
        failure["planned"] = True
        failure["seen"] = (
            [f"{d.colour} {d.category} {d.score:.2f}".strip() for d in one.seen] if one else "there is no picture"
        )
    return result


def as_layout(looked: Looked, surest: bool) -> Layout:
    """What was seen, as a layout that can be checked like a plan; ``surest`` keeps one of each thing."""
    seen = list({one.category: one for one in reversed(looked.seen)}.values()) if surest else looked.seen
    instances = [
        Instance(caption=f"{one.colour} {one.category}".strip(), category=one.category, box=one.box) for one in seen
    ]
    return looked.painted.layout.with_instances(instances[:MAX_INSTANCES])


def _tiles(failures: list[dict], looked: dict[str, Looked], detector: Detector) -> list[Tile]:
    """The failed pictures, with what was planned and seen drawn over them."""
    from PIL import Image

    from evaluators.drawing import draw_report

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


def _notes(
    args: argparse.Namespace, looked: dict[str, Looked], chosen: Sequence[Case], failures: list[dict]
) -> list[str]:
    weight = sum(case.repeat for case in chosen)
    notes = [
        f"{len(looked)} pictures of {len(chosen)} prompts, which count {weight} times; {args.detector} looked at them"
    ]
    notes.append("all: the mean of the tasks. Published: Lian et al., 2024, photographs looked at by OWL-ViT")
    if looked and not any(one.colour for each in looked.values() for one in each.seen):
        notes.append(f"{args.detector} tells no colours, so that no attribution can hold")
    if len(looked) < len(chosen):
        notes.append(f"{len(chosen) - len(looked)} prompts have no picture, and fail")
    return notes + ([f"failures: {args.keep / SHEET}"] if failures else [])


def _result(args: argparse.Namespace, gallery: Gallery, columns: dict[str, dict], notes: list[str]) -> dict:
    rows = []
    for task in (*TASKS, "all"):
        shares = [(one["all"] if task == "all" else one["tasks"][task])["share"] for one in columns.values()]
        published = [sum(one.values()) / 4 if task == "all" else one[task] for one in PUBLISHED.values()]
        rows.append([task, *map(percent, shares), *(f"{value:.1f}" for value in published)])
    title = f"LMD benchmark, pictures, {args.count} prompts"
    final = list(columns.values())[-1]
    result = {
        "evaluation": "lmd-image",
        "detector": args.detector,
        "painted_with": gallery.painted_with,
        "columns": columns,
        **{key: final[key] for key in ("tasks", "all", "failures")},
        "notes": notes,
        "table": {"title": title, "columns": ["percent", *columns, *PUBLISHED], "rows": rows},
    }
    write_results(args.keep, result)
    return result
