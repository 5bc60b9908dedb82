"""Runs as cards: a picture, a title and a line, each a link; a star; and a mark to choose several. Plain JavaScript."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamlit.components.v2.types import ComponentRenderer


class Card(TypedDict):
    """One card; ``address`` is None where nothing can be opened, ``picture`` is a data URL, None where there is none.

    ``title`` may be shortened; ``whole`` is all of it, for the mouse that rests there.
    """

    name: str
    title: str
    whole: str
    line: str
    tags: list[str]
    problem: str
    picture: str | None
    address: str | None
    starred: bool
    chosen_only: bool  # it can be chosen, and nothing else


def show_cards(
    cards: list[Card],
    key: str,
    on_open: Callable[[], None],
    on_star: Callable[[], None] | None = None,
    can_choose: bool = True,
) -> list[str]:
    """The cards; the names of those that are chosen come back.

    ``on_open`` and ``on_star`` are called before the page runs again; `pressed` then tells the card. Without
    ``on_star`` there are no stars.
    """
    changes = {"on_chosen_change": lambda: None, "on_opened_change": on_open, "on_star_change": on_star or on_open}
    data = {"cards": cards, "stars": on_star is not None, "choice": can_choose}
    shown = _component()(key=key, data=data, **changes)
    names = {card["name"] for card in cards}
    chosen = shown.chosen if isinstance(shown.chosen, list) else []
    return [name for name in chosen if isinstance(name, str) and name in names]


def pressed(key: str, what: str) -> str | None:
    """The name of the card that was opened or starred, in its callback."""
    import streamlit as st

    name = st.session_state[key].get(what)
    return name if isinstance(name, str) else None


@cache
def _component() -> ComponentRenderer:
    import streamlit as st

    script = _asset("cards.js")
    return st.components.v2.component("run_cards", html='<div class="cards"></div>', css=_asset("cards.css"), js=script)


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
