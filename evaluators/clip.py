"""CLIP score: how well each painted picture, as a whole, goes with the caption that it was painted from."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluators.detectors.open_vocabulary import device
from evaluators.detectors.weights import model_folder
from evaluators.gallery import Gallery, batches
from evaluators.reporting import EvaluationResult, Table, add_output_arguments, progress_bar
from instdiff.errors import BadInput, ServiceError
from instdiff.formats.files import read_bytes
from instdiff.formats.photographs import open_photograph
from instdiff.layout import Layout

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

MODEL = "openai/clip-vit-large-patch14"
BATCH_SIZE = 16
OUT = Path("outputs/evaluations/clip")
ENDINGS = (".png", ".jpg", ".jpeg")
TITLES = {"painted": "painted", "real": "real pictures, the upper bound"}
HELP = f"""The mean over all pictures of 100 times the cosine between CLIP's vectors of the picture and of its caption,
where negative cosines count 0 (CLIPScore of Hessel et al., 2021, without their factor 2.5). Higher is better.

Pictures are read through their manifest; captions are those that they carry. --real names a folder of real pictures of
the same captions, called like the painted ones (KEY.jpg, KEY.png): their score is the upper bound. CLIP is not bundled:
run `hf download {MODEL}`, or name a folder with --clip."""


@dataclass(frozen=True)
class ClipModel:
    """Both halves of CLIP; what they give has length 1, so that a dot product is the cosine of the angle."""

    folder: Path
    model: Any
    tokenizer: Any
    processor: Any

    @classmethod
    def load(cls, folder: str | Path = MODEL) -> ClipModel:
        """Load a model; nothing is downloaded.

        Args:
            folder: a folder in transformers layout, also below ``INSTDIFF_MODELS``, or a name in the hub's cache.

        Raises:
            BadInput: it is not on this machine; the reason says what to fetch.
            ServiceError: it cannot be loaded.
        """
        path = clip_folder(folder)
        from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel

        try:
            model = CLIPModel.from_pretrained(path, local_files_only=True).eval().to(device())
            tokenizer = AutoTokenizer.from_pretrained(path)
            processor = AutoImageProcessor.from_pretrained(path, use_fast=False)
        except (OSError, ValueError, RuntimeError) as error:
            raise ServiceError(f"CLIP in {path} cannot be loaded: {' '.join(str(error).split())[:300]}") from error
        return cls(path, model, tokenizer, processor)

    def images(self, images: list[Image]) -> torch.Tensor:
        """(n, D) float32 on the CPU, each row of length 1; the pictures may differ in size."""
        return _in_batches(images, self._images)

    def texts(self, texts: list[str]) -> torch.Tensor:
        """(n, D) float32 on the CPU, each row of length 1; what is longer than CLIP reads is cut."""
        return _in_batches(texts, self._texts)

    def _images(self, images: list[Image]) -> torch.Tensor:
        pixels = self.processor(images=[image.convert("RGB") for image in images], return_tensors="pt")["pixel_values"]
        return self.model.get_image_features(pixel_values=pixels.to(self.model.device)).pooler_output

    def _texts(self, texts: list[str]) -> torch.Tensor:
        limit = self.model.config.text_config.max_position_embeddings
        tokens = self.tokenizer(texts, padding=True, truncation=True, max_length=limit, return_tensors="pt")
        tokens = tokens.to(self.model.device)
        return self.model.get_text_features(tokens["input_ids"], tokens["attention_mask"]).pooler_output


def clip_folder(name: str | Path) -> Path:
    """The folder of a model that is on this machine, before anything heavy is loaded.

    Raises:
        BadInput: it is not there; the reason says what to fetch.
    """
    try:
        return model_folder(str(name))
    except BadInput as error:
        raise BadInput("clip", error.reason) from error


def _in_batches(items: list, encode: Callable[[list], torch.Tensor]) -> torch.Tensor:
    """All items encoded, a few at a time, as (n, D) rows of length 1."""
    import torch
    from torch.nn.functional import normalize

    with torch.inference_mode():
        rows = [encode(items[first : first + BATCH_SIZE]).float().cpu() for first in range(0, len(items), BATCH_SIZE)]
    return normalize(torch.cat(rows), dim=-1) if rows else torch.empty(0, 0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m evaluators clip``."""
    parser.add_argument("pictures", type=Path, metavar="FOLDER", help="painted pictures, with a manifest")
    parser.add_argument("--clip", default=MODEL, metavar="FOLDER", help="CLIP in transformers layout (%(default)s)")
    parser.add_argument("--real", type=Path, metavar="FOLDER", help="real pictures of these captions: the upper bound")
    add_output_arguments(parser, OUT)


def run(args: argparse.Namespace) -> EvaluationResult:
    """The command.

    Raises:
        BadInput: CLIP or a real picture is missing, or the pictures have no captions.
        ServiceError: CLIP cannot be loaded.
    """
    gallery = Gallery.open(args.pictures)
    clip_folder(args.clip)  # refused before anything heavy is loaded
    files = real_files(args.real, gallery.keys) if args.real else {}
    captions = [_caption(layout, key) for layout, key in zip(gallery.layouts(), gallery.keys, strict=True)]
    model = ClipModel.load(args.clip)
    rows: dict[str, Iterable[Image]] = {"painted": gallery.images()}
    if files:
        rows["real"] = (open_photograph(path, read_bytes(path)) for path in files.values())
    scores: dict[str, list[float]] = {}
    with progress_bar() as progress:
        for name, images in rows.items():
            task = progress.add_task(f"scoring, {name}", total=len(captions))
            scores[name] = []
            for batch in batches(images, BATCH_SIZE):
                first = len(scores[name])
                scores[name] += clip_scores(model, batch, captions[first : first + len(batch)])
                progress.advance(task, len(batch))
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
    files = {}
    for key in keys:
        path = next((path for ending in ENDINGS if (path := folder / f"{key}{ending}").is_file()), None)
        if path is None:
            raise BadInput("real", f"{folder} holds no {key}.png or {key}.jpg")
        files[key] = path
    return files


def _caption(layout: Layout, key: str) -> str:
    if not layout.caption.strip():
        raise BadInput("pictures", f"{key}.png has no caption that it could be compared with")
    return layout.caption


def _result(args: argparse.Namespace, gallery: Gallery, scores: dict[str, list[float]]) -> EvaluationResult:
    means = {name: sum(values) / len(values) for name, values in scores.items()}
    rows = [[TITLES[name], f"{mean:.2f}", str(len(scores[name]))] for name, mean in means.items()]
    figures = {"clip": args.clip, "means": means, "count": len(gallery.keys), "painted_with": gallery.painted_with}
    figures["scores"] = dict(zip(gallery.keys, scores["painted"], strict=True))
    table = Table("CLIP score", ["pictures", "score", "number"], rows)
    result = EvaluationResult("clip", figures, (table,), [f"CLIP: {args.clip}; compare only figures of the same CLIP"])
    result.write(args.folder)
    return result
