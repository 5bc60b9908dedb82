"""``python -m evaluators eye``: how far a detector's word can be trusted."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from evaluators.coco.dataset import read_dataset
from evaluators.coco.scoring import with_photographs
from evaluators.detectors import Detector
from evaluators.draft import held_out
from evaluators.eye.examination import Examined
from evaluators.gallery import add_detector_arguments, load_scorer
from evaluators.reporting import EvaluationResult, add_output_arguments, progress_bar
from instdiff.errors import BadInput, ServiceError
from instdiff.formats.coco_file import CROWD_HELP, Crowd
from instdiff.formats.layout_sets import load_layouts

if TYPE_CHECKING:
    from instdiff.layout import Layout
    from instdiff.training.draft.composer import Composer

OUT = Path("outputs/evaluations/eye")
PLANS = Path(__file__).with_name("planned.jsonl")
PARTS = ("composed", "painted", "spoiled", "planned", "categories")
COUNT = 500
MAX_COUNT = 2000
EACH = 20
MAX_EACH = 1000
FALSE_YES = 0.01
HELP = """How far can a detector's word be trusted? It is asked about pictures whose contents are known: is this thing
in this place? Half of the composed pictures calibrate: of the answers about categories that are not on a picture, one
in a hundred (--false-yes) may be a yes, and the score from which on that holds stands beside the detector's own. All
figures are of the other half, at both.

parts (--parts):
  composed    held-out scenes of the draft world: yes to what is there, to other categories, to the most similar one
  painted     the same through the painter's autoencoder, with noise on the latents
  spoiled     the same with one thing removed, swapped, recoloured, moved or drawn twice: is the picture still verified?
  planned     layouts drawn perfectly, and with one thing swapped: those of --plans, by default what
              `python -m agent.plans agent/benchmarks/data/gain_prompts.txt --seed 0` writes
  categories  every category --each times by itself

The drawings are the emoji sets of the training (fetched once, or --sprites), and need the packages of the extra
"train". With --coco the pictures are your own photographs instead, and every second one calibrates.

refused.png and accepted.png in --out/DETECTOR show pictures on which the detector is wrong, with the plan and what it
sees.

examples:
  python -m evaluators eye --detector judge --count 100 --parts composed,spoiled
  python -m evaluators eye --detector owlv2 --coco instances_val2017.json --images val2017 --count 200"""


@dataclass(frozen=True)
class Options:
    """What is asked, of which pictures, and where the results go."""

    count: int = COUNT
    each: int = EACH
    parts: tuple[str, ...] = PARTS
    false_yes: float = FALSE_YES
    plans: Path = PLANS
    sprites: Path | None = None
    coco: Path | None = None
    images: Path | None = None
    out: Path = OUT


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m evaluators eye``."""
    add_detector_arguments(parser, "draft")
    parser.add_argument("--parts", metavar="LIST", help=f"what is asked (default: {','.join(PARTS)})")
    parser.add_argument("--count", type=int, default=COUNT, metavar="N", help="pictures (%(default)s)")
    parser.add_argument("--each", type=int, default=EACH, metavar="N", help="drawings of a category (%(default)s)")
    allowed = "false answers that may be a yes (%(default)s)"
    parser.add_argument("--false-yes", type=float, default=FALSE_YES, metavar="SHARE", help=allowed)
    parser.add_argument("--plans", type=Path, default=PLANS, metavar="FILE", help="what agent.plans wrote (100 plans)")
    parser.add_argument("--sprites", type=Path, metavar="FOLDER", help="the emoji sets (fetched into the cache)")
    parser.add_argument("--crowd", choices=get_args(Crowd), default="auto", help=CROWD_HELP)
    parser.add_argument("--coco", type=Path, metavar="FILE", help="annotations in COCO's format; needs --images")
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="the photographs that they are of")
    add_output_arguments(parser, OUT)


def run(args: argparse.Namespace) -> EvaluationResult:
    """The command: checks what is asked for, loads the detector, and examines it.

    Raises:
        BadInput: an option or a file is wrong.
        ServiceError: the detector, the drawings or the packages for them are not there.
    """
    options = read_options(args)
    if options.coco and options.images:
        return examine_photographs(options, args)
    plans = load_layouts(options.plans)
    detector = load_scorer(args)
    return examine_drawings(options, detector, _composer(options.sprites), plans)


def examine_photographs(options: Options, args: argparse.Namespace) -> EvaluationResult:
    """The examination on annotated photographs."""
    from evaluators.eye.photographs import annotated, examine

    assert options.coco and options.images
    dataset = with_photographs(read_dataset(options.coco, count=options.count, crowd=args.crowd), options.images)
    annotated(dataset)  # too few are refused before anything heavy is loaded
    detector = load_scorer(args)
    with progress_bar() as progress:
        examined = examine(detector, dataset, options.images, options.false_yes, progress)
    return _write(options, detector, {"annotations": options.coco.name, "pictures": len(dataset.samples)}, examined)


def examine_drawings(
    options: Options, detector: Detector, composer: Composer, plans: Sequence[Layout]
) -> EvaluationResult:
    """The examination on pictures of the draft world."""
    from evaluators.eye.draft_world import DraftWorld, examine

    world = DraftWorld(composer, plans, options.count, options.each)
    with progress_bar() as progress:
        examined = examine(detector, world, options.parts, options.false_yes, progress)
    return _write(options, detector, {"pictures": options.count, "each": options.each}, examined)


def read_options(args: argparse.Namespace) -> Options:
    """The command line, checked."""
    if bool(args.coco) != bool(args.images):
        raise BadInput("images" if args.coco else "coco", "photographs need both --coco and --images")
    if args.coco and args.parts:
        raise BadInput("parts", "are those of drawings; photographs (--coco) are asked about as they are")
    named = [part.strip() for part in args.parts.split(",")] if args.parts else list(PARTS)
    if unknown := [part for part in named if part not in PARTS]:
        raise BadInput("parts", f'"{unknown[0]}" is not known; choose from {", ".join(PARTS)}')
    if not 4 <= args.count <= MAX_COUNT:
        raise BadInput("count", f"{args.count} is outside 4..{MAX_COUNT}")
    if not 2 <= args.each <= MAX_EACH:
        raise BadInput("each", f"{args.each} is outside 2..{MAX_EACH}")
    if not 0 < args.false_yes < 1:
        raise BadInput("false_yes", f"{args.false_yes:g} is no share between 0 and 1")
    out = args.folder / re.sub(r"[^\w.-]+", "-", args.detector)
    given = (args.plans, args.sprites, args.coco, args.images, out)
    return Options(args.count, args.each, tuple(named), args.false_yes, *given)


def _composer(sprites: Path | None) -> Composer:
    """The composer of the training scenes, with the drawings in a folder or the cache."""
    try:
        return held_out.make_composer(held_out.sprites_folder(sprites))
    except ImportError as error:
        raise ServiceError(f'pictures cannot be drawn ({error}); pip install -e ".[train]"') from error


def _write(options: Options, detector: Detector, measured: dict, examined: Examined) -> EvaluationResult:
    """The result of an examination, written with its sheets into the folder."""
    examination, figures, made, notes = examined
    bars = examination.bars
    milliseconds = figures["milliseconds"]
    said = f"bars: {', '.join(f'{name} {bar:.3f}' for name, bar in bars.items())}"
    of_other = f"calibrated to {100 * options.false_yes:g} % of other categories that are not on the picture"
    notes = [f"{said} ({of_other})", f"a look takes {milliseconds:.0f} ms a picture, one by one", *notes]
    sheets = examination.sheets.write(options.out)
    notes += [f"written: {', '.join(map(str, sheets))}"] if sheets else []
    measured = {"detector": detector.name, **measured, "false_yes": options.false_yes, "bars": bars, **figures}
    measured["most_similar"] = examination.similar
    result = EvaluationResult("eye", measured, tuple(made), notes)
    result.write(options.out)
    return result
