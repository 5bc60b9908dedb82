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

from PIL import Image

from agent import batch
from agent.benchmarks import planned_layouts
from agent.benchmarks.plan import share_cell
from agent.benchmarks.plan_checks import Case, Check, holds
from evaluators.contact_sheet import Tile, contact_sheet
from evaluators.detectors import Detector
from evaluators.drawing import draw_report
from evaluators.gallery import Gallery, PaintedPicture, add_detector_arguments, check_apart, check_scorer, load_scorer
from evaluators.manifest import FILE, Job, open_manifest, paint, painted_with, prompt_key
from evaluators.matching import match
from evaluators.report import Detection
from evaluators.reporting import EvaluationResult, Failure, Table, percent, progress_bar
from instdiff.cli import output_folder
from instdiff.engine import engine_info, load_engine
from instdiff.errors import BadInput
from instdiff.layout import MAX_INSTANCES, Box, Instance, Layout
from instdiff.world import nouns
from instdiff.world.scene import Predicate

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

KEEP = planned_layouts.RESULTS / "lmd"
LAYOUTS = planned_layouts.result_file("lmd-layout")
BATCH = 8
SHEET = "failures.png"
MOST_ON_SHEET = 60
SIDE = 320
PREAMBLE = "A realistic photo of a scene "
HELP = """The LMD benchmark: 250 prompts that count 400 times. Stage "layout" asks of each layout:

  negation     no instance of the object
  numeracy     exactly the number
  attribution  an instance with each colour and object together
  spatial      the box centres lie as the words say

The layouts that GPT-4 wrote for the benchmark are scored beside. Stage "image" asks the same of what a detector sees on
the pictures that are painted from the plans."""
PUBLISHED = {  # percent; Lian et al., 2024, table 1: photographs, looked at by OWL-ViT
    "SD 1.5, published": {"negation": 28, "numeracy": 39, "attribution": 52, "spatial": 28},
    "LMD+, published": {"negation": 100, "numeracy": 86, "attribution": 69, "spatial": 67},
}


@cache
def _records() -> list[dict]:
    return json.loads(DATA.read_text(encoding="utf-8"))["prompts"]


@cache
def cases() -> list[Case]:
    """The 250 distinct prompts with their checks; ``repeat`` is how often each counts, 400 in all."""
    rows = [(record["task"], record["prompt"], record["repeat"]) for record in _records()]
    return [Case(prompt, _checks(task, prompt), task, repeat) for task, prompt, repeat in rows]


def gpt4_layouts() -> dict[str, Layout]:
    """GPT-4's layouts by prompt, as they were published with the benchmark."""
    layouts = {}
    for record in _records():
        instances = tuple(Instance(caption=name, box=Box.from_coco(box, SIZE)) for name, box in record["gpt4"])
        layouts[record["prompt"]] = Layout(width=SIZE[0], height=SIZE[1], caption=record["prompt"], instances=instances)
    return layouts


def _checks(task: str, prompt: str) -> tuple[Check, ...]:
    form = FORMS[task].search(prompt)
    assert form, prompt  # all prompts of the benchmark have one of the forms
    words = form.groups()
    match task:
        case "negation":
            return (Check("absent", words),)
        case "numeracy":
            return (Check("count", words[1:], n=nouns.NUMBERS[words[0]]),)
        case "attribution":
            return tuple(Check("attr", (noun,), attribute=colour) for colour, noun in (words[:2], words[2:]))
    return (Check("rel", (words[0], words[2]), relation=SIDES[words[1]]),)


def choose_cases(count: int) -> list[Case]:
    """So many of the distinct prompts, spread over the tasks; more of them begin with the same ones, in this order."""
    # by hash: a task's own order counts upwards
    order = sorted(cases(), key=lambda case: hashlib.sha256(case.prompt.encode()).digest())
    by_task = [[case for case in order if case.group == task] for task in TASKS]
    return [case for row in zip_longest(*by_task) for case in row if case][:count]


def score(layouts: dict[str, Layout], chosen: Sequence[Case] | None = None) -> dict:
    """Share of prompts whose layout does all that is asked, by task and in all, weighted as the benchmark weights them.

    Args:
        layouts: by prompt; a prompt without one fails.
        chosen: the prompts to score; all if not given.

    Returns:
        ``{"tasks": {task: {"passed", "of", "share"}}, "all": {...}, "failures": [...]}``
    """
    passed = dict.fromkeys((*TASKS, "all"), 0)
    asked = dict.fromkeys((*TASKS, "all"), 0)
    failures: list[Failure] = []
    for case in cases() if chosen is None else chosen:
        layout = layouts.get(case.prompt)
        failed = [str(check) for check in case.checks if layout is None or not holds(check, layout)]
        for key in (case.group, "all"):
            passed[key] += 0 if failed else case.repeat
            asked[key] += case.repeat
        if failed:
            failures.append({"prompt": case.prompt, "failed": failed, "planned": layout is not None})
    shares = {
        key: {"passed": passed[key], "of": total, "share": round(passed[key] / total, 4) if total else None}
        for key, total in asked.items()
    }
    return {"tasks": {task: shares[task] for task in TASKS}, "all": shares["all"], "failures": failures}


@dataclass(frozen=True)
class DetectedPicture:
    """One picture and what the detector saw on it, surest first."""

    painted: PaintedPicture
    detections: tuple[Detection, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m agent.benchmarks lmd``."""
    parser.add_argument("--stage", choices=("layout", "image"), default="layout", help="what is judged")
    images = parser.add_argument_group("stage image")
    images.add_argument("--count", type=int, default=len(cases()), metavar="N", help="so many prompts, of all tasks")
    images.add_argument("--pictures", type=Path, metavar="FOLDER", help="score these of agent.batch; paint nothing")
    images.add_argument("--rounds", type=int, default=1, metavar="N", help="paint each prompt at most so often (1)")
    images.add_argument("--images", type=int, default=1, metavar="N", help="pictures per round; the best is kept")
    images.add_argument("--verifier", default="draft", metavar="NAME", help="the detector in the loop (default: draft)")
    images.add_argument("--engine", default="draft", metavar="NAME", help="what paints (default: draft)")
    images.add_argument("--keep", type=output_folder, default=KEEP, metavar="FOLDER", help="results (%(default)s)")
    add_detector_arguments(images)
    planned_layouts.add_arguments(parser, LAYOUTS)
    parser.set_defaults(out=None)  # of pictures it goes to --keep


def run(args: argparse.Namespace) -> EvaluationResult:
    """The command.

    Raises:
        BadInput: the detector steered the painting, or a file or folder holds something else.
        ServiceError: something that is needed cannot be loaded or reached.
    """
    return run_images(args) if args.stage == "image" else run_layouts(args)


def run_layouts(args: argparse.Namespace) -> EvaluationResult:
    """Plan, and score the plans beside those of GPT-4."""
    name, layouts = planned_layouts.layouts_for(args, [case.prompt for case in cases()])
    ours = score(layouts)
    theirs = score(gpt4_layouts())
    failures = ours.pop("failures")
    rows = [[task, share_cell(ours["tasks"][task]), share_cell(theirs["tasks"][task])] for task in TASKS]
    rows.append(["all", share_cell(ours["all"]), share_cell(theirs["all"])])
    table = Table("LMD benchmark, layouts", ["task", name, "GPT-4, recorded"], rows)
    figures = {"stage": args.stage, "planner": name, **ours, "gpt4_recorded": theirs}
    args.out = args.out or LAYOUTS
    return EvaluationResult("lmd", figures, (table,), failures=failures)


def run_images(args: argparse.Namespace) -> EvaluationResult:
    """Paint what is missing, look at everything, score.

    Raises:
        BadInput: the detector steered the painting, or a folder holds pictures of other settings.
        ServiceError: something that is needed cannot be loaded.
    """
    if not 1 <= args.count <= len(cases()):
        raise BadInput("count", f"{args.count}: there are {len(cases())} prompts")
    chosen = choose_cases(args.count)
    loops = args.rounds > 1 or args.images > 1
    if args.pictures:
        galleries = open_galleries(args.pictures)
    else:
        check_apart(args.detector, args.verifier if loops else "none")
        galleries = _paint_rounds(args, chosen) if loops else {"pictures": _paint_once(args, chosen)}
    for gallery in galleries.values():
        check_scorer(args.detector, gallery)
    detector = load_scorer(args)
    columns = {}
    pictures: dict[str, DetectedPicture] = {}
    for name, gallery in galleries.items():
        pictures = look(detector, gallery, chosen)
        columns[name] = picture_figures(pictures, chosen)
    failures = columns[name]["failures"]
    if failures:
        contact_sheet(_tiles(failures, pictures, detector), args.keep / SHEET, SIDE, columns=5)
    return _result(args, gallery, columns, _notes(args, pictures, chosen, failures))


def open_galleries(folder: Path) -> dict[str, Gallery]:
    """The pictures of a folder with a manifest, or the first and the best of ``python -m agent.batch``."""
    if (folder / FILE).exists() or not (folder / batch.BEST).is_dir():
        return {"pictures": Gallery.open(folder)}
    return {"round 0": Gallery.open(folder / batch.FIRST), "best round": Gallery.open(folder / batch.BEST)}


def _paint_once(args: argparse.Namespace, chosen: Sequence[Case]) -> Gallery:
    """Every prompt planned once and painted once; the n-th from seed ``--seed`` + n."""
    size = engine_info(args.engine).native_size
    engine = load_engine(args.engine)
    folder = args.keep / "once"
    planner = str(args.layouts or args.planner)
    expected = painted_with(engine, engine.defaults, planner=planner, verifier="none", seed=args.seed)
    manifest = open_manifest(folder, expected)
    missing = [case.prompt for case in chosen if prompt_key(case.prompt) not in manifest.keys]
    layouts = planned_layouts.layouts_for(args, missing)[1] if missing else {}
    planned = [(case.prompt, args.seed + number) for number, case in enumerate(chosen) if case.prompt in layouts]
    jobs = [Job(prompt_key(prompt), layouts[prompt].with_size(*size), seed) for prompt, seed in planned]
    with progress_bar() as progress:
        task = progress.add_task("painting", total=len(jobs))
        paint(folder, manifest, jobs, engine, engine.defaults, BATCH, lambda count: progress.advance(task, count))
    return Gallery.open(folder)


def _paint_rounds(args: argparse.Namespace, chosen: Sequence[Case]) -> dict[str, Gallery]:
    """Every prompt through the loop of the agent."""
    if args.layouts:
        raise BadInput("layouts", "are painted once; with --rounds and --images the planner plans")
    folder = args.keep / f"rounds-{args.rounds}-images-{args.images}"
    batch.run_prompts([case.prompt for case in chosen], batch.build_request(vars(args), batch.RUN_FLAGS), folder)
    return open_galleries(folder)


def look(detector: Detector, gallery: Gallery, chosen: Sequence[Case]) -> dict[str, DetectedPicture]:
    """What the detector sees of the things that each prompt is about, by prompt; missing pictures are left out.

    Raises:
        BadInput: the detector does not know one of the things: that it does not see it would say nothing.
    """
    if unknown := [name for case in chosen for name in names_of(case) if not detector.knows(name)]:
        raise BadInput("detector", f'{detector.name} does not know "{unknown[0]}"')
    keys = set(gallery.keys)
    by_key = {prompt_key(case.prompt): case for case in chosen if prompt_key(case.prompt) in keys}
    pictures = {}
    with progress_bar() as progress:
        task = progress.add_task(f"looking, {gallery.folder.name}", total=len(by_key))
        for painted in gallery.pictures(list(by_key)):
            case = by_key[painted.key]
            [detections] = detector.detect([painted.image], names_of(case))
            surest_first = sorted(detections, key=lambda detection: -detection.score)
            pictures[case.prompt] = DetectedPicture(painted, tuple(surest_first))
            progress.advance(task)
    return pictures


def names_of(case: Case) -> list[str]:
    """The things that a prompt is about."""
    return sorted({name for check in case.checks for name in check.names})


def picture_figures(pictures: dict[str, DetectedPicture], chosen: Sequence[Case]) -> dict:
    """`score` of what was seen; "all" is the mean of the tasks, as in the benchmark, whose tasks are of one size."""
    painted = [case for case in chosen if case.prompt in pictures]
    layouts = {case.prompt: as_layout(pictures[case.prompt], case.group == "spatial") for case in painted}
    result = score(layouts, chosen)
    shares = [counts["share"] for counts in result["tasks"].values() if counts["of"]]
    result["all"]["share"] = round(sum(shares) / len(shares), 4)
    for failure in result["failures"]:
        failure["planned"] = True
        failure["seen"] = "there is no picture"
        if picture := pictures.get(failure["prompt"]):
            detections = picture.detections
            failure["seen"] = [f"{found.colour} {found.category} {found.score:.2f}".strip() for found in detections]
    return result


def as_layout(picture: DetectedPicture, surest: bool) -> Layout:
    """What was seen, as a layout that can be checked like a plan; ``surest`` keeps one of each category."""
    detections = list(picture.detections)
    if surest:
        detections = list({detection.category: detection for detection in reversed(detections)}.values())
    instances = []
    for detection in detections[:MAX_INSTANCES]:
        caption = f"{detection.colour} {detection.category}".strip()
        instances.append(Instance(caption=caption, category=detection.category, box=detection.box))
    return picture.painted.layout.with_instances(instances)


def _tiles(failures: list[dict], pictures: dict[str, DetectedPicture], detector: Detector) -> list[Tile]:
    """The failed pictures, with what was planned and seen drawn over them."""
    tiles = []
    for failure in failures[:MOST_ON_SHEET]:
        words = failure["prompt"].removeprefix(PREAMBLE)
        picture = pictures.get(failure["prompt"])
        if picture is None:
            tiles.append(Tile(Image.new("RGB", (SIDE, SIDE), "lightgray"), (words, failure["seen"]), "firebrick"))
            continue
        painted = picture.painted
        report = match(painted.layout, picture.detections, detector.canonical, detector=detector.name)
        lines = (words, f"seen: {', '.join(failure['seen']) or 'nothing'}", f"failed: {', '.join(failure['failed'])}")
        tiles.append(Tile(draw_report(painted.image, painted.layout, report), lines, "firebrick"))
    return tiles


def _notes(
    args: argparse.Namespace, pictures: dict[str, DetectedPicture], chosen: Sequence[Case], failures: list[dict]
) -> list[str]:
    weight = sum(case.repeat for case in chosen)
    counts = f"{len(pictures)} pictures of {len(chosen)} prompts, which count {weight} times"
    published = "all: the mean of the tasks. Published: Lian et al., 2024, photographs looked at by OWL-ViT"
    notes = [f"{counts}; {args.detector} looked at them", published]
    if pictures and not any(detection.colour for picture in pictures.values() for detection in picture.detections):
        notes.append(f"{args.detector} tells no colours, so that no attribution can hold")
    if len(pictures) < len(chosen):
        notes.append(f"{len(chosen) - len(pictures)} prompts have no picture, and fail")
    return notes + ([f"failures: {args.keep / SHEET}"] if failures else [])


def _result(args: argparse.Namespace, gallery: Gallery, columns: dict[str, dict], notes: list[str]) -> EvaluationResult:
    """The figures of all columns; those of the last one, the best round, stand for the whole."""
    rows = []
    for task in (*TASKS, "all"):
        counts = [column["all"] if task == "all" else column["tasks"][task] for column in columns.values()]
        published = [sum(shares.values()) / 4 if task == "all" else shares[task] for shares in PUBLISHED.values()]
        rows.append([task, *(percent(count["share"]) for count in counts), *(f"{value:.1f}" for value in published)])
    final = list(columns.values())[-1]
    figures = {"detector": args.detector, "painted_with": gallery.painted_with, "columns": columns}
    figures |= {"tasks": final["tasks"], "all": final["all"]}
    table = Table(f"LMD benchmark, pictures, {args.count} prompts", ["percent", *columns, *PUBLISHED], rows)
    result = EvaluationResult("lmd-image", figures, (table,), notes, failures=final["failures"])
    result.write(args.keep)
    return result
