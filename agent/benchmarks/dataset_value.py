"""What a dataset is worth: a small detector learns from its pictures, another from as many composites, for as long."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from agent.dataset.export.card import PROOF
from agent.dataset.export.records import Record, read_records
from agent.dataset.folder import Folder
from agent.runs import write_json
from evaluators.reporting import progress_bar
from instdiff.engine import DRAFT_FOLDER
from instdiff.errors import BadInput
from instdiff.formats.coco import fitted_mask
from instdiff.layout import Instance
from instdiff.model.autoencoder import PatchAutoencoder
from instdiff.model.detector import DenseDetector
from instdiff.training.draft.composer import Composer
from instdiff.training.draft.degrade import degrade
from instdiff.training.draft.detector import CLEAN, learn
from instdiff.training.draft.held_out import (
    COLOUR_NAMES,
    MASK_STRIDE,
    NAMES,
    TEXTURE_NAMES,
    HeldOut,
    Truth,
    choose_threshold,
)
from instdiff.world import nouns

if TYPE_CHECKING:
    from instdiff.training.draft.sprites import Sprite

SIZE = 256
RATE = 1.5e-3
COOLDOWN = 0.3  # pixels, learning rate, share of the time with a falling one
COMPOSITES_SEED = 7_000_000
Examples = list[tuple[torch.Tensor, Truth]]  # pictures (3, S, S) uint8


def prove(
    folder: Folder,
    sprites: dict[str, list[Sprite]],
    count: int | None,
    minutes: float,
    held_out: int,
    batch: int,
    seed: int,
) -> dict[str, object]:
    """Train from nothing on ``count`` pictures of the training split and on as many composites; score both on other
    composites.

    Composites show the categories of the dataset alone. Pictures, steps, augmentation and seed are the same for both:
    the first learns for ``minutes``, the second for as many steps.

    Returns:
        AP50 and recall of both on clean held-out composites, and the ratio of the APs (None where composites teach
        nothing).

    Raises:
        BadInput: the dataset has no pictures of anything that composites show, or fewer than ``count``.
    """
    for name, value in (("count", count), ("minutes", minutes), ("held_out", held_out), ("batch", batch)):
        if value is not None and not value > 0:
            raise BadInput(name, f"{value} is not more than 0")
    examples, names = dataset_examples(read_records(folder), count)
    names = sorted(name for name in names if name in sprites)
    composer = Composer({name: sprites[name] for name in names})
    autoencoder = PatchAutoencoder.from_pretrained(DRAFT_FOLDER / "vae")
    unseen = HeldOut(composer, autoencoder, held_out)
    figures = {}
    steps = None
    for name, some in (("dataset", examples), ("composites", composites(composer, len(examples)))):
        model, steps = train(some, minutes, batch, seed, steps, f"learning from {len(some)} pictures, {name}")
        model.register_to_config(score_threshold=choose_threshold(model, unseen))
        checked = unseen.check(model)
        figures[name] = {"ap50": checked["clean_ap50"], "recall": checked["clean_recall"], "steps": steps}
    reached = figures["dataset"]["ap50"]
    bound = figures["composites"]["ap50"]
    about = {"pictures": len(examples), "categories": len(names), "minutes": minutes, "held_out": held_out}
    found = {**about, **figures, "ratio": round(reached / bound, 4) if bound else None}
    write_json(folder.path / PROOF, found)
    return found


def dataset_examples(records: Sequence[Record], count: int | None) -> tuple[Examples, set[str]]:
    """The first ``count`` training pictures with what is annotated on them, and the categories that occur."""
    from PIL import Image

    usable = [record for record in records if record.split == "train" and any(map(_category, record.layout.instances))]
    if len(usable) < max(count or 1, 1):
        raise BadInput(
            "count", f"the training split has {len(usable)} pictures of things that composites show, not {count or 1}"
        )
    examples = []
    names = set()
    for record in usable[:count]:
        with Image.open(record.path) as image:
            pixels = np.asarray(image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR))
        known = [instance for instance in record.layout.instances if _category(instance)]
        names |= {_category(instance) for instance in known}
        examples.append((torch.from_numpy(pixels.copy()).permute(2, 0, 1), _truth(known)))
    return examples, names


def composites(composer: Composer, count: int) -> Examples:
    """Composed pictures that no held-out set holds."""
    rng = np.random.default_rng(COMPOSITES_SEED)
    made = [composer.compose(rng) for _ in range(count)]
    return [(torch.from_numpy(one.image).permute(2, 0, 1), Truth.of(one)) for one in made]


def train(
    examples: Examples, minutes: float, batch: int, seed: int, steps: int | None = None, about: str = ""
) -> tuple[DenseDetector, int]:
    """A detector that learns from nothing but these pictures, mirrored and spoiled; and in how many steps it did.

    It learns for ``minutes``, or for ``steps`` if they are given, however long those take. ``about`` stands beside the
    bar.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = DenseDetector(tuple(NAMES), tuple(COLOUR_NAMES), tuple(TEXTURE_NAMES)).to(memory_format=torch.channels_last)
    average = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.02)
    start = time.monotonic()
    step = 0
    with progress_bar() as progress:
        task = progress.add_task(about, total=100)
        while (share := step / steps if steps else (time.monotonic() - start) / (60 * minutes)) < 1:
            for group in optimizer.param_groups:
                group["lr"] = RATE * min((step + 1) / 200, 1.0) * min((1 - share) / COOLDOWN, 1.0)
            step += 1
            learn(model, average, optimizer, *_batch(examples, batch, rng), step)
            progress.update(task, completed=round(100 * share))
        progress.update(task, completed=100)
    return average.eval(), step


def _batch(examples: Examples, size: int, rng: np.random.Generator) -> tuple[torch.Tensor, list[Truth]]:
    """Pictures (B, 3, S, S) in -1..1, and what is on each."""
    images = []
    truths = []
    for index in rng.integers(len(examples), size=size):
        pixels, truth = examples[index]
        image = pixels.float() / 127.5 - 1
        if rng.random() < 0.5:
            image = image.flip(-1)
            truth = truth.mirrored()
        images.append(image if rng.random() < CLEAN else degrade(image, rng))
        truths.append(truth)
    return torch.stack(images), truths


def _category(instance: Instance) -> str | None:
    """The catalogue's name for an instance, None if it has none."""
    return nouns.class_of(instance.name, NAMES)


def _truth(instances: Sequence[Instance]) -> Truth:
    """What a detector learns; an instance without mask fills its box, a colour that is not asked for is left open."""
    masks = np.zeros((len(instances), SIZE, SIZE), dtype=np.float32)
    for mask, instance in zip(masks, instances, strict=True):
        if instance.mask:
            mask[:] = fitted_mask(instance.mask, (SIZE, SIZE)).array
        else:
            x0, y0, x1, y1 = (round(value) for value in instance.extent.to_corners((SIZE, SIZE)))
            mask[y0:y1, x0:x1] = 1
    colours = [nouns.asked_colour(instance.caption, instance.category) for instance in instances]
    return Truth(
        torch.tensor([instance.extent.xyxy for instance in instances]).reshape(-1, 4),
        torch.tensor([NAMES.index(_category(instance)) for instance in instances]),
        torch.tensor([COLOUR_NAMES.index(colour) if colour in COLOUR_NAMES else -1 for colour in colours]),
        torch.zeros(len(instances), dtype=torch.long),
        F.avg_pool2d(torch.from_numpy(masks)[:, None], MASK_STRIDE)[:, 0] >= 0.5,
    )
