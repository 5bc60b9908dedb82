"""Runs: all of them, the newest first, with a search."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from agent.dashboard import navigation
from agent.dashboard.navigation import plain, shortened
from agent.dashboard.run_index import STATES, Filter, Summary, ratings_csv, run_folder, summaries, thumbnail
from instdiff.settings import outputs_folder

PER_PAGE = 24
PER_ROW = 6
ANY = "any"


def show() -> None:
    """The search, one page of pictures, and the ratings to take away."""
    st.header("Runs")
    runs = summaries()
    if not runs:
        st.text(f"There are no runs in {outputs_folder()} yet.")
        navigation.link("make", "Make a picture")
        return
    wanted = _filter(runs)
    matching = [run for run in runs if wanted.passes(run)]
    pages = max(-(-len(matching) // PER_PAGE), 1)
    bar = st.container(horizontal=True, vertical_alignment="bottom")
    bar.text(f"{len(matching)} of {len(runs)} runs")
    number = bar.number_input(f"Page, of {pages}", 1, pages, 1, width=160) if pages > 1 else 1

    def ratings() -> str:
        return ratings_csv(run_folder(run.name) for run in runs)

    bar.download_button("Ratings as CSV", ratings, "ratings.csv", "text/csv", on_click="ignore")
    shown = matching[(number - 1) * PER_PAGE : number * PER_PAGE]
    for first in range(0, len(shown), PER_ROW):
        for run, column in zip(shown[first : first + PER_ROW], st.columns(PER_ROW), strict=False):
            with column:
                _card(run)


def _filter(runs: list[Summary]) -> Filter:
    """What is asked for; the choices are what the runs have."""
    columns = st.columns([3, 3, 2, 2, 2])
    words = columns[0].text_input("Search", placeholder="words of the prompt or the name")
    states = columns[1].multiselect("State", STATES, placeholder="any")
    planner = columns[2].selectbox("Planner", [ANY, *sorted({run.planner for run in runs})])
    engine = columns[3].selectbox("Engine", [ANY, *sorted({run.engine for run in runs})])
    score = columns[4].slider("Found at least, %", 0, 100, 0, step=5)
    wanted_planner = None if planner == ANY else planner
    return Filter(words, tuple(states), wanted_planner, None if engine == ANY else engine, score / 100)


def _card(run: Summary) -> None:
    """A small picture, what it is, and the way to it."""
    folder = run_folder(run.name)
    picture = thumbnail(folder / "best.png")
    if picture:
        st.image(picture, width="stretch", alt=shortened(run.prompt, 100))
    else:
        st.text("no picture yet")
    navigation.link("run", plain(shortened(("Edit: " if run.edited else "") + run.prompt, 22)), run=run.name)
    share = f", {run.score:.0%} found" if run.score is not None else ""
    started = datetime.strptime(run.started, "%Y%m%d-%H%M%S")
    st.caption(plain(f"{started:%d %b %H:%M} {run.state}{share}, {run.planner}"))
