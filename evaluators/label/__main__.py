"""``python -m evaluators.label``: bare pictures become annotations to train on."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from instdiff.cli import DONE, Parser, exit_code
from instdiff.errors import BadInput

HELP = """\
Labels pictures as the training set of InstanceDiffusion was labelled: what may be on a picture (tags), where it is (boxes of an
open-vocabulary detector), its shape (masks), and how it looks (a caption of each instance, and of the picture).
"""
EXAMPLES = """\
models are folders in transformers layout, or names of models in the hub's cache; nothing is downloaded. To fetch some:
  hf download google/vit-base-patch16-224                  --tagger: image classification, or a model that writes captions
  hf download google/owlv2-base-patch16-ensemble           --detector owlv2
  hf download IDEA-Research/grounding-dino-tiny            --detector grounding-dino
  hf download facebook/sam-vit-base                        --segmenter
  hf download Salesforce/blip-image-captioning-base        --captioner

examples:
  python -m evaluators.label pictures/ --out labelled --tags words.txt --detector grounding-dino \\
      --segmenter facebook/sam-vit-base --captioner Salesforce/blip-image-captioning-base
  python -m evaluators.label pictures/ --out labelled ... --part 3/64       a part of the pictures, for one of 64 jobs
  python -m instdiff.train sd15 --annotations labelled/annotations.json --images pictures/ ...

Each picture has a file under labelled/labels, written whole or not at all: the same command goes on where it was stopped.
labelled/annotations.json is written when all parts are done; pictures that cannot be read are named and left out.

exit codes: 0 done, 2 bad input, 4 a model cannot be loaded"""


def build_parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = Parser(prog="python -m evaluators.label", description=HELP, epilog=EXAMPLES, formatter_class=raw)
    parser.add_argument("images", metavar="IMAGES", type=Path, help="folder of pictures, folders in it too")
    parser.add_argument("--out", metavar="FOLDER", type=Path, required=True, help="where the labels go")
    tags = parser.add_mutually_exclusive_group(required=True)
    tags.add_argument("--tagger", metavar="MODEL", help="says what to look for on each picture")
    tags.add_argument("--tags", metavar="FILE", type=Path, help="look for these on every picture: one a line")
    parser.add_argument(
        "--detector", metavar="NAME", default="owlv2", help="finds boxes: any verifier of run_agent.py (owlv2)"
    )
    parser.add_argument("--segmenter", metavar="MODEL", help="SAM; without it there are no masks")
    parser.add_argument("--captioner", metavar="MODEL", help="describes pictures; without it there are no captions")
    parser.add_argument(
        "--threshold", metavar="X", type=float, help="leave out what the detector is less sure of (its own)"
    )
    parser.add_argument("--part", metavar="K/N", default="1/1", help="label every N-th picture, from the K-th on (1/1)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Label; returns the exit code."""
    return exit_code(lambda: run(build_parser().parse_args(argv)))


def run(args: argparse.Namespace) -> int:
    """Check, label, and write the COCO file when every picture was seen."""
    from evaluators.detectors import check_detector
    from evaluators.label import labelling
    from evaluators.label.models import folder_of
    from evaluators.reporting import progress_bar

    names, first, step = labelling.pictures(args.images), *_part(args.part)
    check_detector(args.detector)
    for field in ("tagger", "segmenter", "captioner"):
        if getattr(args, field):
            folder_of(field, getattr(args, field))
    made_with = ("tagger", "tags", "detector", "segmenter", "captioner", "threshold")
    settings = {name: str(value) if isinstance(value := getattr(args, name), Path) else value for name in made_with}
    labelling.check_settings(args.out, settings)
    own = names[first::step]
    with progress_bar() as bar:
        task = bar.add_task("labelling", total=len(own))
        broken = labelling.label_all(lambda: _models(args), args.images, args.out, own, lambda: bar.advance(task))
    for name in broken:
        print(f"left out, cannot be read: {name}", file=sys.stderr)
    left = [name for name in names if name not in broken and not labelling.label_path(args.out, name).exists()]
    if left:
        print(
            f"{args.out}: {len(left)} of {len(names)} pictures have no labels yet; run the other parts, in the end all"
            " without --part"
        )
        return DONE
    counts = labelling.write_coco(args.out, names)
    print(f"{args.out / labelling.COCO}: {', '.join(f'{count} {what}' for what, count in counts.items())}")
    return DONE


def _part(text: str) -> tuple[int, int]:
    """ "3/64" -> (2, 64)."""
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise BadInput("part", f'"{text[:20]}" is not K/N with K from 1 to N')
    return int(match[1]) - 1, int(match[2])


def _models(args: argparse.Namespace):
    """Load what the options name."""
    from evaluators.detectors import load_detector
    from evaluators.label.labelling import Models
    from evaluators.label.models import Captioner, Segmenter, WordList, load_tagger

    detector = load_detector(args.detector)
    if args.threshold is not None:
        detector.threshold = args.threshold
    return Models(
        tagger=WordList(args.tags) if args.tags else load_tagger(args.tagger),
        detector=detector,
        segmenter=Segmenter(args.segmenter) if args.segmenter else None,
        captioner=Captioner(args.captioner) if args.captioner else None,
    )


if __name__ == "__main__":
    sys.exit(main())
