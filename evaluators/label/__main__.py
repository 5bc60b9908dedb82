"""``instdiff-agent label``: bare pictures become annotations to train on."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from evaluators.detectors import check_detector, load_detector
from evaluators.label import labelling
from evaluators.label.models import Captioner, Segmenter, WordList, folder_of, load_tagger
from evaluators.reporting import progress_bar
from instdiff.cli import DONE, Parser, exit_code, input_file, output_folder
from instdiff.errors import BadInput

MADE_WITH = ("tagger", "detector", "segmenter", "captioner", "threshold")  # the options that change labels

HELP = """\
Labels pictures as the training set of InstanceDiffusion was labelled: what may be on a picture (tags), where it is
(boxes of an open-vocabulary detector), its shape (masks), and how it looks (a caption of each instance, and of the
picture).
"""
EXAMPLES = """\
models are folders in transformers layout, or names of models in the hub's cache; nothing is downloaded. To fetch some:
  hf download google/vit-base-patch16-224               --tagger: image classification, or a model that writes captions
  hf download google/owlv2-base-patch16-ensemble        --detector owlv2
  hf download IDEA-Research/grounding-dino-tiny         --detector grounding-dino
  hf download facebook/sam-vit-base                     --segmenter
  hf download Salesforce/blip-image-captioning-base     --captioner

examples:
  instdiff-agent label pictures/ --out labelled --tags words.txt --detector grounding-dino \\
      --segmenter facebook/sam-vit-base --captioner Salesforce/blip-image-captioning-base
  instdiff-agent label pictures/ --out labelled ... --part 3/64       a part of the pictures, for one of 64 jobs
  instdiff-agent train sd15 --annotations labelled/annotations.json --images pictures/ ...

Each picture has a file under labelled/labels, written whole or not at all: the same command goes on where it was
stopped. labelled/annotations.json is written when all parts are done; pictures that cannot be read are named and left
out.

exit codes: 0 done, 2 bad input, 4 a model cannot be loaded"""


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = Parser(prog="instdiff-agent label", description=HELP, epilog=EXAMPLES, formatter_class=raw)
    parser.add_argument("images", metavar="IMAGES", type=Path, help="folder of pictures, folders in it too")
    parser.add_argument("--out", metavar="FOLDER", type=output_folder, required=True, help="where the labels go")
    tags = parser.add_mutually_exclusive_group(required=True)
    tags.add_argument("--tagger", metavar="MODEL", help="says what to look for on each picture")
    tags.add_argument("--tags", metavar="FILE", type=input_file, help="look for these on every picture: one a line")
    parser.add_argument("--detector", metavar="NAME", default="owlv2", help="finds boxes, as a verifier does (owlv2)")
    parser.add_argument("--segmenter", metavar="MODEL", help="SAM; without it there are no masks")
    parser.add_argument("--captioner", metavar="MODEL", help="describes pictures; without it there are no captions")
    parser.add_argument("--threshold", metavar="X", type=float, help="leave out what the detector is less sure of")
    parser.add_argument("--part", metavar="K/N", default="1/1", help="label every N-th picture, from the K-th on (1/1)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Label; returns the exit code."""
    return exit_code(lambda: run(build_parser().parse_args(argv)))


def run(args: argparse.Namespace) -> int:
    """Check, label, and write the COCO file when every picture was labelled."""
    names = labelling.picture_names(args.images)
    first, step = _part(args.part)
    check_detector(args.detector)
    for field in ("tagger", "segmenter", "captioner"):
        if model := getattr(args, field):
            folder_of(field, model)
    settings = {name: getattr(args, name) for name in MADE_WITH}
    settings["tags"] = str(args.tags) if args.tags else None
    labelling.check_settings(args.out, settings)
    part = names[first::step]
    with progress_bar() as bar:
        task = bar.add_task("labelling", total=len(part))
        broken = labelling.label_all(lambda: _load_models(args), args.images, args.out, part, lambda: bar.advance(task))
    for name in broken:
        print(f"left out, cannot be read: {name}", file=sys.stderr)
    missing = [name for name in names if name not in broken and not labelling.label_path(args.out, name).exists()]
    if missing:
        cure = "run the other parts, in the end all without --part"
        print(f"{args.out}: {len(missing)} of {len(names)} pictures have no labels yet; {cure}")
        return DONE
    counts = labelling.write_coco(args.out, names)
    print(f"{args.out / labelling.COCO}: {', '.join(f'{count} {kind}' for kind, count in counts.items())}")
    return DONE


def _part(text: str) -> tuple[int, int]:
    """The first picture and the step of a part: "3/64" -> (2, 64)."""
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise BadInput("part", f'"{text[:20]}" is not K/N with K from 1 to N')
    return int(match[1]) - 1, int(match[2])


def _load_models(args: argparse.Namespace) -> labelling.Models:
    """Load what the options name."""
    return labelling.Models(
        tagger=WordList(args.tags) if args.tags else load_tagger(args.tagger),
        detector=load_detector(args.detector),
        segmenter=Segmenter(args.segmenter) if args.segmenter else None,
        captioner=Captioner(args.captioner) if args.captioner else None,
        min_score=args.threshold,
    )


if __name__ == "__main__":
    sys.exit(main())
