import contextlib
import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from PIL import Image

from agent.events import Done, Judged, PlanReady, Started, Step
from agent.loop import CHECKPOINT
from agent.runs import Run
from instdiff.errors import BadInput, ServiceError
from instdiff.formats import load_layout, read_png
from instdiff.layout import Layout
from instdiff.render_settings import RenderSettings
from tests.agent.doubles import SIZE, ListPlanner, RectanglePainter, kill_in_round_1
from tests.agent.doubles import make_agent as agent


def calls(tmp_path):
    return (tmp_path / "calls").read_text().split()


def test_a_good_picture_ends_the_run_in_round_0(tmp_path):
    events = []
    run = agent(tmp_path, on_event=events.append).run("a dog and a cat")
    assert (run.verified, run.best_round, len(run.rounds), run.done) == (True, 0, 1, True)
    assert calls(tmp_path) == ["plan"]
    files = {path.relative_to(run.folder).as_posix() for path in run.folder.rglob("*") if path.is_file()}
    assert files == {
        "run.json",
        "best.png",
        CHECKPOINT,
        *(f"round-0/{name}" for name in ("layout.json", "image.png", "annotated.png", "report.json")),
    }
    assert [type(event) for event in events] == [Started, PlanReady, Step, Step, Step, Step, Judged, Done]
    assert [event.step for event in events if isinstance(event, Step)] == [1, 2, 3, 4]
    assert Run.load(run.folder) == run
    assert set(run.seconds) == {"plan", "render", "verify", "total"}
    assert load_layout(run.folder / "round-0/layout.json").size == SIZE


def test_what_failed_is_planned_again_and_the_best_round_wins(tmp_path):
    painter = RectanglePainter({0: {"dog", "cat"}, 1: {"dog"}, 2: {"dog", "cat", "car"}})
    run = agent(tmp_path, painter).run("dog cat car")
    assert calls(tmp_path) == ["plan", "revise", "revise"]
    assert ([r.score[0] for r in run.rounds], run.best_round, run.verified) == (
        [pytest.approx(1 / 3), pytest.approx(2 / 3), pytest.approx(2 / 3)],
        1,
        False,
    )
    assert [done.image for done in run.rounds] == ["round-0/image.png", "round-1/image.png", "round-1/image.png"]
    assert run.rounds[2].images == ("round-2/image.png",) and not run.rounds[2].repair.accepted
    assert run.image.read_bytes() == (run.folder / "round-1/image.png").read_bytes()
    assert run.rounds[1].notes == ("once more: dog, cat",)
    assert [settings.seed for _, settings in painter.painted] == [0, 1, 2]
    report = json.loads((run.folder / "round-1/report.json").read_text())
    assert [verdict["kind"] for verdict in report["verdicts"]] == ["missing", "found", "found"]
    assert (report["found"], report["checked"], report["verified"]) == (2, 3, False)


def test_rounds_stop_as_soon_as_all_is_found(tmp_path):
    run = agent(tmp_path, RectanglePainter({0: {"dog"}}), rounds=5).run("dog cat")
    assert (len(run.rounds), run.best_round, run.verified) == (2, 1, True)


def test_more_rounds_do_not_help_what_the_detector_does_not_know(tmp_path):
    run = agent(tmp_path).run("dog ghost")
    assert (len(run.rounds), run.verified) == (1, False)


def test_no_verifier_means_one_round_and_nothing_verified(tmp_path):
    run = agent(tmp_path, verifier="none").run("dog")
    assert (len(run.rounds), run.verified, run.request.verifier) == (1, False, "none")


def test_a_given_layout_keeps_its_places_and_changes_the_seed(tmp_path):
    source = agent(tmp_path).plan("dog cat").layout
    painter = RectanglePainter({5: {"dog"}, 6: {"cat"}})
    run = agent(tmp_path, painter, settings=RenderSettings(seed=5)).run(layout=source)
    assert [settings.seed for _, settings in painter.painted] == [5, 6, 7]
    assert {layout for layout, _ in painter.painted} == {painter.painted[0][0]}
    for planned, painted in zip(source.instances, painter.painted[0][0].instances, strict=True):
        assert painted.box.xyxy == pytest.approx(planned.box.xyxy, abs=1e-12)
    assert calls(tmp_path) == ["plan"]  # the one that made the source
    assert run.planner == "none"
    notes = json.loads((run.folder / "round-1/report.json").read_text())["notes"]
    assert notes == ["the layout was given: its places are kept, and it is painted again with seed 6"]


def test_of_several_pictures_the_best_is_kept(tmp_path):
    painter = RectanglePainter({10: {"dog"}, 11: set(), 12: {"dog", "cat"}})
    run = agent(tmp_path, painter, settings=RenderSettings(seed=10, num_images=3)).run("dog cat")
    assert run.rounds[0].images == ("round-0/image.png", "round-0/image-1.png", "round-0/image-2.png")
    assert (run.rounds[0].image, run.verified) == ("round-0/image-1.png", True)
    assert run.image.read_bytes() == (run.folder / "round-0/image-1.png").read_bytes()


def test_each_picture_can_be_painted_again_from_its_own_file(tmp_path):
    run = agent(tmp_path, settings=RenderSettings(seed=3, num_images=2, num_inference_steps=7)).run("dog cat")
    for name in run.rounds[0].images:
        layout, stored = read_png(run.folder / name)
        assert (stored["engine"], stored["model_hash"], stored["versions"]) == (
            "rectangles",
            "rectangles-1",
            {"painter": "1"},
        )
        settings = RenderSettings.parse({key: stored[key] for key in RenderSettings.model_fields})
        again = RectanglePainter().render(layout, settings).images[0]
        assert again.tobytes() == Image.open(run.folder / name).tobytes()


def test_mis_of_the_plan_holds_unless_it_is_given(tmp_path):
    class Careful(ListPlanner):
        def plan(self, prompt, size, seed):
            return super().plan(prompt, size, seed).model_copy(update={"mis": 0.25, "seed": 77})

    for given, used in ((None, 0.25), (0.0, 0.0)):
        painter = RectanglePainter()
        agent(tmp_path, painter, planner=Careful(), settings=RenderSettings(mis=given)).run("dog")
        assert (painter.painted[0][1].mis, painter.painted[0][1].seed) == (used, 77)


def test_a_failed_service_leaves_a_run_that_can_be_resumed(tmp_path):
    painter = RectanglePainter({0: {"dog"}})
    broken = agent(tmp_path, painter, planner=ListPlanner(tmp_path / "calls", fails=("revise",)))
    with pytest.raises(ServiceError, match="away"):
        broken.run("dog cat")
    (folder,) = (tmp_path / "out").iterdir()
    half = Run.load(folder)
    assert (half.done, len(half.rounds)) == (False, 1)
    run = agent(tmp_path, painter).resume(folder)
    assert (run.done, len(run.rounds), run.verified) == (True, 2, True)
    assert calls(tmp_path) == ["plan", "revise", "revise"]
    assert len(painter.painted) == 2


def test_a_finished_run_is_returned_as_it_is(tmp_path):
    painter = RectanglePainter()
    run = agent(tmp_path, painter).run("dog")
    assert agent(tmp_path, painter).resume(run.folder) == run
    assert len(painter.painted) == 1


@pytest.mark.parametrize("stopped_before", ["checkpoint", "done"])
def test_resume_at_the_edges_of_a_run(tmp_path, stopped_before):
    run = agent(tmp_path).run("dog cat")
    Run.model_validate({**dict(run), "done": False}).save()
    if stopped_before == "checkpoint":
        (run.folder / CHECKPOINT).unlink()
        shutil.rmtree(run.folder / "round-0")
    again = agent(tmp_path).resume(run.folder)
    assert (again.done, again.verified, len(again.rounds)) == (True, True, 1)
    assert calls(tmp_path) == ["plan"] * (2 if stopped_before == "checkpoint" else 1)


def test_two_processes_do_not_work_on_one_run(tmp_path):
    def resume_inside(event):
        if isinstance(event, Step) and event.step == 1:
            (folder,) = (tmp_path / "out").iterdir()
            with pytest.raises(BadInput, match="another process"):
                agent(tmp_path).resume(folder)
            resume_inside.tried = True

    run = agent(tmp_path, on_event=resume_inside).run("dog")
    assert resume_inside.tried and run.verified


def test_a_damaged_checkpoint_is_said(tmp_path):
    run = agent(tmp_path).run("dog")
    Run.model_validate({**dict(run), "done": False}).save()
    (run.folder / CHECKPOINT).write_bytes(b"this is no database" * 100)
    with pytest.raises(BadInput, match="damaged"):
        agent(tmp_path).resume(run.folder)


@pytest.mark.parametrize(
    "options, field",
    [
        ({"rounds": 0}, "rounds"),
        ({"rounds": 1000}, "rounds"),
        ({"iou_threshold": 1.5}, "iou_threshold"),
        ({"engine": "none such"}, "engine"),
        ({"verifier": "none such"}, "verifier"),
    ],
)
def test_bad_options_are_refused_at_once(tmp_path, options, field):
    with pytest.raises(BadInput) as refused:
        agent(tmp_path, **options)
    assert refused.value.field == field


@pytest.mark.parametrize(
    "wanted", [{}, {"prompt": " "}, {"prompt": "a dog", "layout": Layout(caption="c")}, {"prompt": "x" * 9000}]
)
def test_bad_prompts_are_refused_before_a_folder_is_made(tmp_path, wanted):
    with pytest.raises(BadInput, match="^prompt: "):
        agent(tmp_path).run(**wanted)
    assert not (tmp_path / "out").exists()


def test_killed_while_painting_round_1_and_resumed(tmp_path):
    folder = kill_in_round_1(tmp_path)
    assert len(Run.load(folder).rounds) == 1
    painted_before = (folder / "round-0/image.png").stat()

    forgets = {seed: {"dog"} for seed in range(3)}
    run = agent(tmp_path, RectanglePainter(forgets), as_ours=True).resume(folder)
    assert len(run.rounds) == 3
    assert all(Path(path).exists() for done in run.summary()["rounds"] for path in done.values())
    assert calls(tmp_path) == ["plan", "revise", "revise"]  # round 0 was not planned again, nor round 1
    painted_after = (folder / "round-0/image.png").stat()
    assert (painted_after.st_ino, painted_after.st_mtime_ns) == (painted_before.st_ino, painted_before.st_mtime_ns)


def test_stopped_between_a_step_and_its_checkpoint_and_resumed(tmp_path):
    """As by a disk that is full or a kill: what the first revision wrote is kept, and the state after it is not."""
    painter = RectanglePainter({seed: {"dog"} for seed in range(3)})
    run = agent(tmp_path, painter).run("dog cat")
    with contextlib.closing(sqlite3.connect(run.folder / CHECKPOINT)) as database:
        # plan, criticise, render and verify are done
        fifth = "select checkpoint_id from checkpoints where json_extract(cast(metadata as text), '$.step') = 4"
        [[revised]] = database.execute(fifth).fetchall()
        for table in ("checkpoints", "writes"):
            database.execute(f"delete from {table} where checkpoint_id > ?", [revised])
        database.commit()
    run.with_rounds(list(run.rounds[:1]), done=False).save()
    assert len(agent(tmp_path, painter).resume(run.folder).rounds) == 3
    assert calls(tmp_path) == ["plan", "revise", "revise", "revise"]  # two, and the second again


class Forgetful(ListPlanner):
    """A planner that mends what failed by leaving it out."""

    def revise(self, prompt, plan, report, seed):
        kept = [
            instance
            for instance, verdict in zip(plan.layout.instances, report.verdicts, strict=True)
            if verdict.kind == "found"
        ]
        return plan.model_copy(update={"layout": plan.layout.with_instances(kept)})


def test_what_failed_cannot_be_mended_by_leaving_it_out(tmp_path):
    painter = RectanglePainter({0: {"dog"}, 1: {"dog"}, 2: {"dog"}})
    run = agent(tmp_path, painter, planner=Forgetful(tmp_path / "calls")).run("dog cat")
    assert not run.verified
    assert [round(r.score[0], 2) for r in run.rounds] == [0.5, 0.5, 0.5]
    assert "left out dog" in run.rounds[1].notes[-1]


def test_nothing_planned_is_nothing_verified(tmp_path):
    run = agent(tmp_path).run(layout=Layout(width=128, height=96, caption="an empty beach"))
    assert not run.verified


@pytest.mark.parametrize(
    ("url", "confirmed", "refused"),
    [
        ("http://elsewhere.example/v1", None, True),
        ("http://elsewhere.example/v1", "http://elsewhere.example/v1", False),
        ("http://127.0.0.1:9/v1", None, False),
    ],
)
def test_a_run_folder_does_not_choose_who_is_sent_the_key(tmp_path, monkeypatch, url, confirmed, refused):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    if confirmed:
        monkeypatch.setenv("OPENAI_BASE_URL", confirmed)
    run = agent(tmp_path).run("dog")
    data = json.loads((run.folder / "run.json").read_text())
    data["request"] |= {"planner": "chat:m", "planner_url": url}
    (run.folder / "run.json").write_text(json.dumps(data))
    if refused:
        with pytest.raises(BadInput, match="elsewhere.example"):
            agent(tmp_path).resume(run.folder)
    else:
        assert agent(tmp_path).resume(run.folder).done


def test_an_automatic_choice_is_kept_on_resume(tmp_path):
    run = agent(tmp_path).run("dog")
    data = json.loads((run.folder / "run.json").read_text())
    data["request"]["planner"] = "auto"
    (run.folder / "run.json").write_text(json.dumps(data))
    assert agent(tmp_path).resume(run.folder).request.planner == run.planner
