"""Two runs side by side: the verdicts in one table, and the settings that differ."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from agent.dashboard.compare_page import Side, differing, verdicts
from agent.dashboard.rounds_view import shown_rounds
from agent.runs import Run
from instdiff.render_settings import RenderSettings
from tests.agent.dashboard_pages import small_run


@pytest.fixture
def out(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("INSTDIFF_OUTPUTS", str(tmp_path))
    return tmp_path


def page(**address: str) -> AppTest:
    def script() -> None:
        from agent.dashboard import compare_page

        compare_page.show()

    app = AppTest.from_function(script, default_timeout=30)
    for key, value in address.items():
        app.query_params[key] = value
    return app.run()


def side(run: Run, number: int) -> Side:
    return Side(run, shown_rounds(run)[number])


def test_each_thing_has_one_row_with_both_verdicts(out):
    both = small_run(out)
    alone = small_run(out, "cat")
    rows = {row["thing"]: row for row in verdicts(side(both, 0), side(alone, 0))}
    assert {thing: (row["left"], row["right"]) for thing, row in rows.items()} == {
        "dog": ("missing", ""),
        "cat": ("found", "found"),
    }
    assert rows["dog"]["left IoU"] is None and rows["dog"]["planned left"] and not rows["dog"]["planned right"]


def test_settings_that_differ_are_listed_and_no_others(out):
    left = small_run(out, settings=RenderSettings(seed=3, mis=0.25))
    right = small_run(out, "dog cat", rounds=2)
    told = {row["setting"]: (row["left"], row["right"]) for row in differing(left, right)}
    assert {key: told[key] for key in ("seed", "mis", "rounds")} == {
        "seed": ("3", "0"),
        "mis": ("0.25", "—"),
        "rounds": ("3", "2"),
    }
    assert "prompt" not in told and "steps" not in told and differing(left, left) == []


def test_the_address_keeps_both_and_another_choice_changes_it(out):
    names = [small_run(out, prompt).folder.name for prompt in ("dog cat", "cat", "dog")]
    app = page(left=names[0], right=names[1])
    assert not app.exception and not app.error
    assert [field.value for field in app.selectbox] == names[:2]
    assert "dog: gone" in [text.value for text in app.text]
    app.selectbox[1].set_value(names[2]).run()
    assert {key: value if isinstance(value, str) else value[0] for key, value in app.query_params.items()} == {
        "left": names[0],
        "right": names[2],
    }
    half = page(left=names[0])
    assert not half.exception and not half.error and half.selectbox[1].value is None


def test_what_cannot_be_compared_is_said_and_the_other_one_stands(out):
    name = small_run(out).folder.name
    waiting = small_run(out, "cat", review=True).folder.name
    for other, says in (("gone", "there is no run"), (waiting, "no picture yet")):
        app = page(left=name, right=other)
        assert not app.exception and says in app.error[0].value
        assert any("found, mean IoU" in text.value for text in app.text)
