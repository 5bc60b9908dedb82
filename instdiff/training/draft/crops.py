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
FAR = 0.6  # share of the things with a place that is moved away, or of another size
FAR_SHIFT = (0.25, 0.9)  # the least and the most, in the box's own sides
FAR_ACROSS = 0.6  # how often it is moved across, and down
FAR_SIZED = 0.5  # how often it is of another size
FAR_SIZE = 1.4  # logarithm of the largest size over the smallest
RANDOM = 2  # places anywhere on a picture
SHORTEST_SIDE = 0.02  # of a picture
# From the first IoU on a place shows the thing, below the second it shows nothing; what lies between teaches nothing.
SAME_IOU = 0.5
OTHER_IOU = 0.42
PART_IOU = 0.2  # from here on a place tells where the thing ends, so that one that is out of place is known as that
SMOOTHING = 0.02
LOOK_WEIGHT = 0.3
PLACE_WEIGHT = 4.0
PLACE_BETA = 0.05  # offsets that are off by less count squared
WEIGHT_DECAY = 0.02
FALSE_ALARMS = 0.01  # share of other categories that pass the bar


class Places(NamedTuple):
    """N places on pictures, and the thing that each shows, or a part of."""

    boxes: torch.Tensor  # (N, 4) xyxy as fractions
    pictures: torch.Tensor  # (N,)
    things: torch.Tensor  # (N,) indices of the picture's things: the one that fits best
    shows: torch.Tensor  # (N,) bool: it is there
    touches: torch.Tensor  # (N,) bool: enough of it is there to say where it ends


class CropBatch(NamedTuple):
    """N places, cut out, with what is to be said of them."""

    crops: torch.Tensor  # (N, 3, crop_size, crop_size) in -1..1
    labels: torch.Tensor  # (N,) of categories, or the number of categories for nothing
    colours: torch.Tensor  # (N,) indices, -1 where there is none
    textures: torch.Tensor  # (N,) indices, -1 where there is none
    offsets: torch.Tensor  # (N, 4) as `CropPredictions.offsets`
    touches: torch.Tensor  # (N,) bool: where the offsets are known


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
    candidates.append(far_boxes(boxes, generator))
    far = there & (torch.rand(b, n, generator=generator, device=device) < FAR)
    candidates.append(random_boxes(b, RANDOM, generator))
    anywhere = torch.ones(b, RANDOM, dtype=torch.bool, device=device)
    used = torch.cat([*[there] * NEAR, far, anywhere], dim=1)
    places = torch.cat(candidates, dim=1)  # (B, P, 4)
    places = torch.cat([places[..., :2].clamp(0, 1 - 0.03), places[..., 2:].clamp(0.03, 1)], dim=-1)
    iou, thing = pairwise_iou(places, boxes).masked_fill(~there[:, None], 0).max(dim=-1)
    clear = (iou >= SAME_IOU) | (iou < OTHER_IOU)
    large = (places[..., 2:] - places[..., :2]).amin(dim=-1) > SHORTEST_SIDE
    chosen = (used & clear & large).nonzero(as_tuple=True)
    return Places(places[chosen], chosen[0], thing[chosen], iou[chosen] >= SAME_IOU, iou[chosen] >= PART_IOU)


def far_boxes(boxes: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Boxes (B, n, 4) moved by a good part of their sides, or made larger or smaller, or both."""
    shape = (*boxes.shape[:2], 2)

    def draw(*size: int) -> torch.Tensor:
        return torch.rand(*(size or shape), generator=generator, device=boxes.device)

    least, most = FAR_SHIFT
    shift = (least + (most - least) * draw()) * (2 * (draw() < 0.5) - 1) * (draw() < FAR_ACROSS)
    growth = torch.exp(FAR_SIZE * (draw() - 0.5) * (draw(*shape[:2], 1) < FAR_SIZED))
    sides = boxes[..., 2:] - boxes[..., :2]
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2 + shift * sides
    return torch.cat([centre - growth * sides / 2, centre + growth * sides / 2], dim=-1)


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
    own = places.pictures, places.things
    crops = model.cut(pictures.images, places.boxes, places.pictures)
    return CropBatch(
        crops.contiguous(memory_format=torch.channels_last),
        torch.where(places.shows, pictures.labels[own], len(model.config.categories)),
        torch.where(places.shows, pictures.colours[own], -1),
        torch.where(places.shows, pictures.textures[own], -1),
        offsets_between(places.boxes, pictures.boxes[own]),
        places.touches,
    )


def crop_losses(predicted: CropPredictions, batch: CropBatch) -> dict[str, torch.Tensor]:
    """Cross-entropies of category, colour and texture, and a smooth L1 loss of the offsets (Fast R-CNN, eq. 3)."""
    logits, colours, textures, offsets = (values.float() for values in predicted)
    known = batch.touches
    place = F.smooth_l1_loss(offsets[known], batch.offsets[known], beta=PLACE_BETA, reduction="sum")
    look = known_cross_entropy(colours, batch.colours) + known_cross_entropy(textures, batch.textures)
    return {
        "category": F.cross_entropy(logits, batch.labels, label_smoothing=SMOOTHING),
        "look": LOOK_WEIGHT * look,
        "place": PLACE_WEIGHT * place / (4 * known.sum()).clamp(min=1),
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
            self.model.begin_with(DenseDetector.from_pretrained(self.detector))

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
        figures = self.check()
        self.model.register_to_config(found_score=figures["clean_bar"])
        return figures

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
