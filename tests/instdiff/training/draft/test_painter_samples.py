import pickle

import numpy as np
import pytest
import torch

pytest.importorskip("cv2")

from transformers import CLIPTokenizer

from instdiff.engine import DRAFT_FOLDER
from instdiff.layout import Box, Instance, Layout, Mask
from instdiff.model.autoencoder import PatchAutoencoder
from instdiff.model.grounding import place_grounding
from instdiff.training.draft.composer import ComposedInstance, Composite
from instdiff.training.draft.drawings import SIDE, Drawings
from instdiff.training.draft.painter_samples import PLACES, SEG_SIZE, SLOTS, PainterScenes, SampleUnpacker
from instdiff.training.draft.stream import SceneBuffer
from tests.instdiff.model.test_detector import composer

BALL = np.zeros((256, 256), bool)
BALL[64:128, :64] = True
BLOCK = np.zeros((256, 256), bool)
BLOCK[128:, 128:] = True
THINGS = [
    ComposedInstance("ball", "a striped red ball", "red", "striped", Box(x0=0, y0=0.25, x1=0.25, y1=0.5), BALL),
    ComposedInstance("box", "a box", None, None, Box(x0=0.5, y0=0.5, x1=1, y1=1), BLOCK),
]
PICTURE = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
SCENE = Composite(PICTURE, "a ball and a box", THINGS)


@pytest.fixture(scope="module")
def recorder():
    tokenizer = CLIPTokenizer.from_pretrained(DRAFT_FOLDER / "tokenizer")
    return PainterScenes(tokenizer, PatchAutoencoder.from_pretrained(DRAFT_FOLDER / "vae").float())


def unpack(recorder, records, seed=None):
    buffer = SceneBuffer(len(records), torch.device("cpu"), recorder.dtype)
    buffer.add(np.stack(records))
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    return SampleUnpacker(recorder.tokenizer)(buffer.fields, generator)


def words(recorder, tokens):
    return recorder.tokenizer.decode(tokens, skip_special_tokens=True).strip()


def test_a_record_has_the_latents_of_the_encoder(recorder):
    batch = unpack(recorder, [recorder.record(SCENE, np.random.default_rng(0))])
    autoencoder = PatchAutoencoder.from_pretrained(DRAFT_FOLDER / "vae").float()
    pixels = torch.from_numpy(PICTURE).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        expected = autoencoder.encode(pixels).latent * autoencoder.config.scaling_factor
    assert torch.allclose(batch.latents, expected, atol=2e-2)


@pytest.mark.parametrize("masks", [False, True])
def test_a_record_has_the_places_of_its_layout(recorder, masks):
    shown = [{"mask": Mask.from_array(thing.mask[::4, ::4])} if masks else {"box": thing.box} for thing in THINGS]
    instances = tuple(Instance(caption=t.caption, **place) for t, place in zip(THINGS, shown, strict=True))
    layout = Layout(caption=SCENE.caption, instances=instances)
    batch = unpack(recorder, [recorder.record_layout(PICTURE, layout, np.random.default_rng(0))])
    seed = int(np.random.default_rng(0).integers(2**31))
    expected = place_grounding(layout, seed, SEG_SIZE, SLOTS)
    for name in (*PLACES, "segs", "regions"):
        values, wanted = getattr(batch.grounding, name), getattr(expected, name)
        if name == "polygon_xy":  # drawn along the mask
            assert bool(values.any()) == bool(wanted.any()) == masks
        else:
            assert torch.allclose(values.float(), wanted.float(), atol=1e-3), name
    assert words(recorder, batch.captions[0]) == SCENE.caption
    assert [words(recorder, batch.phrases[0, slot]) for slot in range(3)] == ["a striped red ball", "a box", ""]


def test_parts_are_left_out_as_often_as_guidance_needs(recorder):
    records = [recorder.record(SCENE, np.random.default_rng(seed)) for seed in range(40)] * 25
    batch = unpack(recorder, records, seed=1)
    told = [words(recorder, tokens) for tokens in batch.captions]
    counts = batch.grounding.used.sum(dim=1)
    shares = {
        "alone": (counts == 1).float().mean().item(),
        "no caption": np.mean([not caption for caption in told]),
        "no places": (counts == 0).float().mean().item(),
    }
    assert shares == pytest.approx({"alone": 0.08, "no caption": 0.15, "no places": 0.12}, abs=0.02)
    for row in (counts == 1).nonzero()[:, 0].tolist():
        assert told[row] == words(recorder, batch.phrases[row, 0]) != SCENE.caption
        assert batch.grounding.used[row].tolist() == [True] + [False] * (SLOTS - 1)
        covered = batch.grounding.regions[row, 0]
        assert covered[8:16, :8].all() if told[row] == "a striped red ball" else covered[16:, 16:].all()
    nowhere = batch.grounding.map(lambda values: values[counts == 0])
    assert not any(getattr(nowhere, name).any() for name in (*PLACES, "segs", "regions"))


def test_a_recorder_travels_to_another_process(recorder):
    again = pickle.loads(pickle.dumps(recorder))
    expected = recorder.record(SCENE, np.random.default_rng(3))
    assert again.record(SCENE, np.random.default_rng(3)).tobytes() == expected.tobytes()


def test_drawings_are_single_things_with_their_captions(recorder):
    drawn = Drawings(composer(), recorder.tokenizer)
    batch = drawn.batch(40, np.random.default_rng(0), torch.device("cpu"))
    assert batch.drawings.shape == (40, 4, SIDE, SIDE)
    assert batch.drawings.min() >= 0 and batch.drawings.max() <= 1
    assert (batch.drawings[:, :3] <= batch.drawings[:, 3:] + 0.01).all()  # premultiplied
    told = [words(recorder, tokens) for tokens in batch.captions]
    assert len(set(told)) > 10
    again = drawn.batch(40, np.random.default_rng(0), torch.device("cpu"))
    assert torch.equal(again.captions, batch.captions) and torch.equal(again.drawings, batch.drawings)
