"""What the pages show of repairs, and the repairs and removals that a person starts there."""

import pytest
from streamlit.testing.v1 import AppTest

from agent.dashboard.live_view import progress
from agent.dashboard.rounds_view import NOT_TAKEN, shown_rounds
from agent.edit.changes import GROWTH
from agent.edit.runs import repair_run, source
from agent.events import Judged
from agent.loop import Agent
from agent.repair.regions import grown, region_of
from agent.repair.routes import GROUND_MORE, LARGER, PAINT_AGAIN
from agent.runs import Run, read_json, write_json
from evaluators.report import Detection
from instdiff.formats import load_layout
from instdiff.layout import Box
from tests.agent.dashboard_pages import edit_of, mended_run, open_run, small_run
from tests.agent.doubles import ColourDetector, ListPlanner, RepaintingPainter

pytestmark = pytest.mark.timeout(900)


def page_of(run: Run, monkeypatch) -> AppTest:
    """The page of a run, without a browser."""
    monkeypatch.setenv("INSTDIFF_OUTPUTS", str(run.folder.parent))
    return open_run(run)


def texts(app: AppTest) -> list[str]:
    assert not app.exception and not app.error
    return [text.value for text in app.text]


def mark(app: AppTest, run: Run, *rows: int) -> AppTest:
    """Mark rows of the table of the best round."""
    app.session_state[f"marks-{run.folder.name}-{run.best_round}"] = {"marked": list(rows)}
    return app.run()


def press(app: AppTest, label: str) -> None:
    (button,) = (button for button in app.button if button.label == label)
    button.click().run()


# --- what is shown


def test_a_refused_repair_shows_what_was_tried_and_an_accepted_one_what_it_made(tmp_path, monkeypatch):
    run, _ = mended_run(tmp_path)
    first, refused, accepted = shown_rounds(run)
    assert (first.taken, refused.taken, accepted.taken) == (True, False, True)
    assert run.rounds[1].image == "round-0/image.png" and refused.picture.parent.name == "round-1"
    assert refused.report.found == 1 and accepted.report.found == 2
    assert accepted.picture == run.folder / run.rounds[2].image
    said = texts(page_of(run, monkeypatch))
    about = {number: next(text for text in said if text.startswith(f"round {number}")) for number in range(3)}
    assert about[1].startswith("round 1, not taken: 1 of 2 found") and NOT_TAKEN in about[1].split("\n")
    assert "dog 1, missing: painted again from other noise" in about[1].split("\n")
    assert about[2].startswith("round 2, the best: 2 of 2 found") and "accepted" in about[2].split("\n")
    assert "the whole picture is painted anew" in about[2].split("\n")
    assert f"{run.rounds[1].repair.share:.0%} of the picture is painted anew" in about[1].split("\n")
    costs = [done.unet_evaluations for done in run.rounds]
    assert all(f"{cost} evaluations of the UNet" in about[number] for number, cost in enumerate(costs))
    assert any(text.startswith(run.folder.name) and f"{sum(costs)} evaluations of the UNet" in text for text in said)


def test_painted_regions_are_outlined_where_that_is_asked_for(tmp_path):
    run, _ = mended_run(tmp_path)
    accepted = shown_rounds(run)[2]
    assert accepted.regions == run.rounds[2].repair.regions
    assert accepted.marked(False, False, False) == accepted.picture.read_bytes()
    assert len({accepted.marked(True, True, painted) for painted in (True, False)}) == 2


def test_who_looks_on_sees_what_is_tried_and_what_came_of_it(tmp_path):
    _, events = mended_run(tmp_path)
    ends = [number for number, event in enumerate(events) if event.kind == "repairing"]
    now = progress(events[: ends[0] + 1])
    sentences = [move.name for move in (PAINT_AGAIN, LARGER, GROUND_MORE)]
    assert now.status == f"round 1 mends: {'; '.join(f'dog 1, missing: {move}' for move in sentences)}"
    assert len(now.repairs) == 3 and now.regions and not now.preview
    judged = [number for number, event in enumerate(events) if isinstance(event, Judged)]
    assert progress(events[: judged[0] + 1]).status == "round 0: 1 of 2 found"
    assert progress(events[: judged[1] + 1]).status == f"round 1: 1 of 2 found, {NOT_TAKEN}"
    assert progress(events[: judged[2] + 1]).status == "round 2: 2 of 2 found, accepted"


# --- what a person starts on the page of a run; the jobs end at once, as no engine has the doubles' name


def test_marked_things_are_painted_anew_in_their_places(tmp_path, monkeypatch):
    run, _ = mended_run(tmp_path)
    app = mark(page_of(run, monkeypatch), run, 1)
    press(app, "Repair what is marked")
    asked = edit_of(run).request
    assert (asked.edited.words, asked.edited.apart, asked.edited.keep) == ("repair cat 2", (1,), False)
    cat = load_layout(run.folder / run.best.layout, boxes="xywh").instances[1]
    assert asked.edited.regions == (grown(region_of(cat), GROWTH),)
    assert asked.edited.run == str(run.folder) and (asked.engine, asked.planner) == ("rectangles", "none")


@pytest.mark.parametrize(
    ("rows", "words", "apart"),
    [
        ([2], "remove what is not wanted", ()),
        ([0, 2], "repair dog 1 and remove what is not wanted", (0,)),
    ],
)
def test_a_marked_extra_is_painted_over(tmp_path, monkeypatch, rows, words, apart):
    run, _ = mended_run(tmp_path)
    extra = Detection(category="tree", score=0.8, box=Box(x0=0.4, y0=0.1, x1=0.6, y1=0.2))
    report = run.folder / run.best.report
    write_json(report, {**read_json(report), "extras": [extra.model_dump(mode="json")]})
    app = mark(page_of(run, monkeypatch), run, *rows)
    press(app, "Repair what is marked")
    edited = edit_of(run).request.edited
    assert (edited.words, edited.apart, edited.regions[-1]) == (words, apart, grown(extra.box, GROWTH))
    assert len(edited.regions) == len(rows)


def test_what_failed_is_repaired_without_a_mark(tmp_path, monkeypatch):
    run = small_run(tmp_path, engine=RepaintingPainter({0: {"dog"}}), rounds=1)
    press(page_of(run, monkeypatch), "Repair what failed")
    asked = edit_of(run).request
    assert (asked.edited.words, asked.edited.keep, asked.rounds) == ("repair what failed", True, 2)


def test_where_nothing_failed_and_nothing_is_marked_there_is_nothing_to_repair(tmp_path, monkeypatch):
    run, _ = mended_run(tmp_path)
    app = page_of(run, monkeypatch)
    assert [button.disabled for button in app.button if button.label.startswith("Repair")] == [True]


def test_an_edit_shows_both_pictures_and_the_way_back(tmp_path, monkeypatch):
    run, _ = mended_run(tmp_path)
    parts = {"engine": RepaintingPainter(), "verifier": ColourDetector()}
    prepared = repair_run(source(run.folder), ["cat"], tmp_path)
    edit = Agent(planner=ListPlanner(), out=tmp_path, **parts).resume(prepared.folder)
    app = page_of(edit, monkeypatch)
    said = texts(app)
    assert "Asked for: repair cat" in said
    assert any("of the picture is painted anew" in text for text in said)
    (link,) = (link for link in app.get("page_link") if link.label.startswith("Undo"))
    assert run.folder.name in link.query_string
