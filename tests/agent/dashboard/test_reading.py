"""What the page of a run says of how its words were read."""

from streamlit.testing.v1 import AppTest


def page(prompt: str, planner: str = "offline", is_open: bool = True) -> AppTest:
    """The part of a run's page about its words."""

    def script(prompt: str, planner: str) -> None:
        from types import SimpleNamespace

        from agent.dashboard import run_page

        request = SimpleNamespace(edited=None, prompt=prompt)
        run_page._reading(SimpleNamespace(planner=planner, request=request, folder=SimpleNamespace(name="run")))

    app = AppTest.from_function(script, kwargs={"prompt": prompt, "planner": planner})
    app.session_state["reading-run"] = is_open
    return app.run(timeout=30)


def test_things_relations_and_what_was_left_out_are_shown():
    shown = page("two cats next to a dog in a ray of light")
    assert shown.expander[0].label == "How the words were read"
    assert list(shown.dataframe[0].value["what"]) == ["cat", "dog"]
    said = [text.value for text in shown.text]
    assert "the cats are next to the dog." in said
    assert any('"light" is left to the caption' in text for text in said)


def test_the_words_are_read_once_somebody_asks():
    assert not page("two cats", is_open=False).dataframe


def test_what_another_planner_made_of_the_words_is_not_guessed_at():
    assert not page("two cats", "openai:gpt-4o").expander


def test_words_in_another_language_are_said_to_be_none_it_reads():
    assert "is not English" in page("ein grüner Frosch neben einem Ball").text[0].value
