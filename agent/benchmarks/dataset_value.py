"""What a dataset is worth: a small detector learns from its pictures, others from as many composites, and from both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypedDict

import numpy as np
import torch
import torch.nn.functional as F

from agent.dataset.export.card import PROOF
from agent.dataset.export.records import AnnotatedPicture, read_records
from agent.dataset.folder import Folder
from agent.runs import write_json
from instdiff.engine import DRAFT_FOLDER
from instdiff.errors import BadInput
from instdiff.formats.coco import fitted_mask
from instdiff.layout import Instance
from instdiff.model.autoencoder import PatchAutoencoder
from instdiff.training.draft.catalogue import COLOUR_NAMES, NAMES
from instdiff.training.draft.composer import Composer
from instdiff.training.draft.detector import CLIP_NORM, DetectorTask, make_detector
from instdiff.training.draft.held_out import HeldOutPictures
from instdiff.training.draft.labelled_pictures import FixedPictures, LabelledPictures, Things
from instdiff.training.draft.scene_records import MASK_SIZE, SIZE, record_scene
from instdiff.training.draft.stream import stack_scenes
from instdiff.training.loop import TrainingPlan, make_accelerator, train
from instdiff.world import nouns

if TYPE_CHECKING:
    from instdiff.training.draft.sprites import Sprite

PLAN = TrainingPlan(rate=1.5e-3, warmup=200, cooldown=0.3, ema=0.998, clip_norm=CLIP_NORM)
COMPOSITES_SEED = 7_000_000
LEAST_AP50 = 0.05  # of composites: a training that teaches less says nothing about a dataset


class Score(TypedDict):
    """How well detectors do on clean held-out composites, over the seeds, and after how many steps."""

    ap50: float  # mean
    interval: list[float] | None  # of the mean, 95 %, by Student's t; None of one seed
    each: list[float]
    recall: float  # mean
    steps: int


def prove(
    folder: Folder,
    sprites: dict[str, list[Sprite]],
    count: int | None,
    minutes: float,
    held_out: int,
    batch: int,
    seed: int,
    seeds: int = 1,
) -> dict[str, object]:
    """Train from nothing on ``count`` pictures of the training split, on as many composites, and on both together.

    Composites show the categories of the dataset alone. Steps and augmentation are the same for all: the first learns
    for ``minutes``, all others for as many steps. Each is trained ``seeds`` times, from ``seed`` on; all are scored on
    the same composites, which none has seen.

    Returns:
        a `Score` of the ``dataset``, the ``composites`` and ``both``, and ``ratio`` and ``ratio_of_both``: of the mean
        APs, over that of the composites.

    Raises:
        BadInput: the dataset has no pictures of anything that composites show, or fewer than ``count``, or the training
            is so short that composites teach next to nothing; then nothing is written.
    """
    check_positive(count=count, minutes=minutes, held_out=held_out, batch=batch, seeds=seeds)
    examples, categories = dataset_examples(read_records(folder), count)
    names = sorted(name for name in categories if name in sprites)
    composer = Composer({name: sprites[name] for name in names})
    autoencoder = PatchAutoencoder.from_pretrained(DRAFT_FOLDER / "vae")
    unseen = HeldOutPictures(composer, autoencoder, held_out)
    composed = composites(composer, len(examples.images))
    sets = {"dataset": examples, "composites": composed, "both": together(examples, composed)}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in sets}
    plan = replace(PLAN, minutes=minutes)
    for number in range(seed, seed + seeds):
        for name, pictures in sets.items():
            task = ExamplesTask(pictures, unseen, batch, number)
            found[name].append(train_detector(task, replace(plan, seed=number), name))
            plan = replace(plan, steps=int(found["dataset"][0]["steps"]))
    scores = {name: score(results) for name, results in found.items()}
    bound = scores["composites"]["ap50"]
    if bound < LEAST_AP50:
        reason = f"{minutes} is too short: after {plan.steps} steps as many composites teach an AP50 of {bound}"
        raise BadInput("minutes", f"{reason}, less than {LEAST_AP50}; nothing is written")
    about = {"pictures": len(examples.images), "categories": len(names), "minutes": minutes, "held_out": held_out}
    ratios = {"ratio": scores["dataset"]["ap50"], "ratio_of_both": scores["both"]["ap50"]}
    proof: dict[str, object] = {**about, "seeds": seeds, **scores}
    proof |= {name: round(ap50 / bound, 4) if bound else None for name, ap50 in ratios.items()}
    write_json(folder.path / PROOF, proof)
    return proof


def score(results: Sequence[dict[str, float]]) -> Score:
    """The results of several seeds together."""
    each = [result["ap50"] for result in results]
    interval = None
    if len(each) > 1:
        from scipy.stats import t

        reach = float(t.ppf(0.975, len(each) - 1) * np.std(each, ddof=1) / len(each) ** 0.5)
        interval = [round(float(np.mean(each)) - reach, 4), round(float(np.mean(each)) + reach, 4)]
    recall = round(float(np.mean([result["recall"] for result in results])), 4)
    mean = round(float(np.mean(each)), 4)
    return {"ap50": mean, "interval": interval, "each": each, "recall": recall, "steps": int(results[0]["steps"])}


def together(first: LabelledPictures, second: LabelledPictures) -> LabelledPictures:
    """The pictures of both."""
    return LabelledPictures.of(torch.cat([first.images, second.images]), [*first.things(), *second.things()])


def check_positive(**values: float | None) -> None:
    """Refuse the first value that is given and is not more than 0."""
    for name, value in values.items():
        if value is not None and not value > 0:
            raise BadInput(name, f"{value} is not more than 0")


class ExamplesTask(DetectorTask):
    """A detector that learns from nothing but these pictures, moved and spoiled; it is looked at in the end alone."""

    def __init__(self, examples: LabelledPictures, held_out: HeldOutPictures, batch_size: int, seed: int):
        super().__init__(make_detector(seed), FixedPictures(examples), held_out, batch_size)
        self.count = len(examples.images)
        self.end_figures: dict[str, float] = {}

    def check(self) -> dict[str, float]:
        return {}

    def finish(self) -> dict[str, float]:
        self.end_figures = super().finish() | self.held_out.check(self.model)
        return self.end_figures


def train_detector(task: ExamplesTask, plan: TrainingPlan, name: str) -> dict[str, float]:
    """Train as planned; returns how well the detector then does on clean pictures."""
    title = f"learning from {task.count} pictures, {name}"
    steps = train(task, replace(plan, title=title), make_accelerator("auto", "bf16"))
    return {"ap50": task.end_figures["clean_ap50"], "recall": task.end_figures["clean_recall"], "steps": steps}


def dataset_examples(records: Sequence[AnnotatedPicture], count: int | None) -> tuple[LabelledPictures, set[str]]:
    """The first ``count`` training pictures (uint8) with what is annotated on them, and the categories that occur."""
    from PIL import Image

    usable = [record for record in records if record.split == "train" and any(map(_category, record.layout.instances))]
    if len(usable) < max(count or 1, 1):
        pictures = f"{len(usable)} pictures of things that composites show"
        raise BadInput("count", f"the training split has {pictures}, not {count or 1}")
    images = []
    things = []
    names = set()
    for record in usable[:count]:
        with Image.open(record.path) as image:
            pixels = np.asarray(image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR))
        named = [(name, instance) for instance in record.layout.instances if (name := _category(instance))]
        names |= {name for name, _ in named}
        images.append(torch.from_numpy(pixels.copy()).permute(2, 0, 1))
        things.append(_things(named))
    return LabelledPictures.of(torch.stack(images), things), names


def composites(composer: Composer, count: int) -> LabelledPictures:
    """Composed pictures (uint8) that no held-out set holds."""
    rng = np.random.default_rng(COMPOSITES_SEED)
    composed = stack_scenes([record_scene(composer.compose(rng)) for _ in range(count)])
    return composed._replace(images=((composed.images + 1) * 127.5).round().byte())


def _category(instance: Instance) -> str | None:
    """The catalogue's name for an instance, None if it has none, or is a bare point without an extent to learn."""
    return nouns.class_of(instance.name, NAMES) if instance.extent else None


def _things(named: Sequence[tuple[str, Instance]]) -> Things:
    """What a detector learns of instances and their names in the catalogue.

    An instance without mask fills its box; a colour that is not asked for is left open.
    """
    masks = np.zeros((len(named), SIZE, SIZE), dtype=np.float32)
    boxes = [instance.extent for _, instance in named if instance.extent]
    for mask, box, (_, instance) in zip(masks, boxes, named, strict=True):
        if instance.mask:
            mask[:] = fitted_mask(instance.mask, (SIZE, SIZE)).array
        else:
            x0, y0, x1, y1 = (round(value) for value in box.to_corners((SIZE, SIZE)))
            mask[y0:y1, x0:x1] = 1
    colours = [nouns.asked_colour(instance.caption, instance.category) for _, instance in named]
    return Things(
        torch.tensor([box.xyxy for box in boxes]).reshape(-1, 4),
        torch.tensor([NAMES.index(name) for name, _ in named]),
        torch.tensor([COLOUR_NAMES.index(colour) if colour in COLOUR_NAMES else -1 for colour in colours]),
        torch.zeros(len(named), dtype=torch.long),
        F.adaptive_avg_pool2d(torch.from_numpy(masks), MASK_SIZE) >= 0.5,
    )
