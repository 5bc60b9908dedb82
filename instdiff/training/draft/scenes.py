"""Composed scenes on disk, encoded to latents once, and the batches that the painter trains on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from instdiff.layout import SCRIBBLE_POINTS, Box, Instance, Layout, Mask, Point, Scribble
from instdiff.model.autoencoder import PatchAutoencoder
from instdiff.model.grounding import Grounding, place_grounding
from instdiff.model.mask_points import points_inside

if TYPE_CHECKING:
    from instdiff.training.draft.composer import Composer, Composite

SHARD_SCENES = 1000
MASK_SIZE = 64


@dataclass(frozen=True)
class StoredInstance:
    """What is kept of a composed instance: words, box, the visible mask at 64 x 64, and what it was painted in."""

    category: str
    caption: str
    box: Box
    mask: np.ndarray  # (64, 64) bool
    colour: str | None = None
    texture: str | None = None

    def places(self, kinds: str, rng: np.random.Generator) -> dict:
        """The fields of an `Instance` for ``kinds``, letters out of b (box), p (point), s (scribble), m (mask)."""
        places: dict = {}
        legacy = np.random.RandomState(rng.integers(2**32))
        if "b" in kinds:
            places["box"] = self.box
        if "m" in kinds:
            places["mask"] = Mask.from_array(self.mask)
        if "p" in kinds:
            x, y = (points_inside(self.mask, 1, legacy)[0] + 0.5) / MASK_SIZE
            places["point"] = Point(x=x, y=y)
        if "s" in kinds:
            points = (points_inside(self.mask, SCRIBBLE_POINTS, legacy) + 0.5) / MASK_SIZE
            places["scribble"] = Scribble(points=tuple(Point(x=x, y=y) for x, y in points))
        return places


@dataclass(frozen=True)
class StoredScene:
    caption: str
    instances: list[StoredInstance]


def to_tensor(images: list[np.ndarray]) -> torch.Tensor:
    """Pictures (H, W, 3) uint8 -> (B, 3, H, W) float in -1..1."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 127.5 - 1


def write_shards(folder: Path, composer: Composer, autoencoder: PatchAutoencoder, first: int, last: int) -> None:
    """Write shards ``first`` up to ``last``; shard i is composed with seed i, and one that is there is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(first, last):
        path = folder / f"scenes-{index:04d}.npz"
        if path.exists():
            continue
        rng = np.random.default_rng(index)
        latents = []
        scenes = []
        masks: list[np.ndarray] = []
        for _ in range(SHARD_SCENES // 50):
            composites = [composer.compose(rng) for _ in range(50)]
            with torch.no_grad():
                encoded = autoencoder.encode(to_tensor([c.image for c in composites])).latent
            latents.append((encoded * autoencoder.config.scaling_factor).half().numpy())
            for composite in composites:
                instances = [[i.category, i.caption, i.box.xyxy, i.colour, i.texture] for i in composite.instances]
                scenes.append({"caption": composite.caption, "instances": instances})
                masks += [shrink_mask(instance.mask) for instance in composite.instances]
        temporary = path.with_suffix(".tmp.npz")
        packed = np.packbits(np.array(masks).reshape(len(masks), -1), axis=1)
        np.savez(temporary, latents=np.concatenate(latents), masks=packed, scenes=np.array(json.dumps(scenes)))
        temporary.replace(path)
        print(f"{path.name}: {SHARD_SCENES} scenes", flush=True)


def read_shard(path: Path) -> tuple[np.ndarray, list[StoredScene]]:
    """A shard's latents (1000, C, h, w) float16, scaled for denoising, and its scenes."""
    with np.load(path) as data:
        latents = data["latents"]
        packed = data["masks"]
        records = json.loads(str(data["scenes"]))
    masks = iter(np.unpackbits(packed, axis=1).reshape(-1, MASK_SIZE, MASK_SIZE).astype(bool))
    scenes = []
    for record in records:
        instances = [
            StoredInstance(category, caption, Box.from_corners(xyxy, (1, 1)), next(masks), *look)
            for category, caption, xyxy, *look in record["instances"]
        ]
        scenes.append(StoredScene(record["caption"], instances))
    return latents, scenes


def shrink_mask(mask: np.ndarray) -> np.ndarray:
    """(S, S) bool -> (64, 64) bool: a cell belongs to the mask where any of its pixels does."""
    step = len(mask) // MASK_SIZE
    return np.logical_or.reduce(mask.reshape(MASK_SIZE, step, MASK_SIZE, step), axis=(1, 3))


SLOTS = 12
SEG_SIZE = 128
# Kinds of place per layout, letters as in `StoredInstance.places`; "?" draws one for every instance. The model is never
# left to guess how large a thing is: a point or a scribble comes with the box that it reaches (see
# `instdiff.model.grounding`).
PLACE_KINDS = ["b", "m", "bs", "bp", "?"]
PLACE_SHARES = [0.66, 0.10, 0.08, 0.08, 0.08]
DROP_CAPTION = 0.10
DROP_GROUNDING = 0.07
DROP_BOTH = 0.05
ONE_INSTANCE = 0.08


def layout_of(scene: Composite | StoredScene, side: int = 256) -> Layout:
    """The layout of a scene, with the boxes of its first instances."""
    instances = [Instance(caption=i.caption, category=i.category, box=i.box) for i in scene.instances[:SLOTS]]
    return Layout(width=side, height=side, caption=scene.caption, instances=tuple(instances))


class SceneBatch(NamedTuple):
    """B training samples."""

    latents: torch.Tensor  # (B, C, h, w) scaled for denoising
    captions: list[str]
    grounding: Grounding
    phrases: list[list[str]]  # captions of the instances in their slots

    def to(self, device: torch.device) -> SceneBatch:
        return self._replace(latents=self.latents.to(device), grounding=self.grounding.to(device))


class StoredScenes:
    """Stored scenes as training samples."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.paths: list[Path] = []
        self.latents: list[np.ndarray] = []
        self.scenes: list[StoredScene] = []
        self.refresh()

    def refresh(self) -> None:
        """Read shards that have appeared since."""
        for path in sorted(self.folder.glob("scenes-????.npz")):
            if path not in self.paths:
                latents, scenes = read_shard(path)
                self.paths.append(path)
                self.latents.extend(latents)
                self.scenes.extend(scenes)

    def batch(self, size: int, rng: np.random.Generator) -> SceneBatch:
        """Samples with everything dropped that guidance needs dropped."""
        picked = rng.integers(len(self.scenes), size=size)
        samples = [self._sample(self.scenes[i], rng) for i in picked]
        latents = torch.from_numpy(np.stack([self.latents[i] for i in picked])).float()
        captions, groundings, phrases = zip(*samples, strict=True)
        return SceneBatch(latents, list(captions), Grounding.cat(list(groundings)), list(phrases))

    def _sample(self, scene: StoredScene, rng: np.random.Generator) -> tuple[str, Grounding, list[str]]:
        draw = rng.random()
        stored = scene.instances[:SLOTS]
        caption = scene.caption
        if draw < ONE_INSTANCE and stored:  # what the Multi-Instance Sampler asks for
            stored = [stored[rng.integers(len(stored))]]
            caption = stored[0].caption
        elif draw < ONE_INSTANCE + DROP_CAPTION:
            caption = ""
        elif draw < ONE_INSTANCE + DROP_CAPTION + DROP_GROUNDING:
            stored = []
        elif draw < ONE_INSTANCE + DROP_CAPTION + DROP_GROUNDING + DROP_BOTH:
            stored = []
            caption = ""
        kinds = rng.choice(PLACE_KINDS, p=PLACE_SHARES)
        instances = []
        for i in rng.permutation(len(stored)):
            places = stored[i].places(rng.choice(PLACE_KINDS[:-1]) if kinds == "?" else kinds, rng)
            instances.append(Instance(caption=stored[i].caption, **places))
        layout = Layout(caption=caption, instances=tuple(instances))
        grounding = place_grounding(layout, int(rng.integers(2**31)), SEG_SIZE, SLOTS)
        return caption, grounding, [instance.caption for instance in instances]
