"""What failed over all runs: the worst first, by category and thing by thing."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from agent.dashboard import failures_page
from agent.dashboard.failures_page import by_category, failures
from agent.dashboard.run_index import summaries
from tests.agent.dashboard_pages import small_run
from tests.agent.doubles import RectanglePainter


@pytest.fixture
def out(tmp_path, monkeypatch) -> Path:
    """Three runs: a dog is missing in two of them, a cat in one."""
    monkeypatch.setenv("INSTDIFF_OUTPUTS", str(tmp_path))
    small_run(tmp_path, "dog cat", rounds=1)
    small_run(tmp_path, "dog", rounds=1)
    small_run(tmp_path, "dog cat tree", rounds=1, engine=RectanglePainter({0: {"cat"}}))
    return tmp_path


def page(**address: str) -> AppTest:
    def script() -> None:
        from agent.dashboard import failures_page

        failures_page.show()

    app = AppTest.from_function(script, default_timeout=30)
    for key, value in address.items():
        app.query_params[key] = value
    return app.run()


def said(app: AppTest) -> str:
    assert not app.exception and not app.error
    return next(text.value for text in app.text if " failed, in " in text.value)


def test_the_category_that_fails_most_comes_first_and_of_it_the_worst_run(out):
    found = failures(summaries())
    assert [(one.thing.name, one.thing.verdict) for one in found] == [("dog", "missing")] * 2 + [("cat", "missing")]
    assert [one.run.score for one in found] == [0.0, 0.5, pytest.approx(2 / 3)]
    rows = by_category(summaries(), found)
    assert rows == [("dog", 3, 2, "67%", 2, 0, 0), ("cat", 2, 1, "50%", 1, 0, 0)]


def test_the_address_filters_what_failed(out):
    assert said(page(thing="dog")) == "2 things failed, in 2 of 3 runs"
    assert said(page(kind="misplaced")) == "0 things failed, in 0 of 3 runs"
    assert said(page(kind="nonsense", show="deleted")) == "3 things failed, in 3 of 3 runs"
    app = page(q="tree")
    assert said(app) == "1 thing failed, in 1 of 1 runs"
    app.text_input(key="list-q").set_value("").run()
    assert said(app) == "3 things failed, in 3 of 3 runs" and dict(app.query_params) == {}


def test_a_card_shows_the_place_of_the_thing_and_leads_to_its_run(out):
    first = failures(summaries())[0]
    card = failures_page._card(first)
    assert card["picture"].startswith("data:image/jpeg") and card["address"] == f"run?run={first.run.name}"
    assert card["title"].startswith("missing: ") and card["line"].endswith("0% found")
    (out / first.run.name / "best.png").rename(out / "elsewhere.png")
    (out / first.run.name / "round-0" / "image.png").write_bytes(b"cut")
    spoiled = failures_page._card(first)
    assert spoiled["picture"] is None and "cannot be read" in spoiled["problem"]
