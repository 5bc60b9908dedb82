"""``python -m evaluators attributes``: things painted in a colour or of a material that was asked for, and whether they
show it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evaluators import attributes
from evaluators.clip import MODEL, ClipModel, clip_folder
from evaluators.coco import command, painting, scoring
from evaluators.coco.dataset import Sample
from evaluators.coco.scoring import Gallery
from evaluators.gallery import add_detector_arguments
from evaluators.reporting import progress_bar, write_results
from instdiff.errors import BadInput

if TYPE_CHECKING:
    from PIL.Image import Image
    from rich.progress import Progress


OUT = Path("outputs/evaluations/attributes")
TELL_COLOURS = ("judge", "draft")
OWN = "real images, own words"
METRICS = {
    "detector": {"right, of all": "of_all", "right, of found": "of_found"},
    "clip": {"accuracy": "accuracy", "local CLIP score": "score"},
}
HELP = f"""Paints the images of COCO annotations with one word before the category of every thing, and asks whether the things show it.
The word is told by the annotation's id, so that it is the same for everybody: word (id modulo 8) of

  colours   {", ".join(attributes.WORDS["colours"])}
  textures  {", ".join(attributes.WORDS["textures"])}

ways to tell (--by):
  clip      as in the published evaluation: CLIP sees each thing's box, and is to find it more like "a red object" than like any
            other of the eight; the local score is the cosine of the box and "red car". Means over pictures.
  detector  the bundled judge (or --detector draft) names the colour and texture of what it finds in its place; of the textures it
            tells metallic and wooden apart, and only things that were asked for those count. The way where no CLIP is here.

CLIP is read from a folder of transformers: hf download {MODEL}, or --clip FOLDER. Nothing is downloaded.

Photographs do not show what was asked for. They are scored for the words that their annotations say they show, in "attributes":
{{"colour": "red"}}, where there are such words, as in the exported draft layouts: how well the words are told at all.

examples:
  python -m evaluators attributes --kind colours --annotations held_out/annotations.json --images held_out/images --count 50
  python -m evaluators attributes --kind textures --annotations instances_val2017.json --engine sd15 --by clip"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "--kind", choices=tuple(attributes.WORDS), default="colours", help="which words (default: %(default)s)"
    )
    parser.add_argument(
        "--by", choices=tuple(METRICS), help="who tells (default: clip where it is on this machine, else detector)"
    )
    parser.add_argument("--clip", metavar="FOLDER", help=f"CLIP in transformers layout (default: {MODEL})")
    painting.add_arguments(parser, OUT)
    add_detector_arguments(parser, "judge")


def run(args: argparse.Namespace) -> dict:
    """Paint what is missing, look and score.

    Raises:
        BadInput: an option or a file is wrong, or neither CLIP nor such a detector is there.
        ServiceError: what tells the words cannot be loaded.
    """
    work = painting.read_work(args, args.kind)
    dataset = work.dataset()
    scoring.check_images(args.images, dataset.samples)
    if args.num_jobs is not None:
        return command.painted_part(args, work, dataset)
    by = args.by or _usual_way(args)
    with progress_bar() as progress:
        tell = _clip_teller(args, progress) if by == "clip" else _detector_teller(args, progress, dataset.categories)
        notes = [] if args.merge else command.paint(args, work, dataset, progress)
        gallery = Gallery.of(work.folder, [sample.key for sample in dataset.samples])
        samples = scoring.ordered(dataset, gallery)
        word = attributes.word_of(args.kind)
        rows = {}
        own = [[attributes.own_word(anno, args.kind) for anno in sample.things] for sample in samples]
        if args.images and any(map(any, own)):
            rows[OWN] = tell(scoring.photographs(samples, args.images, gallery.size), samples, own, OWN)
        rows[args.kind] = tell(
            gallery.images(), samples, [[word(anno) for anno in sample.things] for sample in samples], args.kind
        )
    if OWN not in rows:
        notes.append(
            "the row of the real images is left out: it needs --images, and annotations that say what their things show"
        )
    return _result(args, work, gallery, rows, by, [*notes, *dataset.notes])


def _usual_way(args: argparse.Namespace) -> str:
    """CLIP where it is named or found, else the detector."""
    if args.clip:
        return "clip"
    try:
        clip_folder(MODEL)
    except BadInput:
        return "detector"
    return "clip"


Teller = Callable[[Iterable["Image"], Sequence[Sample], Sequence[Sequence[str | None]], str], dict]


def _clip_teller(args: argparse.Namespace, progress: Progress) -> Teller:
    """What gives the figures of some pictures by CLIP."""
    clip = ClipModel.load(args.clip or MODEL)

    def tell(
        images: Iterable[Image], samples: Sequence[Sample], asked: Sequence[Sequence[str | None]], what: str
    ) -> dict:
        seen = progress.track(images, total=len(samples), description=f"CLIP looks at {what}")
        return attributes.clip_figures(
            attributes.by_clip(clip, seen, (sample.truth() for sample in samples), asked, args.kind)
        )

    return tell


def _detector_teller(args: argparse.Namespace, progress: Progress, categories: list[str]) -> Teller:
    """What gives the figures of some pictures by a detector that tells colours and textures."""
    if args.detector not in TELL_COLOURS:
        raise BadInput(
            "detector", f"{args.detector} does not tell colours; choose {' or '.join(TELL_COLOURS)}, or --by clip"
        )
    detector = scoring.scorer(args, args.engine)
    config = detector.model.config
    known = attributes.told_apart(args.kind, config.colours if args.kind == "colours" else config.textures)

    def tell(
        images: Iterable[Image], samples: Sequence[Sample], asked: Sequence[Sequence[str | None]], what: str
    ) -> dict:
        seen = scoring.looked_at(detector, images, categories, what, len(samples), progress)
        truths = [sample.truth() for sample in samples]
        return attributes.by_detector(truths, asked, seen.sure, detector.canonical, args.kind, known) | {
            "told": list(known)
        }

    return tell


def _result(
    args: argparse.Namespace, work: painting.Work, gallery: Gallery, rows: dict, by: str, notes: list[str]
) -> dict:
    theirs, source = scoring.published(args.kind)
    told = ", ".join(rows[args.kind].get("told", ()))
    notes += (
        [f"{args.detector} tells apart: {told}; {rows[args.kind]['asked']} things were asked for these"] if told else []
    )
    notes.append(source if by == "clip" else f"{source}; it was told by CLIP")
    title = (
        f"{args.kind} of things, {len(gallery.keys)} pictures by {gallery.engine}; told by"
        f" {by if by == 'clip' else args.detector}"
    )
    result = {
        "evaluation": "attributes", "kind": args.kind, "by": by, "annotations": args.annotations.name, "pictures": len(gallery.keys),
        "painted_with": gallery.painted_with, "rows": rows, "published": theirs, "notes": notes,
        "table": scoring.table(title, METRICS[by], rows, theirs),
    }  # fmt: skip
    write_results(work.folder, result)
    return result
