"""Training in real processes: killed and gone on with, two at once, and as a job of submitit."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import scale_inputs
import torch
from accelerate.state import AcceleratorState

from instdiff import BadInput
from instdiff.train import main
from instdiff.training.sd15.recipe import TrainingRecipe
from instdiff.training.sd15.slurm import SlurmOrder, TrainingProcess, job_script, submit
from instdiff.training.sd15.training import train
from instdiff.training.state import load_state

ROOT = Path(__file__).parents[4]
ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "ACCELERATE_USE_CPU": "true",
    "INSTDIFF_CACHE": os.devnull,  # nothing is kept
    "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}",
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = scale_inputs.make_pictures(tmp_path_factory.mktemp("processes") / "all")
    scale_inputs.make_model(folder / "start")
    return folder


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """One thread here as in the processes below: two add in another order, and Adam amplifies the difference."""
    monkeypatch.setenv("INSTDIFF_CACHE", os.devnull)
    AcceleratorState._reset_state(True)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def recipe(inputs, **changes):
    return TrainingRecipe.parse(scale_inputs.recipe_fields(inputs, **changes))


def options(**fields):
    return [word for name, value in fields.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def log(out):
    """Step and loss of each line that is whole."""
    path = out / "log.jsonl"
    lines = (
        [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")] if path.exists() else []
    )
    return [(line["step"], line["loss"]) for line in map(json.loads, lines)]


def test_what_was_killed_goes_on_as_if_it_had_not_been(inputs, tmp_path):
    fields = scale_inputs.recipe_fields(inputs, out=tmp_path / "killed", steps=100_000, checkpoint_every=3)
    command = [sys.executable, "-m", "instdiff.train", "sd15", *options(**fields)]
    process = subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    patience = time.monotonic() + 200
    while len(log(tmp_path / "killed")) < 5 and process.poll() is None and time.monotonic() < patience:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    done = load_state(tmp_path / "killed")["step"]
    assert done >= 3 and done % 3 == 0
    (tmp_path / "killed" / ".writing-1-state-00000009-001-of-001.part").write_bytes(b"half")

    steps = done + 2
    train(recipe(inputs, out=tmp_path / "killed", steps=steps, checkpoint_every=3, resume=True))
    train(recipe(inputs, out=tmp_path / "whole", steps=steps, checkpoint_every=100_000))
    resumed = log(tmp_path / "killed")
    whole = log(tmp_path / "whole")
    assert [step for step, _ in resumed] == list(range(1, steps + 1))
    assert [loss for _, loss in resumed] == pytest.approx([loss for _, loss in whole], abs=1e-6)
    states = [load_state(tmp_path / name) for name in ("killed", "whole")]
    model, other_model = (list(state["model"].values()) for state in states)
    average, other_average = (state["average"]["shadow_params"] for state in states)
    for value, other_value in zip([*model, *average], [*other_model, *other_average], strict=True):
        assert torch.allclose(value, other_value, atol=1e-6)
    assert not list((tmp_path / "killed").glob(".writing-*"))


def test_two_processes_find_the_gradient_of_one(inputs, tmp_path):
    fields = {
        name: str(value)
        for name, value in scale_inputs.recipe_fields(inputs, batch=1, accumulate=2, drop_grounding=0).items()
    }
    command = [sys.executable, scale_inputs.__file__, json.dumps(fields), str(tmp_path / "two.pt")]
    process = subprocess.Popen(command, env=ENVIRONMENT)
    try:
        assert process.wait(timeout=240) == 0
    finally:
        process.terminate()  # which ends its own processes first
        process.wait(timeout=50)
    scale_inputs.write_gradient(fields | {"batch": "4", "accumulate": "1"}, tmp_path / "one.pt")
    of_two, of_one = (torch.load(tmp_path / name, weights_only=True) for name in ("two.pt", "one.pt"))
    assert (of_two.pop("processes"), of_one.pop("processes")) == (2, 1)
    assert of_one.keys() == of_two.keys() and any("convnext" in name for name in of_one)
    assert max(gradient.abs().max() for gradient in of_one.values()) > 1e-3
    for name, gradient in of_one.items():
        assert torch.allclose(gradient, of_two[name], atol=1e-6, rtol=0), name


def test_a_job_of_submitit_trains(inputs, tmp_path, monkeypatch):
    pytest.importorskip("submitit")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    job = submit(recipe(inputs, out=tmp_path, steps=2), SlurmOrder(gpus=0, hours=0.1), cluster="local")
    assert job.result() == 2
    assert [step for step, _ in log(tmp_path)] == [1, 2] and (tmp_path / "model" / "model_index.json").exists()


def test_the_job_asks_for_its_options(inputs, tmp_path, capsys):
    pytest.importorskip("submitit")
    fields = scale_inputs.recipe_fields(inputs, out=tmp_path)
    slurm = [
        "--slurm",
        "--nodes",
        "8",
        "--gpus",
        "4",
        "--partition",
        "learn",
        "--time",
        "1.5",
        "--sbatch",
        "account=vision",
        "--dry-run",
    ]
    assert main(["sd15", *options(**fields), *slurm]) == 0
    printed = capsys.readouterr().out
    for line in (
        "nodes=8",
        "gpus-per-node=4",
        "ntasks-per-node=4",
        "partition=learn",
        "time=90",
        "account=vision",
        "signal=USR2@120",
    ):
        assert f"#SBATCH --{line}\n" in printed
    assert "srun" in printed and not (tmp_path / "jobs").exists()


def test_a_job_whose_time_is_over_goes_on(inputs):
    pytest.importorskip("submitit")
    again = TrainingProcess(recipe(inputs)).checkpoint().function
    assert again.recipe.resume and again.recipe == TrainingRecipe.parse({**dict(recipe(inputs)), "resume": True})


@pytest.mark.parametrize(
    ("order", "field"),
    [(SlurmOrder(nodes=0), "nodes"), (SlurmOrder(gpus=-1), "gpus"), (SlurmOrder(extra=("account",)), "sbatch")],
)
def test_orders_that_make_no_sense(inputs, order, field):
    pytest.importorskip("submitit")
    with pytest.raises(BadInput) as caught:
        job_script(recipe(inputs), order)
    assert caught.value.field == field
