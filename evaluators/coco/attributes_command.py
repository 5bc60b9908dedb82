"""``python -m evaluators attributes``: things painted in a colour or texture, and whether they show it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evaluators import attributes
from evaluators.clip import MODEL, ClipModel, clip_folder
from evaluators.coco import painting, scoring
from evaluators.coco.dataset import Sample
from evaluators.detectors import BUNDLED
from evaluators.gallery import Gallery, add_detector_arguments, load_bundled
from evaluators.reporting import EvaluationResult, progress_bar
from instdiff.errors import BadInput

if TYPE_CHECKING:
    from PIL.Image import Image
    from rich.progress import Progress

OUT = Path("outputs/evaluations/attributes")
OWN = "real images, own words"
METRICS = {
    "detector": {"right, of all": "of_all", "right, of found": "of_found"},
    "clip": {"accuracy": "accuracy", "local CLIP score": "score"},
}
HELP = f"""Paints the images of COCO annotations with one word before the category of every thing, and asks whether the
things show it. The word follows from the annotation's id, so that it is the same for everybody: word (id modulo 8) of

  colours   {", ".join(attributes.WORDS["colours"])}
  textures  {", ".join(attributes.WORDS["textures"])}

ways to tell (--by):
  clip      as in the published evaluation: CLIP sees each thing's box, and is to find it more like "a red object" than
            like any other of the eight; the local score is the cosine of the box and "red car". Means over pictures.
  detector  the bundled judge (or --detector draft) names the colour and texture of what it finds in its place; of the
            textures it tells metallic and wooden apart, and only things that were asked for those count. The way where
            no CLIP is here.

CLIP is read from a folder of transformers: hf download {MODEL}, or --clip FOLDER. Nothing is
downloaded.

Photographs do not show what was asked for. They are scored for the words that their annotations say they show, in
"attributes": {{"colour": "red"}}, where there are such words, as in the exported draft layouts: how well the words are
told at all.

examples:
  python -m evaluators attributes --kind colours --annotations held_out/annotations.json --images held_out/images \\
      --count 50
  python -m evaluators attributes --kind textures --annotations instances_val2017.json --engine sd15 --by clip"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--kind", choices=tuple(attributes.WORDS), default="colours", help="which words (%(default)s)")
    parser.add_argument("--by", choices=tuple(METRICS), help="who tells (default: clip if it is here, else detector)")
    parser.add_argument("--clip", metavar="FOLDER", help=f"CLIP in transformers layout (default: {MODEL})")
    painting.add_arguments(parser, OUT)
    add_detector_arguments(parser, "judge")


def run(args: argparse.Namespace) -> EvaluationResult:
    """Paint what is missing, look and score.

    Raises:
        BadInput: an option or a file is wrong, or neither CLIP nor such a detector is there.
        ServiceError: what tells the words cannot be loaded.
    """
    work = painting.read_work(args, args.kind)
    dataset = work.dataset()
    if args.num_jobs is not None:
        return painting.run_part(args, work, dataset)
    scored = scoring.with_photographs(dataset, args.images)
    scoring.print_oddities(scored)
    by = args.by or _usual_way(args)
    with progress_bar() as progress:
        tell = _clip_teller(args, progress) if by == "clip" else _detector_teller(args, progress, scored.categories)
        notes = [] if args.merge else painting.paint_missing(args, work, dataset, progress)
        gallery = Gallery.open(work.folder, [sample.key for sample in scored.samples])
        samples = scoring.samples_of(scored, gallery)
        word = attributes.word_of(args.kind)
        rows = {}
        own_words = [[attributes.own_word(anno, args.kind) for anno in sample.things] for sample in samples]
        if args.images and any(map(any, own_words)):
            photographs = scoring.photographs(samples, args.images, gallery.size)
            rows[OWN] = tell(photographs, samples, own_words, OWN)
        words = [[word(anno) for anno in sample.things] for sample in samples]
        rows[args.kind] = tell(gallery.images(), samples, words, args.kind)
    if OWN not in rows:
        needed = "--images, and annotations that say what their things show"
        notes.append(f"the row of the real images is left out: it needs {needed}")
    return _result(args, work, gallery, rows, by, [*notes, *scored.notes])


def _usual_way(args: argparse.Namespace) -> str:
    """CLIP where it is named or found, else the detector."""
    if args.clip:
        return "clip"
    try:
        clip_folder(MODEL)
    except BadInput:
        return "detector"
    return "clip"


Words = Sequence[Sequence[str | None]]  # for each picture, for each thing
Teller = Callable[[Iterable["Image"], Sequence[Sample], Words, str], dict]


def _clip_teller(args: argparse.Namespace, progress: Progress) -> Teller:
    """What gives the figures of pictures by CLIP."""
    clip = ClipModel.load(args.clip or MODEL)

    def tell(images: Iterable[Image], samples: Sequence[Sample], words: Words, title: str) -> dict:
        pictures = progress.track(images, total=len(samples), description=f"CLIP looks at {title}")
        truths = (sample.truth() for sample in samples)
        return attributes.clip_figures(attributes.by_clip(clip, pictures, truths, words, args.kind))

    return tell


def _detector_teller(args: argparse.Namespace, progress: Progress, categories: list[str]) -> Teller:
    """What gives the figures of pictures by a detector that tells colours and textures."""
    if args.detector not in BUNDLED:
        raise BadInput("detector", f"{args.detector} tells no colours; choose {' or '.join(BUNDLED)}, or --by clip")
    detector = load_bundled(args.detector)
    config = detector.model.config
    known = attributes.tellable(args.kind, config.colours if args.kind == "colours" else config.textures)

    def tell(images: Iterable[Image], samples: Sequence[Sample], words: Words, title: str) -> dict:
        detections = scoring.look_with_bar(detector, images, categories, title, len(samples), progress)
        truths = [sample.truth() for sample in samples]
        figures = attributes.by_detector(truths, words, detections.sure, detector.canonical, args.kind, known)
        return figures | {"told": list(known)}

    return tell


def _result(
    args: argparse.Namespace, work: painting.Work, gallery: Gallery, rows: dict, by: str, notes: list[str]
) -> EvaluationResult:
    theirs, source = scoring.published(args.kind)
    tellable = ", ".join(rows[args.kind].get("told", ()))
    if tellable:
        asked = rows[args.kind]["asked"]
        notes.append(f"{args.detector} tells apart: {tellable}; {asked} things were asked for these")
    notes.append(source if by == "clip" else f"{source}; it was told by CLIP")
    teller = by if by == "clip" else args.detector
    title = f"{args.kind} of things, {len(gallery.keys)} pictures by {gallery.engine}; told by {teller}"
    figures = {"kind": args.kind, "by": by, "annotations": args.annotations.name, "pictures": len(gallery.keys)}
    figures |= {"painted_with": gallery.painted_with, "rows": rows, "published": theirs}
    table = scoring.make_table(title, METRICS[by], rows, theirs)
    result = EvaluationResult("attributes", figures, (table,), notes)
    result.write(work.folder)
    return result
