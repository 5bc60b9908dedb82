"""Checkpoints of the draft trainings: in parts, whole or not at all, and trained on from."""

import os
import shutil
import subprocess
import sys
from functools import partial

import pytest
import torch
from PIL import Image
from transformers import CLIPTokenizer

pytest.importorskip("cv2")

from instdiff.engine import DRAFT_FOLDER
from instdiff.errors import BadInput
from instdiff.model.autoencoder import PatchAutoencoder
from instdiff.model.crop_classifier import CropClassifier
from instdiff.model.detector import DenseDetector
from instdiff.model.unifusion import UniFusion
from instdiff.train import main
from instdiff.training import state
from instdiff.training.draft import painter, sheets, stages
from instdiff.training.draft.stream import SceneStream
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
    """A working folder with the bundled models laid out."""
    folder = tmp_path_factory.mktemp("work")
    assert main(["draft", "--stage", "unbundle", "--out", str(folder)]) == 0
    (folder / "sprites").mkdir()
    return folder


def train_painter(folder, stage="painter"):
    """Train a short slice; returns the step that it ends at."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sheets, "COUNT", 2)
        patch.setattr(stages, "load_sprites", lambda folder: composer().sprites)
        patch.setattr(stages, "SceneStream", partial(SceneStream, first_scenes=4))
        assert main(f"draft --stage {stage} --out {folder} --minutes 0.02 --batch 2 --resume".split()) == 0
    return state.load_state(folder / stage)["step"]


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


def test_drawings_are_learned_from_the_bundled_painter_on(work, tmp_path):
    shutil.copytree(work, tmp_path, dirs_exist_ok=True)
    assert train_painter(tmp_path, "drawings") > 0
    before, after = (UniFusion.from_pretrained(tmp_path / name / "unifusion") for name in ("painter", "drawings"))
    change = {name: not torch.equal(value, after.state_dict()[name]) for name, value in before.state_dict().items()}
    assert {name for name, changed in change.items() if changed} == {
        name for name in change if name.startswith("place_mapper.drawer.")
    }


def test_what_is_laid_out_is_bundled_again(work, tmp_path):
    """The detectors, and their crop classifiers in the detectors' folders."""
    assert main(["draft", "--stage", "bundle", "--out", str(work), "--target", str(tmp_path)]) == 0
    for folder, kind in (("detector", DenseDetector), ("detector/crops", CropClassifier), ("judge", DenseDetector)):
        bundled = kind.from_pretrained(DRAFT_FOLDER / folder)
        again = kind.from_pretrained(tmp_path / folder)
        assert again.config.score_threshold == bundled.config.score_threshold
        for name, value in bundled.state_dict().items():
            assert torch.allclose(again.state_dict()[name].float(), value.float(), atol=1e-3)


def test_parts_of_other_sizes_are_taken_over_as_far_as_they_fit(work, tmp_path):
    shutil.copytree(work / "painter", tmp_path, dirs_exist_ok=True)
    bundled = UniFusion.from_pretrained(tmp_path / "unifusion")
    smaller = dict(bundled.config.place_map, layers=1)
    UniFusion.from_config(bundled.config, place_map=smaller).save_pretrained(tmp_path / "unifusion")
    tokenizer = CLIPTokenizer.from_pretrained(work / "tokenizer")
    model = painter.Painter.of(tokenizer, bundled_latents(work))
    before = {name: value.clone() for name, value in model.unifusion.state_dict().items()}
    painter.take_over(model, tmp_path)
    after = model.unifusion.state_dict()
    there = UniFusion.from_pretrained(tmp_path / "unifusion").state_dict()
    assert "place_mapper.layers.3.first.weight" not in there
    assert torch.equal(after["place_mapper.layers.3.first.weight"], before["place_mapper.layers.3.first.weight"])
    assert all(torch.equal(value, after[name]) for name, value in there.items())
    with pytest.raises(BadInput, match="^start: .* holds no InstanceUNet"):
        painter.take_over(model, tmp_path / "nothing")


def bundled_latents(work):
    return PatchAutoencoder.from_pretrained(work / "vae").config.latent_channels


@pytest.mark.slow
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
        "tests.instdiff.training.draft.train_with_doubles",
    ]
    asked = f"draft --stage painter --out {tmp_path} --minutes 0.05 --batch 2 --resume".split()
    done = subprocess.run(
        [*run, *asked], env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert state.load_state(tmp_path / "painter")["step"] > first_end
