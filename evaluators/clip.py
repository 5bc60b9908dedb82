"""CLIP score: how well each painted picture, as a whole, goes with the caption that it was painted from."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evaluators.clip_model import BATCH_SIZE, MODEL, ClipModel, clip_folder
from evaluators.results import add_output_arguments, progress_bar, write_results
from evaluators.scored import Gallery
from instdiff.errors import BadInput

if TYPE_CHECKING:
    from PIL.Image import Image

OUT = Path("outputs/evaluations/clip")
ENDINGS = (".png", ".jpg", ".jpeg")
HELP = f"""The mean over all pictures of 100 times the cosine between CLIP's vectors of the picture and of its caption, where negative
cosines count 0 (CLIPScore of Hessel et al., 2021, without their factor 2.5). Higher is better.

Pictures are read through their manifest; captions are those that they carry. --real names a folder of real pictures of the same
captions, called like the painted ones (KEY.jpg, KEY.png): their score is the upper bound. CLIP is not bundled: run
`hf download {MODEL}`, or name a folder with --clip."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m evaluators clip``."""
    parser.add_argument("pictures", type=Path, metavar="FOLDER", help="painted pictures, with a manifest")
    parser.add_argument("--clip", default=MODEL, metavar="FOLDER", help="a CLIP model in transformers layout (default: %(default)s)")
    parser.add_argument("--real", type=Path, metavar="FOLDER", help="real pictures of the same captions, for the upper bound")
    add_output_arguments(parser, OUT)


def run(args: argparse.Namespace) -> dict:
    """The command.

    Raises:
        BadInput: CLIP or a real picture is missing, or the pictures have no captions.
        ServiceError: CLIP cannot be loaded.
    """
    gallery = Gallery.open(args.pictures)
    clip_folder(args.clip)  # said before anything heavy is loaded
    reals = real_files(args.real, gallery.keys) if args.real else {}
    model = ClipModel.load(args.clip)
    images: list[Image] = []
    captions: list[str] = []
    scores: dict[str, list[float]] = {"painted": []} | ({"real": []} if reals else {})
    with progress_bar() as progress:
        task = progress.add_task("scoring", total=len(gallery.keys))
        for index, one in enumerate(gallery.pictures(), 1):
            images.append(one.image)
            captions.append(_caption(one.layout.caption, one.key))
            if len(images) == BATCH_SIZE or index == len(gallery.keys):
                scores["painted"] += clip_scores(model, images, captions)
                if reals:
                    keys = gallery.keys[index - len(images) : index]
                    scores["real"] += clip_scores(model, [_opened(reals[key]) for key in keys], captions)
                progress.advance(task, len(images))
                images, captions = [], []
    return _result(args, gallery, scores)


def clip_scores(model: ClipModel, images: Sequence[Image], captions: Sequence[str]) -> list[float]:
    """100 times the cosine of each picture and its caption, and 0 where that is negative."""
    cosines = (model.images(list(images)) * model.texts(list(captions))).sum(dim=-1)  # (n,)
    return (100 * cosines.clamp(min=0)).tolist()


def real_files(folder: Path, keys: Sequence[str]) -> dict[str, Path]:
    """The real picture of each key.

    Raises:
        BadInput: one is missing.
    """
    found = {}
    for key in keys:
        there = [path for ending in ENDINGS if (path := folder / f"{key}{ending}").is_file()]
        if not there:
            raise BadInput("real", f"{folder} holds no {key}.png or {key}.jpg")
        found[key] = there[0]
    return found


def _caption(caption: str, key: str) -> str:
    if not caption.strip():
        raise BadInput("pictures", f"{key}.png has no caption that it could be compared with")
    return caption


def _opened(path: Path) -> Image:
    from evaluators.fid import opened
    from instdiff.formats.files import read_bytes

    return opened(path, read_bytes(path))


def _result(args: argparse.Namespace, gallery: Gallery, scores: dict[str, list[float]]) -> dict:
    means = {name: sum(values) / len(values) for name, values in scores.items()}
    names = {"painted": "painted", "real": "real pictures, the upper bound"}
    rows = [[names[name], f"{mean:.2f}", str(len(scores[name]))] for name, mean in means.items()]
    table = {"title": "CLIP score", "columns": ["pictures", "score", "number"], "rows": rows}
    result = {"evaluation": "clip", "clip": args.clip, "means": means, "count": len(gallery.keys)}
    result |= {"painted_with": gallery.manifest.painted_with, "scores": dict(zip(gallery.keys, scores["painted"], strict=True))}
    result |= {"notes": [f"CLIP: {args.clip}; compare only figures of the same CLIP"], "table": table}
    write_results(args.folder, result)
    return result
