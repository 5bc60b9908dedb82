"""Folders that somebody spoiled: each costs its card or its part of a page, and says what cannot be read."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from agent.dashboard import runs_page
from agent.dashboard.run_index import UNREADABLE, summaries
from agent.runs import Run
from tests.agent.dashboard_pages import open_run, small_run


@pytest.fixture
def run(tmp_path, monkeypatch) -> Run:
    """A run of two rounds, alone in the outputs folder."""
    monkeypatch.setenv("INSTDIFF_OUTPUTS", str(tmp_path))
    run = small_run(tmp_path)
    assert len(run.rounds) == 2
    return run


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def letters(error) -> str:
    """What a reader sees of an error."""
    return error.value.replace("\\", "").replace("\u2060", "")


def list_page() -> AppTest:
    def script() -> None:
        from agent.dashboard import runs_page

        runs_page.show()

    return AppTest.from_function(script).run(timeout=30)


def test_a_name_with_an_impossible_time_is_a_run_like_any_other(run):
    run.folder.rename(run.folder.with_name("20269999-999999-a-dog-0000"))
    (shown,) = summaries()
    assert (shown.name, shown.state, shown.problem) == ("20269999-999999-a-dog-0000", "verified", "")
    app = list_page()
    assert not app.exception and not app.error and "1 of 1 runs" in [text.value for text in app.text]


@pytest.mark.parametrize("name", ["run.json", "ratings.json", "label.json"])
def test_a_spoiled_file_is_named_on_the_card(run, name):
    small_run(run.folder.parent, "cat")
    (run.folder / name).write_text('{"request":')
    shown = {summary.name: summary for summary in summaries()}
    assert len(shown) == 2
    card = runs_page._card(shown[run.folder.name], False)
    assert card["problem"].startswith(f"{name}: is not JSON") and str(run.folder) not in card["problem"]
    assert (shown[run.folder.name].state == UNREADABLE) == (name == "run.json")
    app = list_page()
    assert not app.exception and not app.error and "2 of 2 runs" in [text.value for text in app.text]


def test_folders_that_no_address_can_name_are_cards_without_a_link(run):
    (run.folder.parent / "a link").symlink_to(run.folder)
    (run.folder.parent / "link").symlink_to(run.folder)
    (run.folder.parent / "folder" / "run.json").mkdir(parents=True)
    (run.folder.parent / b"half \xff of a letter".decode(errors="surrogateescape")).mkdir()
    (run.folder.parent / b"half \xff of a letter".decode(errors="surrogateescape") / "run.json").touch()
    odd = [summary for summary in summaries() if summary.name != run.folder.name]
    assert len(odd) == 4 and all(one.problem and not one.is_open for one in odd)
    assert all(runs_page._card(one, False)["address"] is None for one in odd)
    assert not list_page().exception


def test_a_cut_picture_is_no_picture_that_is_to_come(run):
    cut(run.image)
    (shown,) = summaries()
    card = runs_page._card(shown, False)
    assert card["picture"] is None and card["problem"].startswith("best.png: cannot be read as a picture")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("round-1/report.json", "Round 1 cannot be read"),
        ("round-1/image.png", "Round 1 cannot be read: image"),
        ("round-0/layout.json", "Round 0 cannot be read"),
        ("ratings.json", "is not JSON"),
    ],
)
def test_what_is_spoiled_in_a_run_is_said_in_its_place(run, name, says):
    if name == "ratings.json":
        (run.folder / name).write_text("{ }")
    cut(run.folder / name)
    app = open_run(run)
    assert not app.exception
    assert any(says in letters(error) for error in app.error), [error.value for error in app.error]
    said = [text.value for text in app.text]
    spoiled = {"round-0": "round 1", "round-1": "round 0"}.get(name.split("/")[0], "round 0")
    assert any(text.startswith(spoiled) for text in said)
    assert any("Rate it" in header.value for header in app.subheader)


def test_a_report_of_more_things_than_are_planned_is_said_in_its_place(run):
    report = run.folder / run.rounds[1].report
    report.write_text(report.read_text().replace('"instance": 1', '"instance": 9'))
    app = open_run(run)
    assert not app.exception
    assert any("more things than the 2 of the plan" in letters(error) for error in app.error)
