"""Pictures that a training leaves beside its checkpoints: a person sees in them how far it has come."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from transformers import CLIPTokenizer

from instdiff.formats.files import write_bytes
from instdiff.layout import Box, Instance
from instdiff.model.autoencoder import PatchAutoencoder
from instdiff.model.detector import DenseDetector
from instdiff.training.draft.bundle import assemble
from instdiff.training.draft.drawings import Drawings
from instdiff.training.draft.painter import Painter
from instdiff.training.draft.painter_task import HeldOutScenes
from instdiff.training.draft.scenes import layout_of

if TYPE_CHECKING:
    from instdiff.training.draft.composer import Composite

COUNT = 8
DRAWN = 16  # drawings in a row
ROWS = 6
DRAWINGS_SEED = 9_600_000
STRIP = 44  # pixels below a picture
LINE = 48  # letters of a line there
QUALITY = 88  # of JPEG


@dataclass(frozen=True)
class Preview:
    """A picture (S, S, 3) uint8 of a contact sheet, the words below it, and boxes on it."""

    image: np.ndarray
    caption: str
    instances: Sequence[Instance] = ()


def painter_sheet(
    autoencoder: PatchAutoencoder, tokenizer: CLIPTokenizer, painter: Painter, held_out: HeldOutScenes, path: Path
) -> None:
    """Held-out scenes, each as it was composed and as it is painted from its layout."""
    composites = held_out.composites[:COUNT]
    layouts = [layout_of(composite) for composite in composites]
    autoencoder = autoencoder.to(painter.device)
    pipeline = assemble(autoencoder, painter.text_encoder, tokenizer, painter.unet, painter.unifusion)
    pipeline.set_progress_bar_config(disable=True)
    painted = pipeline(layouts, generator=torch.Generator().manual_seed(0), output_type="np").images
    previews = []
    for layout, composite, painted_image in zip(layouts, composites, painted, strict=True):
        previews.append(Preview(composite.image, f"composed: {layout.caption}", layout.instances))
        previews.append(Preview((painted_image * 255).round().astype(np.uint8), "painted"))
    save_sheet(previews, path)


def drawings_sheet(drawings: Drawings, painter: Painter, held_out: HeldOutScenes, path: Path) -> None:
    """Single things on white, each as it is and, below it, as it is drawn from its caption."""
    samples = drawings.batch(DRAWN * ROWS, np.random.default_rng(DRAWINGS_SEED), painter.device)
    features = painter.text_encoder(samples.captions).pooler_output
    drawn = painter.unifusion.place_mapper.drawer(features)
    on_white = [rgba[:, :3] + 1 - rgba[:, 3:] for rgba in (samples.drawings, drawn)]  # (B, 3, S, S), 0..1
    wanted, seen = (_to_images(2 * pictures - 1) for pictures in on_white)
    strips = []
    for first in range(0, len(seen), DRAWN):
        strips += [np.hstack(images[first : first + DRAWN]) for images in (wanted, seen)]
    write_image(np.vstack(strips), path)


def autoencoder_sheet(autoencoder: PatchAutoencoder, pictures: torch.Tensor, path: Path) -> None:
    """Pictures (B, 3, S, S) in -1..1, each beside what the autoencoder makes of it."""
    pictures = pictures[:COUNT].to(autoencoder.device)
    with torch.no_grad():
        decoded = autoencoder.decode(autoencoder.encode(pictures).latent).sample
    previews = []
    for composed_image, decoded_image in zip(_to_images(pictures), _to_images(decoded), strict=True):
        previews += [Preview(composed_image, "composed"), Preview(decoded_image, "decoded")]
    save_sheet(previews, path)


def detector_sheet(model: DenseDetector, pictures: torch.Tensor, path: Path) -> None:
    """Pictures (B, 3, S, S) in -1..1 with what is found on them."""
    pictures = pictures[: 2 * COUNT].to(model.device)
    previews = []
    detected = model.eval().detect(pictures, model.config.score_threshold)
    for image, detections in zip(_to_images(pictures), detected, strict=True):
        instances = []
        for corners, label, score in zip(detections.boxes.tolist(), detections.labels, detections.scores, strict=True):
            caption = f"{model.config.categories[label]} {score:.2f}"
            instances.append(Instance(caption=caption, box=Box.from_corners(corners, (1, 1))))
        previews.append(Preview(image, f"{len(instances)} found", instances))
    save_sheet(previews, path)


def save_sheet(pictures: Sequence[Preview | Composite], path: Path) -> None:
    """Write the contact sheet of the pictures."""
    write_image(contact_sheet(pictures), path)


def write_image(image: np.ndarray, path: Path) -> None:
    """Write a picture (H, W, 3) uint8 as PNG or, much smaller, as JPEG, as the name says."""
    import cv2

    _, encoded = cv2.imencode(path.suffix, image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    write_bytes(path, encoded.tobytes())


def contact_sheet(pictures: Sequence[Preview | Composite], columns: int = 4) -> np.ndarray:
    """(H, W, 3) uint8: every picture with its boxes, its caption below it."""
    import cv2

    size = pictures[0].image.shape[0]
    font = cv2.FONT_HERSHEY_SIMPLEX
    rows = -(-len(pictures) // columns)
    sheet = np.full((rows * (size + STRIP), columns * size, 3), 255, np.uint8)
    for number, picture in enumerate(pictures):
        cell = np.full((size + STRIP, size, 3), 255, np.uint8)
        cell[:size] = picture.image
        for instance in picture.instances:
            if instance.box:
                x0, y0, x1, y1 = (round(value) for value in instance.box.to_corners((size, size)))
                cv2.rectangle(cell, (x0, y0), (x1 - 1, y1 - 1), (255, 0, 0), 1)
                cv2.putText(cell, instance.caption, (x0 + 2, y0 + 9), font, 0.3, (0, 0, 0), 1, cv2.LINE_AA)
        for line, text in enumerate(textwrap.wrap(picture.caption, LINE, max_lines=3, placeholder=" ...")):
            cv2.putText(cell, text, (2, size + 12 + 13 * line), font, 0.32, (0, 0, 0), 1, cv2.LINE_AA)
        top = number // columns * (size + STRIP)
        left = number % columns * size
        sheet[top : top + size + STRIP, left : left + size] = cell
    return sheet


def _to_images(values: torch.Tensor) -> list[np.ndarray]:
    """(B, 3, S, S) in -1..1 -> (S, S, 3) uint8 each."""
    return list(((values.float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy())
