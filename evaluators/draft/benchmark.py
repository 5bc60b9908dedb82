"""The benchmark of the bundled draft stack: 500 held-out layouts painted, and scored beside the real pictures."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from evaluators.contact_sheet import Tile, contact_sheet
from evaluators.detectors import Detector
from evaluators.draft import held_out as draft_layouts
from evaluators.draft import paint as draft_paint
from evaluators.draft import scores as draft_scores
from evaluators.draft.held_out import HeldOutLayout
from evaluators.draft.paint import Row
from evaluators.gallery import load_bundled, look
from evaluators.manifest import Manifest, open_manifest, read_manifest, read_pictures
from evaluators.reporting import EvaluationResult, add_output_arguments, progress_bar
from instdiff.cli import add_options, given_values, input_folder, output_file, output_folder, parse_values
from instdiff.engine import engine_info, load_engine
from instdiff.errors import BadInput, ServiceError
from instdiff.render_settings import PRESETS, RenderSettings, resolve_settings

if TYPE_CHECKING:
    from PIL.Image import Image
    from rich.progress import Progress

    from instdiff.engine import PipelineEngine
    from instdiff.training.draft.composer import Composer

OUT = Path("outputs/evaluations/draft")
ON_SHEET = 48  # layouts
SHEET_SIDE = 160  # of a picture, in pixels
SHEET_COLUMNS = 12
BATCH = 8  # with guidance, eight layouts fill the sixteen rows that the UNet is given at once
SETTINGS = ("steps", "guidance", "mis", "alpha", "preset")  # the flags of `RenderSettings` that are taken
HELP = """Paints 500 held-out layouts with the bundled draft model, lets the judge look at the pictures, and scores them
beside the composed pictures that the layouts were taken from (the upper bound). The judge is a detector that the agent
never uses.

Layouts are told by one kind of place at a time. Pictures are kept under --out and painted once: a stopped benchmark
goes on when it is started again, and is refused if the settings or the model have changed. The composed pictures need
the emoji sets of the training (fetched once, or --sprites) and the packages of the extra "train"; without them the
upper bound is left out.

"Points in mask" are those inside what was found for their own thing, of all points; "as published" counts by the
published program, which passes over what is not found: see `python -m evaluators pim --help`."""


@dataclass(frozen=True)
class Options:
    """What is painted, how, and where it is kept; ``settings`` that are None are the engine's own."""

    places: tuple[str, ...] = draft_layouts.PLACES
    count: int = draft_layouts.COUNT
    ablations: bool = False
    presets: bool = False
    settings: RenderSettings = RenderSettings()
    batch: int = BATCH
    sprites: Path | None = None
    out: Path = OUT
    sheet: Path | None = None
    beside: Path | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m evaluators draft``."""
    parser.add_argument("--places", default="box,mask,point,scribble", metavar="LIST", help="places told (%(default)s)")
    parser.add_argument("--count", type=int, default=draft_layouts.COUNT, metavar="N", help="only the first N layouts")
    parser.add_argument("--ablations", action="store_true", help="the first place also without MIS, ScaleU, captions")
    parser.add_argument("--presets", action="store_true", help="the first place also with the other presets")
    parser.add_argument("--engine", default="draft", metavar="NAME", help="what paints: draft, or a model folder")
    add_options(parser, RenderSettings, SETTINGS)
    parser.add_argument("--batch", type=int, default=BATCH, metavar="N", help="layouts painted at once (%(default)s)")
    parser.add_argument("--sprites", type=Path, metavar="FOLDER", help="the emoji sets (fetched into the cache)")
    parser.add_argument("--sheet", type=output_file, metavar="FILE", help="the first layouts, composed and painted")
    parser.add_argument(
        "--beside", type=input_folder, metavar="FOLDER", help="on the sheet: pictures of another run's row"
    )
    parser.add_argument("--write-layouts", action="store_true", help="compose the layouts anew into the package; stop")
    parser.add_argument("--export-coco", type=output_folder, metavar="FOLDER", help="write a COCO data set, and stop")
    add_output_arguments(parser, OUT)


def run(args: argparse.Namespace) -> EvaluationResult:
    """The command: checks what is asked for, loads the models and runs the benchmark.

    Raises:
        BadInput: an option is wrong, or --out holds pictures of other settings.
        ServiceError: the judge's weights, the drawings or pycocotools are not there.
    """
    options = read_options(args)
    if args.write_layouts:
        size = draft_layouts.write_layouts(draft_layouts.sprites_folder(options.sprites))
        note = f"{draft_layouts.COUNT} layouts written to {draft_layouts.FILE} ({size} bytes)"
        return EvaluationResult("draft", {}, notes=[note])
    if args.export_coco:
        return _export(args.export_coco, options)
    engine_info(args.engine)  # a wrong name is refused before anything is loaded
    judge = load_bundled("judge")
    return benchmark(options, load_engine(args.engine), judge)


def _export(folder: Path, options: Options) -> EvaluationResult:
    """Write the held-out layouts as a data set in COCO's format."""
    try:
        composer = draft_layouts.make_composer(draft_layouts.sprites_folder(options.sprites))
    except ImportError as error:
        raise ServiceError(f'pictures cannot be composed ({error}); pip install -e ".[train]"') from error
    held_out = draft_layouts.read_layouts()[: options.count]
    with progress_bar() as progress:
        task = progress.add_task("composing", total=len(held_out))
        count = draft_layouts.export_coco(held_out, composer, folder, lambda: progress.advance(task))
    files = f"{draft_layouts.ANNOTATIONS}, {draft_layouts.CAPTIONS}, {draft_layouts.IMAGES}/"
    note = f"{len(held_out)} pictures with {count} annotations written to {folder}: {files}"
    return EvaluationResult("draft", {"exported": len(held_out), "annotations": count}, notes=[note])


def read_options(args: argparse.Namespace) -> Options:
    """The command line, checked."""
    places = tuple(dict.fromkeys(place.strip() for place in args.places.split(",")))
    if unknown := [place for place in places if place not in draft_layouts.PLACES]:
        raise BadInput("places", f'"{unknown[0]}" is not known; choose from {", ".join(draft_layouts.PLACES)}')
    if not 1 <= args.count <= draft_layouts.COUNT:
        raise BadInput("count", f"{args.count}: there are {draft_layouts.COUNT} layouts")
    settings = parse_values(RenderSettings, given_values(RenderSettings, vars(args), SETTINGS))
    if args.presets and settings.preset != "exact":
        raise BadInput("presets", f"compares with exact pictures, not with --preset {args.preset}; drop one of them")
    if not 1 <= args.batch <= 64:
        raise BadInput("batch", f"{args.batch} is outside 1..64")
    if args.beside and not args.sheet:
        raise BadInput("beside", "is shown on a sheet; give --sheet too")
    return Options(
        places, args.count, args.ablations, args.presets, settings, args.batch, args.sprites, args.folder, args.sheet,
        args.beside,
    )  # fmt: skip


def benchmark(options: Options, engine: PipelineEngine, judge: Detector) -> EvaluationResult:
    """Paint what is not painted yet, look at everything, score, and write the result into ``out``."""
    held_out = draft_layouts.read_layouts()
    settings = resolve_settings(options.settings, engine.defaults)
    rows, notes = _rows(options, settings)
    settings_of = {row: row.settings(options.settings, engine.defaults) for row in rows}
    manifests = {  # all are checked before the first is painted
        row: open_manifest(options.out / row.folder, draft_paint.painted_with(row, engine, held_out, settings_of[row]))
        for row in rows
    }
    first = held_out[: options.count]
    vocabulary = sorted({stored.category for layout in held_out for stored in layout.scene.instances})
    if unknown := [name for name in vocabulary if not judge.knows(name)]:
        share = f"{len(unknown)} of {len(vocabulary)} categories"
        notes.append(f"the judge does not know {share}, which count as not found")

    figures: dict[str, dict] = {}
    with progress_bar() as progress:

        def score(name: str, images: Iterable[Image], places: Sequence[str]) -> None:
            task = progress.add_task(f"judging {name}", total=options.count)
            detections = look(judge, images, vocabulary, lambda count: progress.advance(task, count))
            figures[name] = draft_scores.row_figures(first, detections, engine.native_size, places, judge.canonical)

        if composer := _composer(options.sprites, notes):  # before painting, so that a wrong folder is noticed at once
            score(draft_scores.UPPER_BOUND, _composites(first, composer), draft_layouts.PLACES)
        notes += _paint_all(manifests, options, engine, first, settings_of, progress)
        keys = draft_paint.keys(options.count)
        for row, manifest in manifests.items():
            score(row.name, read_pictures(manifest, options.out / row.folder, keys), (row.place,))
    if options.sheet:
        _write_sheet(options, first, composer, {row.name: (manifests[row], options.out / row.folder) for row in rows})
    result = _result(options, engine, settings, figures, notes)
    if options.presets:
        place = options.places[0]
        compared = [row for row in rows if row.place == place and not row.without]
        judged = {row.preset or settings.preset: (settings_of[row], figures[row.name]) for row in compared}
        presets, table = draft_scores.compare_presets(engine, judged, first, place)
        result = replace(result, figures={**result.figures, "presets": presets}, tables=(*result.tables, table))
    result.write(options.out)
    return result


def _write_sheet(
    options: Options,
    held_out: Sequence[HeldOutLayout],
    composer: Composer | None,
    rows: dict[str, tuple[Manifest, Path]],
) -> None:
    """The first layouts as composed pictures, as another run painted them, and as each row shows them."""
    shown = held_out[:ON_SHEET]
    keys = draft_paint.keys(len(shown))
    columns: dict[str, Iterator[Image]] = {"composed": _composites(shown, composer)} if composer else {}
    if options.beside:
        columns["beside"] = read_pictures(read_manifest(options.beside), options.beside, keys)
    columns |= {name: read_pictures(manifest, folder, keys) for name, (manifest, folder) in rows.items()}
    tiles = []
    for layout, *images in zip(shown, *columns.values(), strict=True):
        lines = [layout.scene.caption, *[""] * (len(images) - 1)]
        tiles += [Tile(image, line) for image, line in zip(images, zip(lines, columns, strict=True), strict=True)]
    contact_sheet(tiles, options.sheet or OUT, SHEET_SIDE, len(columns) * max(SHEET_COLUMNS // len(columns), 1))


def _rows(options: Options, settings: RenderSettings) -> tuple[list[Row], list[str]]:
    """The rows to paint, and notes on those that are left out."""
    rows = [Row(place) for place in options.places]
    notes = []
    if options.ablations:
        notes.append("no captions: the instances are told by their places alone; the caption of the whole stays")
        for part, name in draft_paint.ABLATIONS.items():
            if part == "mis" and (settings.mis or 0) * (settings.num_inference_steps or 0) < 1:
                notes.append(f'"{name}" is left out: all rows are painted without (mis {settings.mis:g}); give --mis')
            else:
                rows.append(Row(options.places[0], part))
    if options.presets:
        rows += [Row(options.places[0], preset=name) for name in PRESETS if name != settings.preset]
    return rows, notes


def _paint_all(
    manifests: dict[Row, Manifest],
    options: Options,
    engine: PipelineEngine,
    held_out: Sequence[HeldOutLayout],
    settings_of: dict[Row, RenderSettings],
    progress: Progress,
) -> list[str]:
    """Paint what is missing in every row, and replace the old manifests; returns notes on how long it took."""
    keys = set(draft_paint.keys(len(held_out)))
    total = sum(len(keys - manifest.keys) for manifest in manifests.values())
    if not total:
        return []
    task = progress.add_task("painting", total=total)
    advance = partial(progress.advance, task)
    start = time.monotonic()
    for row, manifest in manifests.items():
        progress.update(task, description=f"painting {row.name}")
        manifests[row] = draft_paint.paint(
            row, manifest, options.out / row.folder, engine, held_out, settings_of[row], options.batch, advance
        )
    seconds = time.monotonic() - start
    return [f"{total} pictures painted in {seconds:.0f} s, {seconds / total:.2f} s each, in batches of {options.batch}"]


def _composer(sprites: Path | None, notes: list[str]) -> Composer | None:
    """The composer of the upper bound; None, with a note, where the drawings or the packages for it cannot be had."""
    try:
        return draft_layouts.make_composer(draft_layouts.sprites_folder(sprites))
    except (ServiceError, ImportError) as error:
        notes.append(f"the upper bound is left out, because the pictures cannot be composed: {error}")
        return None


def _composites(held_out: Sequence[HeldOutLayout], composer: Composer) -> Iterator[Image]:
    """The composed pictures of the layouts."""
    from PIL import Image

    for composite in draft_layouts.recompose(held_out, composer):
        yield Image.fromarray(composite.image)


def _result(
    options: Options, engine: PipelineEngine, settings: RenderSettings, figures: dict, notes: list[str]
) -> EvaluationResult:
    """All figures of the rows, with their table."""
    if draft_scores.UPPER_BOUND in figures:
        notes = [f"{draft_scores.UPPER_BOUND}: the pictures that the layouts were taken from, the upper bound", *notes]
    chosen: dict = {"steps": settings.num_inference_steps, "guidance": settings.guidance_scale, "mis": settings.mis}
    chosen |= {"alpha": settings.alpha, "preset": settings.preset}
    measured = {"layouts": options.count, "engine": engine.name, "model_hash": engine.model_hash}
    measured |= {"settings": chosen, "rows": figures}
    table = draft_scores.make_table(f"Draft benchmark, {options.count} held-out layouts", figures)
    return EvaluationResult("draft", measured, (table,), notes)
