"""Trains the second look of a detector: what is in one place of a picture, among places around its things."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from instdiff.model.crop_classifier import CropClassifier, CropPredictions, offsets_between
from instdiff.model.detector import DenseDetector, pairwise_iou
from instdiff.model.int8_weights import load_int8
from instdiff.training.draft.catalogue import COLOUR_NAMES, NAMES, TEXTURE_NAMES
from instdiff.training.draft.detector import JUDGE_CHANNELS, JUDGE_SEED
from instdiff.training.draft.held_out import PART, HeldOutPictures
from instdiff.training.draft.labelled_pictures import LabelledPictures, PictureSource, Things
from instdiff.training.draft.spoil import moved, spoiled
from instdiff.training.draft.start import take_over
from instdiff.training.loop import Task, seeded_weights
from instdiff.training.state import save_model

CLEAN = 3 / 8  # share of pictures without flaws
NEAR = 2  # places near each thing
NEAR_NOISE = (0.04, 0.14)  # deviation of a side, in the box's own
SMALL_NOISE = 0.6  # share of the places near a thing with the lower one
FAR = 0.35  # share of the things with a place further off
FAR_SHIFT = 0.9  # the most, in the box's own sides
RANDOM = 2  # places anywhere on a picture
SHORTEST_SIDE = 0.02  # of a picture
# From the first IoU on a place shows the thing, below the second it shows nothing; what lies between teaches nothing.
SAME_IOU = 0.45
OTHER_IOU = 0.3
SMOOTHING = 0.02
LOOK_WEIGHT = 0.3
PLACE_WEIGHT = 4.0
PLACE_BETA = 0.05  # offsets that are off by less count squared
WEIGHT_DECAY = 0.02
FALSE_ALARMS = 0.01  # share of other categories that pass the bar


class Places(NamedTuple):
    """N places on pictures, and which thing each shows."""

    boxes: torch.Tensor  # (N, 4) xyxy as fractions
    pictures: torch.Tensor  # (N,)
    things: torch.Tensor  # (N,) indices of the picture's things, -1 for none


class CropBatch(NamedTuple):
    """N places, cut out, with what is to be said of them."""

    crops: torch.Tensor  # (N, 3, crop_size, crop_size) in -1..1
    labels: torch.Tensor  # (N,) of categories, or the number of categories for nothing
    colours: torch.Tensor  # (N,) indices, -1 where there is none
    textures: torch.Tensor  # (N,) indices, -1 where there is none
    offsets: torch.Tensor  # (N, 4) as `CropPredictions.offsets`
    shows: torch.Tensor  # (N,) bool: there is a thing


def choose_places(boxes: torch.Tensor, labels: torch.Tensor, generator: torch.Generator) -> Places:
    """Places around the things (B, n, 4) of B pictures, and a few anywhere; labels (B, n) are -1 for no thing."""
    b, n = labels.shape
    device = boxes.device
    sides = (boxes[..., 2:] - boxes[..., :2]).repeat(1, 1, 2)
    there = labels >= 0
    candidates = []
    for _ in range(NEAR):
        small = torch.rand(b, n, 1, generator=generator, device=device) < SMALL_NOISE
        noise = torch.randn(b, n, 4, generator=generator, device=device)
        candidates.append(boxes + noise * torch.where(small, *NEAR_NOISE) * sides)
    shift = FAR_SHIFT * (2 * torch.rand(b, n, 2, generator=generator, device=device) - 1)
    candidates.append(boxes + shift.repeat(1, 1, 2) * sides)
    far = there & (torch.rand(b, n, generator=generator, device=device) < FAR)
    candidates.append(random_boxes(b, RANDOM, generator))
    anywhere = torch.ones(b, RANDOM, dtype=torch.bool, device=device)
    used = torch.cat([*[there] * NEAR, far, anywhere], dim=1)
    places = torch.cat(candidates, dim=1)  # (B, P, 4)
    places = torch.cat([places[..., :2].clamp(0, 1 - 0.03), places[..., 2:].clamp(0.03, 1)], dim=-1)
    iou, thing = pairwise_iou(places, boxes).masked_fill(~there[:, None], 0).max(dim=-1)
    thing = torch.where(iou >= SAME_IOU, thing, -1)
    clear = (iou >= SAME_IOU) | (iou < OTHER_IOU)
    large = (places[..., 2:] - places[..., :2]).amin(dim=-1) > SHORTEST_SIDE
    picture, index = (used & clear & large).nonzero(as_tuple=True)
    return Places(places[picture, index], picture, thing[picture, index])


def random_boxes(b: int, count: int, generator: torch.Generator) -> torch.Tensor:
    """Boxes (B, count, 4) of all sizes, small ones more often, that may reach out of the picture."""
    centre = torch.rand(b, count, 2, generator=generator, device=generator.device)
    size, shape = torch.rand(2, b, count, 1, generator=generator, device=generator.device)
    size = 0.05 + 0.45 * size**1.5
    stretch = torch.exp(1.2 * (shape - 0.5))
    half = torch.cat([size * stretch, size / stretch], dim=-1) / 2
    return torch.cat([centre - half, centre + half], dim=-1)


def cut_places(model: CropClassifier, pictures: LabelledPictures, places: Places) -> CropBatch:
    """What the model is given of these places, and what it is to say."""
    shows = places.things >= 0
    own = places.pictures, places.things.clamp(min=0)
    crops = model.cut(pictures.images, places.boxes, places.pictures)
    return CropBatch(
        crops.contiguous(memory_format=torch.channels_last),
        torch.where(shows, pictures.labels[own], len(model.config.categories)),
        torch.where(shows, pictures.colours[own], -1),
        torch.where(shows, pictures.textures[own], -1),
        offsets_between(places.boxes, pictures.boxes[own]),
        shows,
    )


def crop_losses(predicted: CropPredictions, batch: CropBatch) -> dict[str, torch.Tensor]:
    """Cross-entropies of category, colour and texture, and a smooth L1 loss of the offsets (Fast R-CNN, eq. 3)."""
    logits, colours, textures, offsets = (values.float() for values in predicted)
    place = F.smooth_l1_loss(offsets[batch.shows], batch.offsets[batch.shows], beta=PLACE_BETA, reduction="sum")
    look = known_cross_entropy(colours, batch.colours) + known_cross_entropy(textures, batch.textures)
    return {
        "category": F.cross_entropy(logits, batch.labels, label_smoothing=SMOOTHING),
        "look": LOOK_WEIGHT * look,
        "place": PLACE_WEIGHT * place / (4 * batch.shows.sum()).clamp(min=1),
    }


def known_cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The mean where the label is not -1; 0 where all are."""
    return F.cross_entropy(logits, labels, ignore_index=-1, reduction="sum") / (labels >= 0).sum().clamp(min=1)


def make_crop_classifier(judge: bool = False) -> CropClassifier:
    """One for the catalogue's things that has learned nothing yet, with the widths of its detector."""
    names = tuple(NAMES), tuple(COLOUR_NAMES), tuple(TEXTURE_NAMES)
    with seeded_weights(JUDGE_SEED if judge else 0):
        model = CropClassifier(*names, channels=JUDGE_CHANNELS) if judge else CropClassifier(*names)
    return model.to(memory_format=torch.channels_last)


class CropTask(Task[CropBatch]):
    """A crop classifier learns from the pictures of a source, moved and spoiled.

    Args:
        start: folder of a crop classifier to begin with, where there is no state.
        detector: folder of a detector of the same widths, whose layers it begins with otherwise.
        batch_size: pictures a step, of about nine places each.
    """

    def __init__(
        self,
        model: CropClassifier,
        source: PictureSource,
        held_out: HeldOutPictures,
        start: Path | None,
        batch_size: int,
        detector: Path | None = None,
    ):
        self.model: CropClassifier = model
        self.source = source
        self.held_out = held_out
        self.start = start
        self.batch_size = batch_size
        self.detector = detector

    def begin(self) -> None:
        if self.start:
            take_over(self.model, self.start)
        elif self.detector:
            self.model.begin_with(load_int8(DenseDetector, self.detector))

    def optimizer(self, rate: float) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.model.parameters(), lr=rate, weight_decay=WEIGHT_DECAY)

    @torch.no_grad()
    def batch(self, step: int, rng: np.random.Generator) -> CropBatch:
        generator = torch.Generator(self.model.device).manual_seed(int(rng.integers(2**63)))
        pictures = moved(self.source.batch(self.batch_size, step, generator), generator)
        clean = round(CLEAN * self.batch_size)
        images = torch.cat([pictures.images[:clean], spoiled(pictures.images[clean:], generator)])
        places = choose_places(pictures.boxes, pictures.labels, generator)
        return cut_places(self.model, pictures._replace(images=images), places)

    def losses(self, model: nn.Module, batch: CropBatch, generator: torch.Generator) -> dict[str, torch.Tensor]:
        return crop_losses(model(batch.crops), batch)

    def figures(self) -> dict[str, float]:
        return self.source.figures()

    def check(self) -> dict[str, float]:
        return crop_figures(self.model, self.held_out)

    def finish(self) -> dict[str, float]:
        return self.check()

    def save(self, folder: Path) -> None:
        save_model(copy.deepcopy(self.model).half(), folder / "crops")


class SeenPlaces(NamedTuple):
    """What is said of the N true places of held-out pictures."""

    own: torch.Tensor  # (N,) the probability of the thing's own category
    others: torch.Tensor  # (N, categories) of all, -1 for those of things on the same picture
    colours: torch.Tensor  # (n,) bool, whether it is right where there is one
    textures: torch.Tensor  # (N,) bool, whether it is right


@torch.no_grad()
def see_places(model: CropClassifier, images: torch.Tensor, truths: Sequence[Things]) -> SeenPlaces:
    """Ask a model what is in the place of each thing on the pictures (B, 3, S, S)."""
    picture = torch.cat([torch.full((len(truth.labels),), i) for i, truth in enumerate(truths)])
    boxes, labels, colours, textures = (torch.cat([truth[i] for truth in truths]) for i in range(4))
    crops = model.cut(images.to(model.device), boxes.to(model.device), picture.to(model.device))
    predicted = model(crops.contiguous(memory_format=torch.channels_last))
    scores = predicted.logits.float().softmax(dim=1).cpu()[:, :-1]
    there = torch.zeros(len(images), scores.shape[1], dtype=torch.bool)
    there[picture, labels] = True
    own = scores.gather(1, labels[:, None])[:, 0]
    right_colours = (predicted.colours.argmax(dim=1).cpu() == colours)[colours >= 0]
    right_textures = predicted.textures.argmax(dim=1).cpu() == textures
    return SeenPlaces(own, scores.masked_fill(there[picture], -1), right_colours, right_textures)


def crop_figures(model: CropClassifier, held_out: HeldOutPictures) -> dict[str, float]:
    """How well a model knows things in their true places, on either kind of pictures.

    Returns:
        ``bar``, the probability that 1% of the categories that are not on a picture reach in the places on it;
        ``seen``, the share of things whose own category scores above it; ``first``, the share whose own scores above
        all that are not on the picture; and the shares of right colours and textures.
    """
    model.eval()
    results: dict[str, float] = {}
    for kind, pictures in held_out.pictures.items():
        parts = [
            see_places(model, pictures[at : at + PART], held_out.truths[at : at + PART])
            for at in range(0, len(pictures), PART)
        ]
        own, others, colours, textures = (torch.cat(values) for values in zip(*parts, strict=True))
        bar = float(np.quantile(others[others >= 0].numpy(), 1 - FALSE_ALARMS))
        shares = {"seen": own > bar, "first": own > others.amax(dim=1), "colour": colours, "texture": textures}
        numbers = {name: float(right.float().mean()) for name, right in shares.items()}
        results |= {f"{kind}_{name}": round(value, 4) for name, value in {**numbers, "bar": bar}.items()}
    return results
