"""Pictures that a training leaves beside its checkpoints: a person sees in them how far it has come."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from instdiff.engine import DRAFT_FOLDER
from instdiff.formats.files import write_bytes
from instdiff.layout import Box, Instance, Layout
from instdiff.model.autoencoder import PatchAutoencoder
from instdiff.model.detector import DenseDetector
from instdiff.training.draft.bundle import assembled
from instdiff.training.draft.painter import Painter
from instdiff.training.draft.scenes import SLOTS, Scenes

COUNT = 8
STRIP = 44
LINE = 48
QUALITY = 88  # pixels below a picture, letters a line there, JPEG quality


class Shown(Protocol):
    """A picture (S, S, 3) uint8 with words, and boxes with words on it; a composed one is such."""

    image: np.ndarray
    caption: str
    instances: Sequence[Instance]


@dataclass(frozen=True)
class Sample:
    image: np.ndarray
    caption: str
    instances: Sequence[Instance] = ()


def painter_sheet(vae: Path, painter: Painter, held_out: Scenes, path: Path) -> None:
    """Held-out scenes, each as it was composed and as it is painted from its layout."""
    autoencoder = PatchAutoencoder.from_pretrained(vae).float()
    scenes = held_out.scenes[:COUNT]
    layouts = [
        Layout(
            width=256,
            height=256,
            caption=scene.caption,
            instances=tuple(_instance(one) for one in scene.instances[:SLOTS]),
        )
        for scene in scenes
    ]
    pipeline = assembled(autoencoder, painter.text_encoder, painter.tokenizer, painter.unet, painter.unifusion)
    pipeline.set_progress_bar_config(disable=True)
    defaults = json.loads((DRAFT_FOLDER / "engine.json").read_text())["defaults"]  # as the bundled models paint
    painted = pipeline(layouts, generator=torch.Generator().manual_seed(0), output_type="np", **defaults).images
    latents = torch.from_numpy(np.stack(held_out.latents[:COUNT])).float()
    with torch.no_grad():
        composed = autoencoder.decode(latents / autoencoder.config.scaling_factor).sample
    pairs = []
    for layout, wanted, found in zip(layouts, _pictures(composed), painted, strict=True):
        pairs.append(Sample(wanted, f"composed: {layout.caption}", layout.instances))
        pairs.append(Sample((found * 255).round().astype(np.uint8), "painted"))
    save_sheet(pairs, path)


def autoencoder_sheet(autoencoder: PatchAutoencoder, pictures: torch.Tensor, path: Path) -> None:
    """Pictures (B, 3, S, S) in -1..1, each beside what the autoencoder makes of it."""
    pictures = pictures[:COUNT]
    with torch.no_grad():
        decoded = autoencoder.decode(autoencoder.encode(pictures).latent).sample
    pairs = zip(_pictures(pictures), _pictures(decoded), strict=True)
    save_sheet(
        [Sample(image, words) for pair in pairs for image, words in zip(pair, ("composed", "decoded"), strict=True)],
        path,
    )


def detector_sheet(model: DenseDetector, pictures: torch.Tensor, path: Path) -> None:
    """Pictures (B, 3, S, S) in -1..1 with what is found on them."""
    pictures = pictures[: 2 * COUNT]
    samples = []
    for image, found in zip(
        _pictures(pictures), model.eval().detect(pictures, model.config.score_threshold), strict=True
    ):
        boxes = (Box(x0=x0, y0=y0, x1=x1, y1=y1) for x0, y0, x1, y1 in found.boxes.clamp(0, 1).tolist())
        words = (
            f"{model.config.categories[label]} {score:.2f}"
            for label, score in zip(found.labels, found.scores, strict=True)
        )
        things = [Instance(caption=caption, box=box) for caption, box in zip(words, boxes, strict=True)]
        samples.append(Sample(image, f"{len(things)} found", things))
    save_sheet(samples, path)


def save_sheet(pictures: Sequence[Shown], path: Path) -> None:
    """Write the contact sheet of the pictures as PNG or, much smaller, as JPEG, as the name says."""
    import cv2

    _, encoded = cv2.imencode(path.suffix, contact_sheet(pictures)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    write_bytes(path, encoded.tobytes())


def contact_sheet(pictures: Sequence[Shown], columns: int = 4) -> np.ndarray:
    """(H, W, 3) uint8: every picture with its boxes, its caption below it."""
    import cv2

    size = pictures[0].image.shape[0]
    font = cv2.FONT_HERSHEY_SIMPLEX
    rows = -(-len(pictures) // columns)
    sheet = np.full((rows * (size + STRIP), columns * size, 3), 255, np.uint8)
    for number, picture in enumerate(pictures):
        cell = np.full((size + STRIP, size, 3), 255, np.uint8)
        cell[:size] = picture.image
        for one in picture.instances:
            x0, y0, x1, y1 = (round(value) for value in one.box.to_corners((size, size)))
            cv2.rectangle(cell, (x0, y0), (x1 - 1, y1 - 1), (255, 0, 0), 1)
            cv2.putText(cell, one.caption, (x0 + 2, y0 + 9), font, 0.3, (0, 0, 0), 1, cv2.LINE_AA)
        for line, text in enumerate(textwrap.wrap(picture.caption, LINE, max_lines=3, placeholder=" ...")):
            cv2.putText(cell, text, (2, size + 12 + 13 * line), font, 0.32, (0, 0, 0), 1, cv2.LINE_AA)
        top = number // columns * (size + STRIP)
        left = number % columns * size
        sheet[top : top + size + STRIP, left : left + size] = cell
    return sheet


def _instance(stored) -> Instance:
    return Instance(caption=stored.caption, category=stored.category, box=stored.box)


def _pictures(values: torch.Tensor) -> list[np.ndarray]:
    """(B, 3, S, S) in -1..1 -> (S, S, 3) uint8 each."""
    return list(((values.float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy())
