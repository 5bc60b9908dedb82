"""Many prompts through the agent, with pictures under manifests; and what an evaluation makes of them."""

import json

import pytest

from agent import batch
from agent.benchmarks import gain
from agent.benchmarks.__main__ import main
from agent.loop import Agent
from evaluators.gallery import Gallery
from evaluators.manifest import prompt_key, read_manifest, read_pictures
from instdiff.errors import BadInput
from instdiff.formats.png import read_png
from instdiff.render_settings import RenderSettings
from instdiff.world.knowledge import BASIC_COLOURS
from tests.agent.doubles import ColourDetector, ListPlanner, RectanglePainter

PROMPTS = ["dog cat", "car", "tree dog"]


class Painter(RectanglePainter):
    """The painter of rectangles, with what a manifest says of an engine."""

    model_hash = "rectangles-1"
    defaults = RenderSettings(num_inference_steps=4, guidance_scale=1.0, alpha=1.0, mis=0.0)


def run_all(folder, painter, prompts=PROMPTS, rounds=3, seed=10):
    settings = RenderSettings(seed=seed)
    parts = {"planner": ListPlanner(), "engine": painter, "verifier": ColourDetector()}
    agent = Agent(**parts, rounds=rounds, settings=settings, out=folder / batch.RUNS)
    return batch.run_all(agent, painter, prompts, folder)


def test_first_and_best_pictures_lie_under_manifests(tmp_path):
    # The first prompt starts from seed 10, where the dog is forgotten, and goes on to seed 11; the third starts from
    # seed 12.
    painter = Painter(forgets={10: {"dog"}, 12: {"tree", "dog"}, 13: {"tree"}})
    runs, failed = run_all(tmp_path, painter)
    assert [run.best_round for run in runs] == [1, 0, 2] and failed == []
    first, best = (read_manifest(tmp_path / name) for name in ("first", "best"))
    assert first.keys == best.keys == {prompt_key(prompt) for prompt in PROMPTS}
    assert (first.painted_with["rounds"], best.painted_with["rounds"], best.painted_with["verifier"]) == (
        1,
        3,
        "colours",
    )
    seeds = {picture.key: picture.seed for picture in best.pictures}
    assert [seeds[prompt_key(prompt)] for prompt in PROMPTS] == [11, 11, 14]
    assert len(list(read_pictures(best, tmp_path / "best", list(best.keys)))) == 3
    key = prompt_key("dog cat")
    assert (tmp_path / "best" / f"{key}.png").read_bytes() == runs[0].image.read_bytes()
    assert read_png(tmp_path / "first" / f"{key}.png")[1]["seed"] == 10

    reports = {
        name: gain.look(ColourDetector(), Gallery.open(tmp_path / name), sorted(best.keys))
        for name in ("first", "best")
    }
    assert gain.figures(reports["first"])["verified"] == pytest.approx(1 / 3)
    assert gain.figures(reports["first"])["found"] == pytest.approx(
        2 / 5
    )  # of dog, cat, car, tree and dog: the cat and the car
    assert gain.figures(reports["best"]) == {
        "verified": 1.0,
        "found": 1.0,
        "present": 1.0,
        "mean_iou": pytest.approx(1.0, abs=0.05),
    }


def test_what_was_done_is_not_done_again(tmp_path):
    run_all(tmp_path, Painter(), PROMPTS[:2])
    painter = Painter()
    runs, _ = run_all(tmp_path, painter)
    assert len(runs) == 3 and [layout.caption for layout, _ in painter.painted] == ["tree dog"]
    assert len(list((tmp_path / "runs").iterdir())) == 3 and len(read_manifest(tmp_path / "best").pictures) == 3


@pytest.mark.parametrize(
    "change, words",
    [
        ({"rounds": 2}, "rounds 3 .now 2."),
        ({"seed": 11}, "seed 10 .now 11."),
        ({"prompts": PROMPTS[::-1]}, "has seed 1[02], not 1[02]"),
    ],
)
def test_other_settings_are_refused(change, words, tmp_path):
    run_all(tmp_path, Painter())
    with pytest.raises(BadInput, match=words):
        run_all(tmp_path, Painter(), **change)


def test_the_gain_is_scored_by_what_did_not_steer(tmp_path, capsys):
    run_all(tmp_path, Painter(forgets={10: {"dog"}}), PROMPTS[:1])
    command = ["gain", "--pictures", str(tmp_path), "--out", str(tmp_path / "out"), "--json"]
    assert main(command) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["pictures"] == 1 and result["round_0"].keys() == {"verified", "found", "present", "mean_iou"}
    for name in ("first", "best"):
        manifest = json.loads((tmp_path / name / "manifest.json").read_text())
        manifest["painted_with"]["verifier"] = "judge"
        (tmp_path / name / "manifest.json").write_text(json.dumps(manifest))
    assert main(command) == 2
    assert "judge is the verifier of the loop" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["missing.txt"], "missing.txt"),
        (["prompts.txt", "--verifier", "judge"], "what scores must not steer"),
        (["prompts.txt", "--engine", "nothing"], "engine"),
        (["prompts.txt", "--images", "0"], "images"),
        (["prompts.txt", "--rounds", "x"], "rounds"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompts.txt").write_text("a dog\n")
    assert batch.main(arguments) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ") and words in error and "\n" not in error


def test_our_own_prompts_are_a_hundred():
    prompts = gain.PROMPTS.read_text().split("\n")[:-1]
    assert len(prompts) == len(set(prompts)) == 100
    coloured = [prompt for prompt in prompts if set(BASIC_COLOURS) & set(prompt.split())]
    assert 30 <= len(coloured) <= 40
