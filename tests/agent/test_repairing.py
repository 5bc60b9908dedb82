"""Runs that mend what failed: what is painted anew, what stays, what is taken, and what it costs."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agent.events import Judged, Repairing
from agent.repair.routes import GROUND_MORE, LARGER, PAINT_AGAIN
from agent.runs import Run, read_report
from evaluators.report import VerdictKind
from instdiff.errors import BadInput
from instdiff.formats import load_layout
from instdiff.render_settings import RenderSettings
from tests.agent.doubles import SIZE, RectanglePainter, RepaintingPainter, kill_in_round_1
from tests.agent.doubles import make_agent as agent


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def found(run, index):
    report = read_report(run.folder / run.rounds[index].report)
    return {verdict.instance for verdict in report.verdicts if verdict.kind is VerdictKind.FOUND}


def test_what_is_missing_is_painted_in_its_place_and_the_rest_stays(tmp_path):
    events = []
    painter = RepaintingPainter({0: {"dog"}})
    run = agent(tmp_path, painter, on_event=events.append).run("dog cat car")
    assert (run.verified, run.best_round, len(run.rounds)) == (True, 1, 2)
    assert (tmp_path / "calls").read_text().split() == ["plan"]  # nothing is planned again
    repair = run.rounds[1].repair
    assert repair.accepted and not repair.anew and 0 < repair.share < 0.5
    assert repair.steps[0].sentence == f"dog 1, missing: {PAINT_AGAIN.name}"
    before, after = (pixels(run.folder / run.rounds[index].image) for index in (0, 1))
    region = np.zeros(before.shape[:2], dtype=bool)
    for box in repair.regions:
        x0, y0, x1, y1 = (round(side) for side in box.to_corners(SIZE))
        region[y0:y1, x0:x1] = True
    assert (before[~region] == after[~region]).all() and (before[region] != after[region]).any()
    assert [done.unet_evaluations for done in run.rounds] == [4, 9] and run.unet_evaluations == 13
    assert all(done.seconds > 0 for done in run.rounds)
    [repairing] = [event for event in events if isinstance(event, Repairing)]
    moves = [record.steps[0].move for record in repairing.repairs]
    assert moves == [PAINT_AGAIN.name, LARGER.name, GROUND_MORE.name]
    assert [event.result.repair is not None for event in events if isinstance(event, Judged)] == [False, True]
    assert Run.load(run.folder) == run
    stored = json.loads((run.folder / "round-1/report.json").read_text())
    assert stored["repair"]["accepted"] and stored["verified"]


def test_what_is_not_better_leaves_the_picture_as_it_was(tmp_path):
    painter = RepaintingPainter({seed: {"dog"} for seed in range(100)})
    run = agent(tmp_path, painter, rounds=4).run("dog cat")
    assert not run.verified and run.best_round == 0 and len(run.rounds) == 4
    for done in run.rounds[1:]:
        assert not done.repair.accepted
        assert (done.image, done.layout, done.report) == tuple(
            getattr(run.rounds[0], name) for name in ("image", "layout", "report")
        )
        assert all((run.folder / name).exists() for name in done.images)
    tried = [(step.thing, step.move) for done in run.rounds for step in (done.repair.tried if done.repair else ())]
    assert len(tried) == len(set(tried))
    assert run.image.read_bytes() == (run.folder / "round-0/image.png").read_bytes()


@pytest.mark.parametrize("seed", range(0, 8, 2))
def test_what_was_found_is_found_after_every_round(tmp_path, seed):
    rng = random.Random(seed)
    forgets = {number: {name for name in ("dog", "cat", "car", "tree") if rng.random() < 0.5} for number in range(60)}
    run = agent(tmp_path, RepaintingPainter(forgets), rounds=6).run("dog cat car tree")
    for index in range(1, len(run.rounds)):
        assert found(run, index - 1) <= found(run, index)
    assert run.best and run.verified == (len(found(run, run.best_round)) == 4)


def test_without_repair_everything_is_painted_anew(tmp_path):
    painter = RepaintingPainter({0: {"dog"}})
    run = agent(tmp_path, painter, repair=False).run("dog cat")
    assert (run.verified, run.rounds[1].repair.anew, run.rounds[1].repair.share) == (True, True, 1.0)
    assert (tmp_path / "calls").read_text().split() == ["plan", "revise"]


def test_of_several_pictures_that_are_begun_the_most_promising_is_finished(tmp_path):
    painter = RepaintingPainter({0: {"dog"}, 1: {"dog", "cat"}, 2: set(), 3: {"cat"}})
    run = agent(tmp_path, painter, candidates=4).run("dog cat")
    assert (run.verified, len(run.rounds), run.rounds[0].seed) == (True, 1, 2)
    assert run.rounds[0].images == ("round-0/image.png",)


def test_repairs_of_several_pictures_a_round(tmp_path):
    painter = RepaintingPainter({0: {"dog"}, 1: {"dog"}, 2: {"dog"}, 3: set()})
    run = agent(tmp_path, painter, settings=RenderSettings(num_images=2)).run("dog cat")
    assert run.verified and len(run.rounds[1].images) == 4


@pytest.fixture
def painted(tmp_path):
    return agent(tmp_path, RepaintingPainter()).run("dog cat car")


def test_a_thing_that_a_person_dislikes_is_painted_anew_alone(tmp_path, painted):
    painter = RepaintingPainter()
    run = agent(tmp_path, painter).repair(painted.folder, ["cat"])
    assert run.verified and run.request.edited.apart == (1,) and run.request.edited.words == "repair cat"
    assert [settings.seed for _, settings in painter.painted] == [1]  # other noise
    before, after = pixels(painted.image), pixels(run.image)
    changed = (before != after).any(axis=-1).any(axis=0).nonzero()[0]
    region = run.request.edited.regions[0]
    assert region.x0 * SIZE[0] - 1 <= changed.min() and changed.max() <= region.x1 * SIZE[0]
    assert run.before_after.exists() and painted.image.exists()


def test_what_failed_is_repaired_later_and_the_first_round_is_the_picture_as_it_was(tmp_path):
    failed = agent(tmp_path, RepaintingPainter({0: {"dog"}}), rounds=1).run("dog cat")
    assert not failed.verified
    run = agent(tmp_path, RepaintingPainter()).repair(failed.folder, rounds=3)
    assert run.verified and len(run.rounds) == 2 and run.rounds[0].unet_evaluations == 0
    assert (pixels(run.folder / "round-0/image.png") == pixels(failed.image)).all()
    with pytest.raises(BadInput, match="nothing failed"):
        agent(tmp_path, RepaintingPainter()).repair(run.folder)


@pytest.mark.parametrize("thing", ["cow", "cat 9", ""])
def test_what_is_not_there_cannot_be_repaired(tmp_path, painted, thing):
    with pytest.raises(BadInput, match="there are dog 1, cat 2, car 3"):
        agent(tmp_path, RepaintingPainter()).repair(painted.folder, [thing])
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_an_edit_paints_only_what_changes(tmp_path, painted):
    run = agent(tmp_path, RepaintingPainter()).edit(painted.folder, "remove the cat")
    before, after = pixels(painted.image), pixels(run.image)
    columns = (before != after).any(axis=-1).any(axis=0)
    third = SIZE[0] // 3
    assert columns[third : 2 * third].any() and not columns[: third - 8].any() and not columns[2 * third + 8 :].any()
    assert run.verified and len(load_layout(run.folder / "given.json").instances) == 2


def test_an_edit_mends_what_it_broke_and_nothing_else(tmp_path):
    start = agent(tmp_path, RepaintingPainter({0: {"dog"}}), rounds=1).run("dog cat car")
    painter = RepaintingPainter({0: {"car"}, 1: {"car"}, 2: set()})
    run = agent(tmp_path, painter).edit(start.folder, "make the car blue", rounds=3)
    things = {step.thing for done in run.rounds[1:] for step in done.repair.steps}
    assert things == {"car 3"} and not run.verified  # the dog failed before, far from here


def test_a_picture_of_any_origin_is_edited(tmp_path):
    photo = tmp_path / "photo.jpg"
    planned = agent(tmp_path, RepaintingPainter()).plan("dog cat").layout
    image = RectanglePainter().render(planned, RenderSettings(seed=4)).images[0]
    image.save(tmp_path / "photo.png")
    run = agent(tmp_path, RepaintingPainter()).edit(tmp_path / "photo.png", "remove the dog")
    before, after = pixels(tmp_path / "photo.png"), pixels(run.image)
    half = SIZE[0] // 2
    assert (before != after).any(axis=-1).any(axis=0)[:half].any() and (before == after)[:, half + 8 :].all()
    origin = Run.load(Path(run.request.edited.run))
    assert origin.done and (pixels(origin.image) == before).all()
    photo.write_bytes(b"no picture")
    for path, words, reason in (
        (photo, "remove the dog", "no picture that can be read"),
        (tmp_path / "photo.png", "remove the car", "nothing that the words name is seen"),
        (tmp_path / "photo.png", "remove the qwertz", "knows no word"),
    ):
        with pytest.raises(BadInput, match=reason):
            agent(tmp_path, RepaintingPainter()).edit(path, words)


def test_killed_while_mending_and_resumed(tmp_path):
    folder = kill_in_round_1(tmp_path, DOUBLES_REPAINT="1")
    first = (folder / "round-0/image.png").read_bytes()
    forgets = {seed: {"dog"} for seed in range(3)}
    run = agent(tmp_path, RepaintingPainter(forgets), as_ours=True).resume(folder)
    assert run.verified and run.summary()["unet_evaluations"] == run.unet_evaluations > 0
    assert (folder / "round-0/image.png").read_bytes() == first and found(run, 0) < found(run, run.best_round)


def test_what_is_to_go_is_looked_for_and_painted_over_again(tmp_path, painted):
    class Stubborn(RepaintingPainter):
        """Leaves what was there, but for the last attempt."""

        def repaint(self, changes, settings, on_step=None, strength=1.0, choose=None):
            made = super().repaint(changes, settings, on_step, strength)
            pairs = zip(changes, made.images, strict=True)
            made.images = [change.picture if change.seed < 2 else image for change, image in pairs]
            return made

    run = agent(tmp_path, Stubborn()).edit(painted.folder, "remove the cat", rounds=3)
    assert run.request.edited.gone == ("cat",)
    assert [step.failure for step in run.rounds[1].repair.tried] == ["one too many", "one too many"]
    assert run.rounds[1].repair.accepted and run.verified
    assert read_report(run.folder / "round-0/report.json").extras[0].category == "cat"
