"""Runs by their names, and lists of them: what is outside of the outputs folder is not reached."""

import pytest

from agent.dashboard import run_index
from agent.runs import Run
from instdiff.errors import BadInput
from tests.agent.dashboard_pages import small_run


@pytest.mark.parametrize(
    "name", ["..", "../x", "/etc", "", ".", "a/b", "a\\b", "x" * 300, "no-such-run", "link", "a\0b"]
)
def test_names_that_are_no_run(tmp_path, monkeypatch, name):
    monkeypatch.setenv("INSTDIFF_OUTPUTS", str(tmp_path / "out"))
    run = small_run(tmp_path / "elsewhere")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "link").symlink_to(run.folder)
    with pytest.raises(BadInput, match="^run: there is no run"):
        run_index.run_folder(name)


def test_a_run_folder_cannot_name_files_outside_of_itself(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.png").touch()
    (tmp_path / "in" / "link.png").symlink_to(tmp_path / "secret.png")
    for name in ("../secret.png", "/etc/passwd", "link.png"):
        with pytest.raises(BadInput, match="outside"):
            run_index.inside(tmp_path / "in", name)
    assert run_index.inside(tmp_path / "in", "round-0/image.png") == tmp_path / "in" / "round-0" / "image.png"


def test_lists_show_what_runs_say(tmp_path, monkeypatch):
    monkeypatch.setenv("INSTDIFF_OUTPUTS", str(tmp_path))
    assert run_index.summaries() == []
    first = small_run(tmp_path)
    second = small_run(tmp_path, "cat", review=True)
    found = {run.name: run for run in run_index.summaries()}
    assert set(found) == {first.folder.name, second.folder.name}
    assert (found[first.folder.name].state, found[first.folder.name].score) == ("verified", 1.0)
    assert (found[second.folder.name].state, found[second.folder.name].score) == ("waiting", None)
    Run.load(first.folder).model_copy(update={"verified": False}).save()
    assert {run.name: run.state for run in run_index.summaries()}[first.folder.name] == "not verified"
    filters = {
        run_index.Filter(): 2,
        run_index.Filter(words="DOG cat"): 1,
        run_index.Filter(states=("waiting",)): 1,
        run_index.Filter(planner="list", engine="rectangles"): 2,
        run_index.Filter(planner="offline"): 0,
        run_index.Filter(min_score=0.5): 1,
        run_index.Filter(thing="dog"): 1,
        run_index.Filter(min_rating=3): 0,
        run_index.Filter(tag="best"): 0,
        run_index.Filter(starred=True): 0,
    }
    assert {wanted: sum(map(wanted.passes, run_index.summaries())) for wanted in filters} == filters
