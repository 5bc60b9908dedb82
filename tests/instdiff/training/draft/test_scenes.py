import json

import numpy as np
import pytest
import torch

pytest.importorskip("cv2")


from instdiff.layout import Box
from instdiff.training.draft import scenes
from instdiff.training.draft.composer import ComposedInstance, Composite


class Halves:
    """Stands where the autoencoder stands: two latent channels of zeros."""

    class config:
        scaling_factor = 1.0

    def encode(self, images):
        return type("Encoded", (), {"latent": torch.zeros(len(images), 2, 4, 4)})


class OneThing:
    """Composes pictures of one striped red ball, and every tenth time of nothing."""

    def __init__(self):
        self.count = 0

    def compose(self, rng):
        self.count += 1
        mask = np.zeros((128, 128), bool)
        mask[32:64, :32] = True
        ball = ComposedInstance(
            "ball", "a striped red ball", "red", "striped", Box(x0=0, y0=0.25, x1=0.25, y1=0.5), mask
        )
        instances = [] if self.count % 10 == 0 else [ball]
        return Composite(np.zeros((128, 128, 3), np.uint8), "a ball", instances)


def test_what_is_written_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(scenes, "SHARD_SCENES", 50)
    scenes.write_shards(tmp_path, OneThing(), Halves(), 3, 4)
    latents, stored = scenes.read_shard(tmp_path / "scenes-0003.npz")
    assert latents.shape == (50, 2, 4, 4) and len(stored) == 50
    assert sum(not scene.instances for scene in stored) == 5
    ball = stored[0].instances[0]
    assert (ball.category, ball.caption, ball.colour, ball.texture) == ("ball", "a striped red ball", "red", "striped")
    assert ball.box.xyxy == pytest.approx([0, 0.25, 0.25, 0.5])
    assert ball.mask.sum() == 16 * 16 and ball.mask[16:32, :16].all()


def test_shards_without_colours_and_textures_are_read(tmp_path):
    words = [{"caption": "a ball", "instances": [["ball", "a ball", [0, 0, 1, 1]]]}]
    masks = np.packbits(np.ones((1, 64 * 64), bool), axis=1)
    np.savez(
        tmp_path / "scenes-0000.npz",
        latents=np.zeros((1, 2, 4, 4), np.float16),
        masks=masks,
        scenes=np.array(json.dumps(words)),
    )
    _, stored = scenes.read_shard(tmp_path / "scenes-0000.npz")
    assert (stored[0].instances[0].colour, stored[0].instances[0].texture) == (None, None)
