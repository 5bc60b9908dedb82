"""Checkpoints of the draft trainings: in parts, whole or not at all, and trained on from."""

import os
import shutil
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPTextModel, CLIPTokenizer

pytest.importorskip("cv2")

from instdiff.engine import DRAFT_FOLDER
from instdiff.model.autoencoder import PatchAutoencoder
from instdiff.model.crop_classifier import CropClassifier
from instdiff.model.detector import DenseDetector
from instdiff.model.int8_weights import load_int8
from instdiff.model.unifusion import UniFusion
from instdiff.train import main
from instdiff.training import state
from instdiff.training.draft import painter, scenes, sheets
from tests.instdiff.model.test_detector import composer

SMALL_PART = 10_000  # bytes


def numbers(seed):
    return {
        "weights": {"a": torch.randn(3000, generator=torch.Generator().manual_seed(seed)), "b": torch.ones(2)},
        "step": seed,
    }


def same(read, written):
    weights = ((read["weights"][name], written["weights"][name]) for name in "ab")
    return read["step"] == written["step"] and all(torch.equal(*pair) for pair in weights)


def test_a_state_is_read_back_from_parts_and_takes_the_place_of_the_one_before(tmp_path):
    for step in (7, 12):
        state.save_state(tmp_path, numbers(step), step, SMALL_PART)
        assert same(state.load_state(tmp_path), numbers(step))
    paths = list(tmp_path.iterdir())
    assert len(paths) >= 2 and all(path.name.startswith("state-00000012-") for path in paths)
    assert all(path.stat().st_size <= SMALL_PART for path in paths)


def test_a_state_that_was_not_written_to_the_end_is_passed_over(tmp_path):
    state.save_state(tmp_path, numbers(7), 7, SMALL_PART)
    older = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    state.save_state(tmp_path, numbers(12), 12, SMALL_PART)
    sorted(tmp_path.iterdir())[-1].unlink()
    assert state.load_state(tmp_path) is None
    for name, content in older.items():  # as it lies there until the next is whole
        (tmp_path / name).write_bytes(content)
    assert same(state.load_state(tmp_path), numbers(7))


def test_a_model_that_once_was_larger_leaves_nothing_behind(tmp_path):
    model = PatchAutoencoder.from_pretrained(DRAFT_FOLDER / "vae")
    model.save_pretrained(tmp_path)
    whole = {path.name for path in tmp_path.iterdir()}
    state.save_model(model, tmp_path, 1_000_000)
    left = {path.name for path in tmp_path.iterdir()}
    assert "diffusion_pytorch_model.safetensors" in whole - left and len(left) > len(whole)
    again = PatchAutoencoder.from_pretrained(tmp_path).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in model.state_dict().items())


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A working folder with few scenes and the bundled models laid out."""
    folder = tmp_path_factory.mktemp("work")
    assert main(["draft", "--stage", "unbundle", "--out", str(folder)]) == 0
    vae = PatchAutoencoder.from_pretrained(DRAFT_FOLDER / "vae").float()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scenes, "SHARD_SCENES", 50)
        for place, seed in ((folder / "scenes", 0), (folder / "scenes/held-out", 9000)):
            scenes.write_shards(place, composer(), vae, seed, seed + 1)
    return folder


def train_painter(folder):
    """Train a short slice; returns the step that it ends at."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sheets, "COUNT", 2)
        patch.setattr(painter, "fit_preview", partial(painter.fit_preview, batches=1))
        assert main(f"draft --stage painter --out {folder} --minutes 0.02 --batch 2 --resume".split()) == 0
    return state.load_state(folder / "painter")["step"]


@pytest.fixture(scope="module")
def trained(work, tmp_path_factory):
    """A working folder after a first slice of the painter, which began with the bundled one; and the step it is at."""
    folder = tmp_path_factory.mktemp("trained")
    shutil.copytree(work, folder, dirs_exist_ok=True)
    return folder, train_painter(folder)


def test_the_painter_goes_on_from_its_checkpoint(trained, tmp_path):
    folder, first_end = trained
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    ends = [first_end, train_painter(tmp_path)]
    assert 0 < ends[0] < ends[1]
    files = [path for path in (tmp_path / "painter").rglob("*") if path.is_file()]
    assert max(path.stat().st_size for path in files) < 16 * 2**20
    names = sorted(path.name for path in files if path.suffix == ".jpg")
    assert names == [f"samples-{end:08d}.jpg" for end in ends]
    with Image.open(tmp_path / "painter" / names[-1]) as sheet:
        assert sheet.size == (4 * 256, 300)


def test_what_is_laid_out_is_bundled_again(work, tmp_path):
    """The detectors, and their crop classifiers in the detectors' folders."""
    assert main(["draft", "--stage", "bundle", "--out", str(work), "--target", str(tmp_path)]) == 0
    for folder, kind in (("detector", DenseDetector), ("detector/crops", CropClassifier), ("judge", DenseDetector)):
        bundled = load_int8(kind, DRAFT_FOLDER / folder)
        again = load_int8(kind, tmp_path / folder)
        assert again.config.score_threshold == bundled.config.score_threshold
        for name, value in bundled.state_dict().items():
            assert torch.allclose(again.state_dict()[name].float(), value.float(), atol=1e-3)


def test_models_without_a_training_state_get_a_preview_that_fits(work):
    """The head that reads the place map is not bundled; solved anew, it explains unseen latents."""
    model = painter.Painter(CLIPTokenizer.from_pretrained(work / "tokenizer"), 32)
    model.unifusion.load_state_dict(UniFusion.from_pretrained(work / "painter/unifusion").float().state_dict())
    model.text_encoder.load_state_dict(
        CLIPTextModel.from_pretrained(work / "painter/text_encoder").float().state_dict()
    )
    stored = scenes.StoredScenes(work / "scenes")
    held_out = scenes.StoredScenes(work / "scenes/held-out").batch(50, np.random.default_rng(1))
    painter.fit_preview(model, stored, np.random.default_rng(0), batches=4)
    with torch.no_grad():
        solved = painter.preview_loss(model(held_out)[1], held_out).item()
        model.preview.weight.zero_()
        flat = painter.preview_loss(model(held_out)[1], held_out).item()
    assert solved < 0.75 * flat


def test_two_processes_train_one_painter(trained, tmp_path):
    folder, first_end = trained
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    run = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node",
        "2",
        "-m",
        "instdiff.train",
    ]
    asked = f"draft --stage painter --out {tmp_path} --minutes 0.05 --batch 2 --resume".split()
    done = subprocess.run(
        [*run, *asked], env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert state.load_state(tmp_path / "painter")["step"] > first_end
