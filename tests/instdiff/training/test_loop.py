"""The training loop on a line that is fitted to points: schedule, averages, log, state, and how a resume goes on."""

import itertools
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from instdiff import BadInput
from instdiff.training import loop
from instdiff.training.loop import Task, Trainer, TrainingPlan, clean_folder, learning_rate, make_accelerator, train
from instdiff.training.state import has_state, load_state

PLAN = TrainingPlan(rate=0.1, steps=8, warmup=2, ema=0.9, clip_norm=1.0, log_every=1, checkpoint_every=3, check_every=4)


class Line(Task):
    """Learns y = 2 x; the loss draws noise of its own, and batch statistics are among the weights."""

    def __init__(self):
        self.model = nn.Sequential(nn.BatchNorm1d(1), nn.Linear(1, 1, bias=False))
        nn.init.zeros_(self.model[1].weight)
        self.looked_at = []
        self.saved = []

    def optimizer(self, rate):
        return torch.optim.SGD(self.model.parameters(), lr=rate, momentum=0.5)

    def batch(self, step, rng):
        return torch.from_numpy(rng.standard_normal((16, 1))).float()

    def losses(self, model, batch, generator):
        noise = 0.1 * torch.randn(batch.shape, generator=generator)
        return {
            "loss": (model(batch) - 2 * batch - noise).square().mean(),
            "size": 0.01 * model[1].weight.square().sum(),
        }

    def check(self):
        self.looked_at.append(self.model[1].weight.item())
        return {"slope": self.model[1].weight.item()}

    def save(self, folder):
        assert not self.model.training and not torch.is_grad_enabled()
        self.saved.append(self.model[1].weight.item())

    def sheet(self, path):
        path.write_text("a picture")

    def finish(self):
        return {"slope_at_the_end": self.model[1].weight.item()}


@pytest.fixture
def accelerator():
    return make_accelerator("cpu", "no")


def lines(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("warmup", "cooldown", "step", "share", "expected"),
    [
        (0, 0.0, 0, 0.0, 1.0),
        (4, 0.0, 0, 0.0, 0.25),  # the first step learns something
        (4, 0.0, 3, 0.1, 1.0),
        (4, 0.0, 9, 0.9, 1.0),
        (0, 0.5, 9, 0.4, 1.0),
        (0, 0.5, 9, 0.75, 0.5),
        (0, 1.0, 9, 0.25, 0.75),
        (0, 2.0, 0, 0.0, 0.5),  # a cool-down longer than the slice begins in its middle
        (0, 0.5, 9, 1.1, 0.0),
        (4, 0.5, 0, 0.75, 0.125),
    ],
)
def test_the_rate_rises_stays_and_falls(warmup, cooldown, step, share, expected):
    plan = TrainingPlan(rate=2.0, warmup=warmup, cooldown=cooldown)
    assert learning_rate(plan, step, share) == pytest.approx(2 * expected)


def test_the_log_has_losses_checks_and_the_end(tmp_path, accelerator):
    task = Line()
    assert train(task, replace(PLAN, folder=tmp_path), accelerator) == 8
    *steps, end = lines(tmp_path)
    assert [line["step"] for line in steps] == list(range(1, 9))
    assert all(line["loss"] > 0 and line["size"] >= 0 and line["rate"] > 0 for line in steps)
    assert [line["slope"] for line in steps if "slope" in line] == task.looked_at and len(task.looked_at) == 2
    assert end == {"step": 8, "slope_at_the_end": task.saved[-1]}
    assert sorted(path.name for path in tmp_path.glob("samples-*")) == [f"samples-{n:08d}.jpg" for n in (3, 6, 8)]


def test_what_is_looked_at_and_saved_is_the_average(tmp_path, accelerator):
    task = Line()
    trainer = Trainer(task, replace(PLAN, ema=0.5), accelerator)
    average = task.model[1].weight.item()
    for step in range(5):
        trainer.take_step()
        decay = min(0.5, (1 + step) / (10 + step)) if step else 0.0
        average = decay * average + (1 - decay) * task.model[1].weight.item()
    own = task.model[1].weight.item()
    statistics = task.model[0].running_var.clone()
    with trainer.averaged():
        assert task.model[1].weight.item() == pytest.approx(average) != pytest.approx(own)
        assert not torch.equal(task.model[0].running_var, statistics), "statistics of batches are averaged too"
    assert task.model[1].weight.item() == own and task.model.training
    assert torch.equal(task.model[0].running_var, statistics)


class Killed(Line):
    """Is stopped in its fifth step."""

    def batch(self, step, rng):
        if step == 4:
            raise KeyboardInterrupt
        return super().batch(step, rng)


def test_a_resumed_training_is_that_which_was_never_stopped(tmp_path):
    """The state after step 3 lies between two lines of the log."""
    plan = replace(PLAN, resume=True, log_every=2)
    whole = Line()
    train(whole, replace(plan, folder=tmp_path / "whole"), make_accelerator("cpu", "no"))
    parts = replace(plan, folder=tmp_path / "parts")
    with pytest.raises(KeyboardInterrupt):
        train(Killed(), parts, make_accelerator("cpu", "no"))
    resumed = Line()
    train(resumed, parts, make_accelerator("cpu", "no"))
    assert resumed.saved[-1] == whole.saved[-1]
    for value, other_value in zip(resumed.model.state_dict().values(), whole.model.state_dict().values(), strict=True):
        assert torch.equal(value, other_value)
    losses, whole_losses = (
        [(line["step"], line.get("loss")) for line in lines(tmp_path / name)] for name in ("parts", "whole")
    )
    assert losses == whole_losses and len(losses) == 5


def test_a_slice_of_time_ends_and_the_next_goes_on(tmp_path, monkeypatch):
    seconds = itertools.count()  # a clock that is a second further each time it is looked at
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    plan = replace(PLAN, steps=0, minutes=0.5, cooldown=0.5, folder=tmp_path, resume=True)
    first, second = (train(Line(), plan, make_accelerator("cpu", "no")) for _ in range(2))
    assert 10 < first < second < 2 * first + 2
    rates = [line["rate"] for line in lines(tmp_path) if line["step"] <= first and "rate" in line]
    assert rates[-1] < 0.2 * max(rates) and max(rates) == PLAN.rate


def test_without_a_folder_nothing_is_left(tmp_path, accelerator, monkeypatch):
    monkeypatch.chdir(tmp_path)
    task = Line()
    train(task, PLAN, accelerator)
    assert not task.saved and not list(tmp_path.iterdir())


def test_other_settings_and_damaged_states_are_refused(tmp_path, accelerator):
    plan = replace(PLAN, folder=tmp_path, fixed={"seed": 1}, part_bytes=None)
    train(Line(), plan, accelerator)
    assert has_state(tmp_path) and load_state(tmp_path, {"seed": 1})["step"] == 8
    with pytest.raises(BadInput, match="^resume: .*was made with seed 1, and now it is 2"):
        Trainer(Line(), replace(plan, resume=True, fixed={"seed": 2}), accelerator)
    [part] = tmp_path.glob("state-*.part")
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(BadInput, match="^out: .*cannot be read: ") as caught:
        Trainer(Line(), replace(plan, resume=True), accelerator)
    assert "\n" not in str(caught.value)


def test_steps_after_the_state_leave_the_log_and_half_files_the_folder(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"st')
    (tmp_path / ".writing-1-state").write_bytes(b"half")
    clean_folder(tmp_path, 2)
    assert (tmp_path / "log.jsonl").read_text() == '{"step": 1}\n{"step": 2}\n'
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]


def test_trainings_of_different_precision_follow_one_another():
    for precision in ("bf16", "no"):
        assert train(Line(), PLAN, make_accelerator("cpu", precision)) == 8
    with pytest.raises(BadInput, match="^precision: fp16 needs a graphics card"):
        make_accelerator("cpu", "fp16")
