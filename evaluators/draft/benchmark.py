"""The benchmark of the bundled draft stack: 500 held-out layouts painted, seen by the judge and scored beside the real
pictures.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evaluators.draft import held_out as draft_layouts
from evaluators.draft import paint as draft_paint
from evaluators.draft import scores
from evaluators.draft import scores as draft_scores
from evaluators.gallery import look
from evaluators.manifest import open_manifest, read_pictures
from evaluators.reporting import progress_bar, write_results
from instdiff.errors import BadInput, ServiceError
from instdiff.render_settings import PRESETS, RenderSettings, resolve_settings
from instdiff.settings import cache_folder

if TYPE_CHECKING:
    from PIL.Image import Image
    from rich.progress import Progress

    from evaluators.detectors.draft import DraftDetector
    from evaluators.draft.held_out import HeldOut
    from evaluators.draft.paint import Row
    from instdiff.engine import PipelineEngine
    from instdiff.training.draft.composer import Composer

OUT = Path("outputs/evaluations/draft")
BATCH = 8  # with guidance, eight layouts fill the sixteen rows that the UNet is given at once
SETTINGS = {"steps": "num_inference_steps", "guidance": "guidance_scale", "mis": "mis", "alpha": "alpha"}
HELP = """Paints 500 held-out layouts with the bundled draft model, lets the judge look at the pictures, and scores them beside the
composed pictures that the layouts were taken from (the upper bound). The judge is a detector that the agent never uses.

Layouts are told by one kind of place at a time. Pictures are kept under --out and painted once: a stopped benchmark goes on
when it is started again, and is refused if the settings or the model have changed. The composed pictures need the emoji sets of
the training (fetched once, or --sprites) and the packages of the extra "train"; without them the upper bound is left out.

"Points in mask" are those inside what was found for their own thing, of all points; "as published" counts by the published
program, which passes over what is not found: see `python -m evaluators pim --help`."""


@dataclass(frozen=True)
class Options:
    """What is painted, how, and where it is kept; ``settings`` that are None are the engine's own."""

    places: tuple[str, ...] = draft_layouts.PLACES
    count: int = draft_layouts.COUNT
    ablations: bool = False
    scores: bool = False
    settings: RenderSettings = RenderSettings()
    batch: int = BATCH
    sprites: Path | None = None
    out: Path = OUT


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m evaluators draft``."""
    parser.add_argument(
        "--places",
        default="box,mask,point,scribble",
        metavar="LIST",
        help="kinds of place to tell (default: %(default)s)",
    )
    parser.add_argument("--count", type=int, default=draft_layouts.COUNT, metavar="N", help="only the first N layouts")
    parser.add_argument(
        "--ablations",
        action="store_true",
        help="also without MIS, ScaleU and instance captions, under the first of --places",
    )
    parser.add_argument(
        "--preset", choices=[*PRESETS], default="exact", help="paint everything so (default: %(default)s)"
    )
    parser.add_argument(
        "--presets",
        action="store_true",
        help="also with the other presets, under the first of --places, and what they gain",
    )
    parser.add_argument("--engine", default="draft", metavar="NAME", help="what paints: draft, or a model folder")
    for name, field in SETTINGS.items():
        parser.add_argument(
            f"--{name}", type=int if name == "steps" else float, metavar="N", help=f"{field} (default: the engine's)"
        )
    parser.add_argument(
        "--batch", type=int, default=BATCH, metavar="N", help="layouts painted at once (default: %(default)s)"
    )
    parser.add_argument(
        "--sprites", type=Path, metavar="FOLDER", help="the emoji sets (default: fetched into the cache)"
    )
    parser.add_argument(
        "--write-layouts", action="store_true", help="compose the layouts anew, into the package, and stop"
    )
    parser.add_argument(
        "--export-coco",
        type=Path,
        metavar="FOLDER",
        help="write layouts and composed pictures as a COCO data set, and stop",
    )
    where = "where pictures, results.json and results.md go (default: %(default)s)"
    parser.add_argument("--out", type=Path, default=OUT, dest="folder", metavar="FOLDER", help=where)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.set_defaults(out=None)  # the results are written into the folder, not into one more file


def run(args: argparse.Namespace) -> dict:
    """The command: checks what is asked for, loads the models and runs the benchmark.

    Raises:
        BadInput: an option is wrong, or --out holds pictures of other settings.
        ServiceError: the judge's weights, the drawings or pycocotools are not there.
    """
    options = read_options(args)
    if args.write_layouts:
        size = draft_layouts.write_layouts(_sprites(options.sprites))
        note = f"{draft_layouts.COUNT} layouts written to {draft_layouts.FILE} ({size} bytes)"
        return {"evaluation": "draft", "notes": [note]}
    if args.export_coco:
        return _exported(args.export_coco, options)

    from evaluators.detectors import load_detector
    from instdiff.engine import engine_info, load_engine

    engine_info(args.engine)  # a wrong name is refused before anything is loaded
    try:
        judge = load_detector("judge")
    except OSError as error:
        raise ServiceError(f"the judge cannot be loaded: {' '.join(str(error).split())}") from error
    return benchmark(options, load_engine(args.engine), judge)


def _exported(folder: Path, options: Options) -> dict:
    """The held-out layouts as a data set in COCO's format, in a folder."""
    from evaluators.draft.held_out import ANNOTATIONS, CAPTIONS, IMAGES, export_coco

    try:
        composer = draft_layouts.make_composer(_sprites(options.sprites))
    except ImportError as error:
        raise ServiceError(f'pictures cannot be composed ({error}); pip install -e ".[train]"') from error
    with progress_bar() as progress:
        task = progress.add_task("composing", total=options.count)
        held_out = draft_layouts.read_layouts()[: options.count]
        things = export_coco(held_out, composer, folder, lambda: progress.advance(task))
    note = (
        f"{len(held_out)} pictures with {things} annotations written to {folder}: {ANNOTATIONS}, {CAPTIONS}, {IMAGES}/"
    )
    return {"evaluation": "draft", "exported": len(held_out), "annotations": things, "notes": [note]}


def read_options(args: argparse.Namespace) -> Options:
    """The command line, checked."""
    places = tuple(dict.fromkeys(place.strip() for place in args.places.split(",")))
    if unknown := [place for place in places if place not in draft_layouts.PLACES]:
        raise BadInput("--places", f'"{unknown[0]}" is not known; choose from {", ".join(draft_layouts.PLACES)}')
    if not 1 <= args.count <= draft_layouts.COUNT:
        raise BadInput("--count", f"{args.count}: there are {draft_layouts.COUNT} layouts")
    if args.presets and args.preset != "exact":
        raise BadInput("--presets", f"compares with exact pictures, not with --preset {args.preset}; drop one of them")
    if not 1 <= args.batch <= 64:
        raise BadInput("--batch", f"{args.batch} is outside 1..64")
    chosen: dict = {"preset": args.preset}
    for name, field in SETTINGS.items():
        try:
            chosen[field] = getattr(RenderSettings.parse({field: getattr(args, name)}), field)
        except BadInput as error:
            raise BadInput(f"--{name}", error.reason) from error
    return Options(
        places,
        args.count,
        args.ablations,
        args.presets,
        RenderSettings(**chosen),
        args.batch,
        args.sprites,
        args.folder,
    )


def benchmark(options: Options, engine: PipelineEngine, judge: DraftDetector) -> dict:
    """Paint what is not painted yet, look at everything, score, and write ``results.json`` and ``results.md`` into
    ``out``.
    """
    held_out = draft_layouts.read_layouts()
    settings = resolve_settings(options.settings, engine.defaults)
    rows, notes = _rows(options, settings)
    settings_of = {row: row.settings(options.settings, engine.defaults) for row in rows}
    manifests = {}
    for row in rows:  # all are checked before the first is painted
        expected = draft_paint.painted_with(row, engine, held_out, settings_of[row])
        manifests[row] = open_manifest(options.out / row.folder, expected)
    first = held_out[: options.count]
    vocabulary = sorted({one.category for each in held_out for one in each.scene.instances})
    if unknown := [name for name in vocabulary if not judge.knows(name)]:
        notes.append(
            f"the judge does not know {len(unknown)} of {len(vocabulary)} categories, which count as not found"
        )

    figures: dict[str, dict] = {}
    with progress_bar() as progress:

        def score(name: str, images: Iterable[Image], places: Sequence[str]) -> None:
            task = progress.add_task(f"judging {name}", total=options.count)
            seen = look(judge, images, vocabulary, lambda count: progress.advance(task, count))
            figures[name] = draft_scores.row_figures(first, seen, engine.native_size, places, judge.canonical)

        if composer := _composer(options.sprites, notes):  # before painting, so that a wrong folder is noticed at once
            score(draft_scores.UPPER_BOUND, _composites(first, composer), draft_layouts.PLACES)
        notes += _paint_all(manifests, options, engine, first, settings_of, progress)
        for row, manifest in manifests.items():
            score(
                row.name,
                read_pictures(manifest, options.out / row.folder, draft_paint.keys(options.count)),
                (row.place,),
            )
    more = {}
    if options.presets:
        told = {
            row.preset or settings.preset: row for row in rows if row.place == options.places[0] and not row.without
        }
        judged = {name: (settings_of[row], figures[row.name]) for name, row in told.items()}
        more = scores.compared(engine, judged, first, options.places[0])
    return _results(options, engine, settings, figures, notes, more)


def _rows(options: Options, settings: RenderSettings) -> tuple[list[Row], list[str]]:
    """The rows to paint, and what is to be said about those that are left out."""
    rows = [draft_paint.Row(place) for place in options.places]
    notes = []
    if options.ablations:
        notes.append("no captions: the instances are told by their places alone; the caption of the whole stays")
    for part, name in draft_paint.ABLATIONS.items() if options.ablations else ():
        if part == "mis" and int(settings.mis * settings.num_inference_steps) == 0:
            notes.append(f'"{name}" is left out: all rows are painted without it (mis {settings.mis:g}); give --mis')
        else:
            rows.append(draft_paint.Row(options.places[0], part))
    rows += [
        draft_paint.Row(options.places[0], preset=name)
        for name in PRESETS
        if options.presets and name != settings.preset
    ]
    return rows, notes


def _paint_all(
    manifests: dict,
    options: Options,
    engine: PipelineEngine,
    held_out: Sequence[HeldOut],
    settings_of: dict,
    progress: Progress,
) -> list[str]:
    """Paint what is missing in every row, in place of whose manifests the new ones are put; returns how long it took,
    in words.
    """
    missing = {row: len(set(draft_paint.keys(len(held_out))) - manifest.keys) for row, manifest in manifests.items()}
    total = sum(missing.values())
    if not total:
        return []
    task = progress.add_task("painting", total=total)
    start = time.monotonic()
    for row, manifest in manifests.items():
        progress.update(task, description=f"painting {row.name}")
        folder = options.out / row.folder
        manifests[row] = draft_paint.paint(
            row,
            manifest,
            folder,
            engine,
            held_out,
            settings_of[row],
            options.batch,
            lambda count: progress.advance(task, count),
        )
    seconds = time.monotonic() - start
    return [f"{total} pictures painted in {seconds:.0f} s, {seconds / total:.2f} s each, in batches of {options.batch}"]


def _sprites(folder: Path | None) -> Path:
    """The folder of the emoji sets; by default the cache, into which they are fetched.

    Raises:
        ServiceError: they cannot be fetched.
    """
    if folder:
        return folder
    from instdiff.training.draft.sprites import fetch_sprites

    folder = cache_folder() / "sprites"
    fetch_sprites(folder)
    return folder


def _composer(sprites: Path | None, notes: list[str]) -> Composer | None:
    """The composer of the upper bound; None, with a note, where the drawings or the packages for it cannot be had."""
    try:
        return draft_layouts.make_composer(_sprites(sprites))
    except (ServiceError, ImportError) as error:
        notes.append(f"the upper bound is left out, because the pictures cannot be composed: {error}")
        return None


def _composites(held_out: Sequence[HeldOut], composer: Composer) -> Iterator[Image]:
    """The composed pictures of the layouts."""
    from PIL import Image

    for image in draft_layouts.recompose(held_out, composer):
        yield Image.fromarray(image)


def _results(
    options: Options, engine: PipelineEngine, settings: RenderSettings, figures: dict, notes: list[str], more: dict
) -> dict:
    """All figures as JSON, with the table; written into the folder too."""
    title = f"Draft benchmark, {options.count} held-out layouts"
    if draft_scores.UPPER_BOUND in figures:
        notes = [f"{draft_scores.UPPER_BOUND}: the pictures that the layouts were taken from, the upper bound", *notes]
    result = {
        "evaluation": "draft",
        "layouts": options.count,
        "engine": engine.name,
        "model_hash": engine.model_hash,
        "settings": {name: getattr(settings, field) for name, field in {**SETTINGS, "preset": "preset"}.items()},
        "rows": figures,
        "notes": notes,
        "table": draft_scores.make_table(title, figures),
        **more,
    }
    write_results(options.out, result)
    return result
