"""The frame around the pages, the ways between them, and how they show words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import streamlit as st

from instdiff.errors import InstDiffError

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer

# Streamlit leaves much room above a page.
STYLE = """[data-testid=stMainBlockContainer] {
  padding-top: 3.5rem;
  padding-bottom: 3rem;
}"""
ICON = Path(__file__).with_name("icon.svg")
BEFORE = "edited"  # in an address: the run that was left for a new one, to which the way back leads
ADDRESS = "address-of-run"  # the run that the address in the browser names, as far as this window knows
SHOWN = "page-shown"
VISIT = "visit"  # another number each time another page is entered
JOINER = "\u2060"  # takes no room, and breaks what would become a link or an emoji after all escapes are read


def plain(text: str) -> str:
    """Text that Streamlit's labels and captions, which read Markdown, show letter for letter, on one line."""
    escaped = re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(text.split()))
    return re.sub(r"(\\[:@]|www)", rf"\1{JOINER}", escaped)


def shortened(text: str, length: int) -> str:
    """At most so many letters, on one line, without a part of a word; one long word is cut."""
    text = " ".join(text.split())
    if len(text) <= length:
        return text
    kept = text[:length].rsplit(" ", 1)[0] if " " in text[:length] else text[: length - 1]
    return kept.rstrip(" ,;:") + "…"


@contextmanager
def telling() -> Iterator[None]:
    """A part of a page: what cannot be read in it is said there, and the rest of the page stands."""
    try:
        yield
    except (InstDiffError, OSError) as error:  # OSError: a file that is gone or damaged
        st.error(plain(str(error)))


PAGES = {  # the module of each page, which is imported when it is first opened: its title and its sign
    "make": ("Make", ":material/brush:"),
    "runs": ("Runs", ":material/grid_view:"),
    "run": ("One run", ":material/image:"),
    "compare": ("Two runs", ":material/compare:"),
    "grid": ("Grids", ":material/apps:"),
    "failures": ("Failures", ":material/rule:"),
    "edit": ("Edit", ":material/edit:"),
    "datasets": ("Datasets", ":material/database:"),
    "evaluations": ("Evaluations", ":material/bar_chart:"),
}


HIDDEN = ("run", "compare", "grid")  # pages that a list or another page leads to


def main() -> None:
    """Show the page that the address names; ``/?run=NAME`` opens that run."""
    # a file of ours: what Streamlit knows by name is fetched from the network
    st.set_page_config(page_title="From a sentence to a verified picture", page_icon=str(ICON), layout="wide")
    # A component, so that the browser has fetched what shows components once a page has cards, a slider or the editor.
    _style()(key="style")
    chosen = st.navigation([page(name) for name in PAGES], position="top")
    if st.session_state.get(SHOWN) != chosen.url_path:
        st.session_state[SHOWN] = chosen.url_path
        st.session_state[VISIT] = st.session_state.get(VISIT, 0) + 1
    run = st.query_params.get(BEFORE) or st.query_params.get("run")
    if chosen.url_path == "" and run and not st.session_state.get("made"):
        go("run", run=run)
    with telling():
        chosen.run()


@cache
def _style() -> ComponentRenderer:
    return st.components.v2.component("page_style", html="<span></span>", css=STYLE, isolate_styles=False)


def page(name: str) -> st.Page:
    """The page that a module of this package shows."""

    def show() -> None:
        import_module(f"agent.dashboard.{name}_page").show()

    title, icon = PAGES[name]
    visibility = "hidden" if name in HIDDEN else "visible"
    return st.Page(show, title=title, icon=icon, url_path=name, default=name == "make", visibility=visibility)


def link(name: str, label: str, whole: str | None = None, **parameters: str) -> None:
    """A link to a page; ``label`` is Markdown, ``whole`` is the text that stands there while the mouse is over it."""
    st.page_link(page(name), label=label, help=whole and plain(whole), query_params=parameters)


def address(name: str, **parameters: str) -> str:
    """Where a page is, from any other one."""
    return f"{name}?{urlencode(parameters)}"


def go(name: str, **parameters: str | list[str]) -> None:
    """Leave for a page.

    Streamlit writes the parameters to the address of the page that is left, too, and that is where the browser's back
    button leads: what tells the page before apart has to be among them.
    """
    st.session_state[ADDRESS] = parameters.get("run")
    st.switch_page(page(name), query_params=parameters)


def keep_address(run: str) -> None:
    """Write a run into the address where a link from another one has left the old one in the browser.

    Once only: who is on the way back already would be led forth again.
    """
    if st.session_state.get(ADDRESS) != run:
        st.query_params["run"] = run
        st.session_state[ADDRESS] = run
