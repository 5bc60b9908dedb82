"""The list of runs as a place to work in: what is found there, what it is called, and what is deleted and put back."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from agent.dashboard import labels
from agent.dashboard.labels import Rating, delete, put_back, rate, relabel, tag, untag
from agent.dashboard.navigation import shortened
from agent.dashboard.run_index import ORDERS, Filter, folders_with, summaries
from instdiff.errors import BadInput
from tests.agent.dashboard_pages import small_run


@pytest.fixture
def out(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("INSTDIFF_OUTPUTS", str(tmp_path))
    return tmp_path


def list_page(**address: str | list[str]) -> AppTest:
    def script() -> None:
        from agent.dashboard import runs_page

        runs_page.show()

    app = AppTest.from_function(script)
    for key, value in address.items():
        app.query_params[key] = value
    return app.run(timeout=30)


def counts(app: AppTest) -> str:
    assert not app.exception and not app.error
    return next(text.value for text in app.text if text.value.endswith(" runs"))


def test_what_people_say_of_runs_is_found(out):
    first = small_run(out).folder
    second = small_run(out, "cat").folder
    relabel(first, title="the best of May", starred=True)
    tag(first, " for  print ")
    tag(first, "for print")
    tag(second, "later")
    rate(second, Rating(fit=5, quality=4, arrangement=3))
    shown = {run.name: run for run in summaries()}
    assert (shown[first.name].title, shown[first.name].tags) == ("the best of May", ("for print",))
    assert shown[second.name].rating == 4.0
    filters = {
        Filter(words="best may"): first,
        Filter(words="later"): second,
        Filter(tag="for print"): first,
        Filter(starred=True): first,
        Filter(min_rating=4): second,
        Filter(thing="dog"): first,
    }
    assert {wanted: [run.name for run in shown.values() if wanted.passes(run)] for wanted in filters} == {
        wanted: [folder.name] for wanted, folder in filters.items()
    }
    untag(first, "for print")
    relabel(first, title="")
    assert {run.name: (run.title, run.tags) for run in summaries()}[first.name] == ("dog cat", ())
    with pytest.raises(BadInput, match="title"):
        relabel(first, title="x" * 201)


def test_orders_are_total_and_put_the_best_first(out):
    for prompt in ("dog cat", "cat"):
        small_run(out, prompt)
    waiting = small_run(out, "dog", review=True).folder.name
    ordered = {name: [run.name for run in sorted(summaries(), key=key)] for name, key in ORDERS.items()}
    assert ordered["most found"][-1] == ordered["least found"][-1] == waiting
    assert all(len(set(names)) == 3 for names in ordered.values())


def test_deleted_runs_are_put_back_and_nobody_else_sees_them(out):
    folder = small_run(out).folder
    (folder / "results.json").write_text("{}")
    (out / "other").mkdir()
    delete(folder)
    assert not folder.exists() and summaries() == []
    assert [run.name for run in summaries(deleted=True)] == [folder.name]
    assert folders_with("results.json") == []
    for name in ("..", "../other", ".hidden", "gone"):
        with pytest.raises(BadInput):
            put_back(name)
    put_back(folder.name)
    assert [run.name for run in summaries()] == [folder.name] and summaries(deleted=True) == []


def test_the_address_fills_the_fields_and_the_fields_the_address(out):
    for prompt in ("dog cat", "cat"):
        small_run(out, prompt)
    assert counts(list_page()) == "2 of 2 runs"
    odd = list_page(q="cat", state=["verified", "x"], sort="sideways", found="7", rated="-3", page="no", planner="none")
    assert counts(odd) == "2 of 2 runs"
    app = list_page(q="dog", thing="dog", sort="title")
    assert counts(app) == "1 of 2 runs" and app.selectbox(key="list-sort").value == "title"
    app.text_input(key="list-q").set_value("nothing like it").run()
    assert counts(app) == "0 of 2 runs"
    assert "No run is like that. Take a word or a filter away." in [text.value for text in app.text]
    assert dict(app.query_params) == {"q": "nothing like it", "thing": "dog", "sort": "title"}


def test_the_bin_has_its_own_list(out):
    delete(small_run(out).folder)
    assert counts(list_page(show="deleted")) == "1 of 1 runs"
    assert labels.bin_folder().name.startswith(".")


@pytest.mark.parametrize(
    ("text", "length", "shown"),
    [
        ("two dogs to the left", 30, "two dogs to the left"),
        ("two dogs to the left", 10, "two dogs…"),
        ("a kitchen, with a lamp", 11, "a kitchen…"),
        ("word" * 10, 12, "wordwordwor…"),
        ("a\n  b", 5, "a b"),
    ],
)
def test_titles_are_cut_between_words(text, length, shown):
    assert shortened(text, length) == shown
    assert len(shown) <= length + 1
