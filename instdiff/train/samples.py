"""Stored scenes as the painter trains on them: some places told, some captions dropped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from instdiff.grounding import Grounding, place_grounding
from instdiff.layout import Instance, Layout
from instdiff.train.scenes import StoredScene, read_shard

SLOTS, SEG_SIZE = 12, 128
# Kinds of place per layout, letters as in `StoredInstance.places`; "?" draws one for every instance. The model is never left
# to guess how large a thing is: a point or a scribble comes with the box that it reaches (see `instdiff.reach`).
PLACE_KINDS, PLACE_SHARES = ["b", "m", "bs", "bp", "?"], [0.66, 0.10, 0.08, 0.08, 0.08]
DROP_CAPTION, DROP_GROUNDING, DROP_BOTH, ONE_INSTANCE = 0.10, 0.07, 0.05, 0.08


class Scenes:
    """Stored scenes as training samples."""

    def __init__(self, folder: Path):
        self.folder, self.paths = folder, []
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

    def batch(self, size: int, rng: np.random.Generator) -> tuple[torch.Tensor, list[str], Grounding, list[list[str]]]:
        """Latents, captions, grounding and instance captions, with everything dropped that guidance needs dropped."""
        picked = rng.integers(len(self.scenes), size=size)
        samples = [self._sample(self.scenes[i], rng) for i in picked]
        latents = torch.from_numpy(np.stack([self.latents[i] for i in picked])).float()
        captions, groundings, phrases = zip(*samples, strict=True)
        return latents, list(captions), Grounding.cat(list(groundings)), list(phrases)

    def _sample(self, scene: StoredScene, rng: np.random.Generator) -> tuple[str, Grounding, list[str]]:
        draw, stored, caption = rng.random(), scene.instances[:SLOTS], scene.caption
        if draw < ONE_INSTANCE and stored:  # what the Multi-Instance Sampler asks for
            stored = [stored[rng.integers(len(stored))]]
            caption = stored[0].caption
        elif draw < ONE_INSTANCE + DROP_CAPTION:
            caption = ""
        elif draw < ONE_INSTANCE + DROP_CAPTION + DROP_GROUNDING:
            stored = []
        elif draw < ONE_INSTANCE + DROP_CAPTION + DROP_GROUNDING + DROP_BOTH:
            stored, caption = [], ""
        kinds = rng.choice(PLACE_KINDS, p=PLACE_SHARES)
        order = rng.permutation(len(stored))
        instances = [
            Instance(caption=stored[i].caption, **stored[i].places(rng.choice(PLACE_KINDS[:-1]) if kinds == "?" else kinds, rng))
            for i in order
        ]
        grounding = place_grounding(Layout(caption=caption, instances=instances), int(rng.integers(2**31)), SEG_SIZE, SLOTS)
        return caption, grounding, [instance.caption for instance in instances]
