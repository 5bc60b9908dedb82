"""A detector of torchvision learns from an export in COCO's form, in our own training loop."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import nn

from agent.dataset.export.coco import write_coco
from agent.dataset.export.records import Records
from agent.dataset.trainers.training import Outcome, TrainerOptions
from agent.runs import read_json
from evaluators.coco.figures import figures
from instdiff.errors import BadInput, ServiceError
from instdiff.formats.files import write_bytes
from instdiff.training.loop import Task, TrainingPlan, make_accelerator, seeded_weights
from instdiff.training.loop import train as run

MODEL = "fasterrcnn_mobilenet_v3_large_320_fpn"
KINDS = ("fasterrcnn", "fcos", "retinanet", "ssd")  # that learn from boxes alone
WEIGHTS = "weights.safetensors"
RATE = 1e-3
WEIGHT_DECAY = 1e-4
CLIP_NORM = 5.0
GREY = 0.5  # where nobody knows what is there


class Batch(NamedTuple):
    """Pictures, each (3, H, W) float32 in 0..1, and what is on them: ``boxes`` (N, 4) xyxy in pixels, ``labels`` (N,)
    from 1 on."""

    images: list[torch.Tensor]
    targets: list[dict[str, torch.Tensor]]


class Pictures:
    """A split of an export in COCO's form; pictures are read when they are asked for.

    Regions to ignore are painted grey but for what is labelled in them: as nothing is to be seen there, a detector
    does not learn that it is background.
    """

    def __init__(self, folder: Path, split: str):
        self.folder = folder / "images" / split
        self.truth = read_json(folder / "annotations" / f"instances_{split}.json")
        self.images: Sequence[dict] = self.truth["images"]
        self.of_image: dict[int, list[dict]] = {image["id"]: [] for image in self.images}
        for annotation in self.truth["annotations"]:
            self.of_image[annotation["image_id"]].append(annotation)

    def __len__(self) -> int:
        return len(self.images)

    def image(self, place: int) -> torch.Tensor:
        """A picture as it is, (3, H, W) float32 in 0..1."""
        with Image.open(self.folder / self.images[place]["file_name"]) as image:
            array = np.asarray(image.convert("RGB"), dtype=np.float32) / 255
        return torch.from_numpy(array).permute(2, 0, 1)

    def example(self, place: int, mirrored: bool) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """A picture and what a detector learns from it."""
        image = self.image(place)
        annotations = self.of_image[self.images[place]["id"]]
        known = [annotation for annotation in annotations if not annotation["iscrowd"]]
        hidden = torch.zeros(image.shape[1:], dtype=torch.bool)
        for annotation in sorted(annotations, key=lambda one: -one["iscrowd"]):
            x0, y0, x1, y1 = (round(value) for value in _corners(annotation["bbox"]))
            hidden[y0:y1, x0:x1] = bool(annotation["iscrowd"])
        image = torch.where(hidden, GREY, image)
        boxes = torch.tensor([_corners(annotation["bbox"]) for annotation in known]).reshape(-1, 4)
        if mirrored:
            image = image.flip(-1)
            boxes[:, [0, 2]] = image.shape[-1] - boxes[:, [2, 0]]
        labels = torch.tensor([annotation["category_id"] for annotation in known], dtype=torch.int64)
        return image, {"boxes": boxes, "labels": labels}


class DetectionTask(Task[Batch]):
    """A detector of torchvision learns boxes from pictures, half of them mirrored."""

    def __init__(self, model: nn.Module, pictures: Pictures, held_out: Pictures, batch_size: int):
        self.model = model
        self.pictures = pictures
        self.held_out = held_out
        self.batch_size = min(batch_size, len(pictures))
        self.reached: dict[str, float | None] = {}

    def optimizer(self, rate: float) -> torch.optim.Optimizer:
        learned = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        return torch.optim.AdamW(learned, lr=rate, weight_decay=WEIGHT_DECAY)

    def batch(self, step: int, rng: np.random.Generator) -> Batch:
        device = next(self.model.parameters()).device
        places = rng.choice(len(self.pictures), self.batch_size, replace=False)
        examples = [self.pictures.example(place, mirrored=rng.random() < 0.5) for place in places]
        targets = [{name: value.to(device) for name, value in target.items()} for _, target in examples]
        return Batch([image.to(device) for image, _ in examples], targets)

    def losses(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, torch.Tensor]:
        seed = int(torch.randint(2**62, (), generator=generator))
        with seeded_weights(seed):  # torchvision draws which places it learns from without a generator
            return model(batch.images, batch.targets)

    def check(self) -> dict[str, float]:
        return {name: value for name, value in self._figures().items() if value is not None}

    def finish(self) -> dict[str, float]:
        self.reached = self._figures()
        return {name: value for name, value in self.reached.items() if value is not None}

    def _figures(self) -> dict[str, float | None]:
        """COCO's twelve figures on the held-out pictures."""
        device = next(self.model.parameters()).device
        results: list[dict] = []
        for place, about in enumerate(self.held_out.images):
            (found,) = self.model([self.held_out.image(place).to(device)])
            results += to_results(about["id"], found)
        return figures(self.held_out.truth, results)

    def save(self, folder: Path) -> None:
        from safetensors.torch import save

        weights = {name: value.contiguous().cpu() for name, value in self.model.state_dict().items()}
        write_bytes(folder / WEIGHTS, save(weights))


def check(options: TrainerOptions) -> None:
    """Raise ServiceError if torchvision is not installed, BadInput if it has no such model."""
    if find_spec("torchvision") is None:
        raise ServiceError('torchvision is not installed; run pip install -e ".[trainers]"')
    from torchvision.models import list_models

    known = [name for name in list_models() if name.startswith(KINDS)]
    if options.model and options.model not in known:
        raise BadInput("model", f'torchvision has no detector "{options.model[:60]}"; choose from {", ".join(known)}')


def train(records: Records, out: Path, options: TrainerOptions) -> Outcome:
    """Export, train and score; the same command goes on with what was stopped."""
    data = out / "coco"
    shutil.rmtree(data, ignore_errors=True)
    write_coco(records, data)
    pictures = Pictures(data, "train")
    steps = options.epochs * -(-len(pictures) // options.batch)
    every = max(min(steps // 20, 50), 1)
    fixed = {"model": options.model or MODEL, "steps": steps, "batch": options.batch, "seed": options.seed}
    plan = TrainingPlan(
        rate=RATE,
        steps=steps,
        warmup=min(steps // 10, 100),
        cooldown=0.3,
        ema=0.998,
        clip_norm=CLIP_NORM,
        seed=options.seed,
        folder=out,
        resume=True,
        fixed={**fixed, "pretrained": options.pretrained, "classes": ", ".join(records.classes)},
        log_every=every,
        check_every=5 * every,
        part_bytes=None,
    )
    task = DetectionTask(make_model(options, len(records.classes)), pictures, Pictures(data, "val"), options.batch)
    run(task, plan, make_accelerator("auto", "no"))
    write_bytes(out / "classes.txt", "".join(f"{name}\n" for name in records.classes).encode())
    return Outcome(figures=task.reached, steps=steps, weights=out / WEIGHTS)


def make_model(options: TrainerOptions, classes: int) -> nn.Module:
    """A detector for so many classes, its head and, if not ``pretrained``, all of it untrained.

    Raises:
        ServiceError: the weights of its backbone cannot be fetched.
    """
    from torchvision.models import get_model

    backbone = "DEFAULT" if options.pretrained else None
    try:
        with seeded_weights(options.seed):  # class 0 is the background
            return get_model(options.model or MODEL, weights=None, weights_backbone=backbone, num_classes=classes + 1)
    except OSError as error:  # of urllib
        raise ServiceError(f"torchvision cannot fetch its weights: {error}; leave --pretrained out") from error


def to_results(image_id: int, found: Mapping[str, torch.Tensor]) -> list[dict]:
    """What a model found on a picture, as COCO's results."""
    rows = zip(found["boxes"].tolist(), found["labels"].tolist(), found["scores"].tolist(), strict=True)
    return [
        {"image_id": image_id, "category_id": label, "score": score, "bbox": [x0, y0, x1 - x0, y1 - y0]}
        for (x0, y0, x1, y1), label, score in rows
    ]


def _corners(bbox: Sequence[float]) -> tuple[float, float, float, float]:
    x, y, width, height = bbox
    return x, y, x + width, y + height
