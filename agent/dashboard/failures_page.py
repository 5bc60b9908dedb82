"""Failures: what is not as planned, over all runs, the worst first; by category, and thing by thing."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import streamlit as st

from agent.dashboard import filter_bar, navigation, pictures
from agent.dashboard.cards import Card, pressed, show_cards
from agent.dashboard.navigation import shortened
from agent.dashboard.run_index import FAILED, Judged, Summary, inside, run_folder, summaries
from agent.dashboard.table import ONE, marked_rows, show_rows
from agent.runs import Run
from instdiff.errors import BadInput
from instdiff.formats import load_layout

PER_PAGE = 24
OPENED = "opened-failure"
KIND = "kind"  # in the address: one of `FAILED`
CARDS = "cards-of-failures"
COLUMNS = ("category", "planned", "failed", "share", *FAILED)


class Failure(NamedTuple):
    """A thing that is not as planned, and its run."""

    run: Summary
    thing: Judged


def show() -> None:
    """The filters of the list of runs, a table of categories, and a card for each thing that failed."""
    if opened := st.session_state.pop(OPENED, None):
        navigation.go("run", **filter_bar.parameters(), run=opened)
    st.header("Failures")
    filter_bar.view()
    runs = summaries()
    wanted = filter_bar.show_filter(runs, ("all", "starred"))
    matching = [run for run in runs if wanted.passes(run)]
    kind = st.segmented_control("What failed", FAILED, key=filter_bar.KEY(KIND), on_change=filter_bar.to_first)
    failed = [failure for failure in failures(matching) if kind in (None, failure.thing.verdict)]
    found = [failure for failure in failed if wanted.thing in (None, failure.thing.name)]
    bar = st.container(horizontal=True, vertical_alignment="bottom")
    count = "1 thing" if len(found) == 1 else f"{len(found)} things"
    bar.text(f"{count} failed, in {len({one.run.name for one in found})} of {len(matching)} runs")
    page = filter_bar.page_of(bar, len(found), PER_PAGE)
    if not found:
        st.text("Nothing failed in these runs.")
        return
    table, things = st.columns(2)
    with table:
        _show_categories(by_category(matching, failed))
    with things:
        cards = [_card(failure) for failure in found[(page - 1) * PER_PAGE : page * PER_PAGE]]
        show_cards(cards, CARDS, _open, can_choose=False)


def _show_categories(rows: list[tuple]) -> None:
    """The table; the row that is marked leaves only the things of its category."""
    names = [row[0] for row in rows]
    key = f"categories-{'-'.join(names)}"

    def choose() -> None:
        marked = marked_rows(key)
        st.session_state[filter_bar.KEY("thing")] = names[marked[0]] if marked else filter_bar.ANY
        filter_bar.to_first()

    chosen = st.session_state[filter_bar.KEY("thing")]
    marked = [names.index(chosen)] if chosen in names else []
    show_rows(COLUMNS, rows, key, ONE, marked, choose)


def failures(runs: list[Summary]) -> list[Failure]:
    """All things that failed, those first whose name failed most often, of these those of the worst runs."""
    found = [Failure(run, thing) for run in runs for thing in run.failures]
    counts = Counter(failure.thing.name for failure in found)
    return sorted(found, key=lambda one: (-counts[one.thing.name], one.thing.name, one.run.score or 0.0))


def by_category(runs: list[Summary], found: list[Failure]) -> list[tuple]:
    """A row of `COLUMNS` for each category that failed, the worst first."""
    planned = Counter(thing.name for run in runs for thing in run.judged)
    kinds = Counter((failure.thing.name, failure.thing.verdict) for failure in found)
    failed = Counter(failure.thing.name for failure in found)
    return [
        (name, planned[name], count, f"{count / planned[name]:.0%}", *(kinds[name, kind] for kind in FAILED))
        for name, count in sorted(failed.items(), key=lambda item: (-item[1], item[0]))
    ]


def _card(failure: Failure) -> Card:
    """The place where the thing was planned, cut out of the picture, and what the verifier says of it."""
    run, thing = failure
    caption = thing.name
    picture = None
    problem = ""
    try:
        folder = run_folder(run.name)
        best = Run.load(folder).best
        planned = load_layout(inside(folder, best.layout), boxes="xywh").instances if best else ()
        if best and thing.instance < len(planned):
            instance = planned[thing.instance]
            caption = instance.caption or thing.name
            picture = pictures.cut_out(inside(folder, best.image), instance)
    except BadInput as error:
        problem = str(error)
    score = "" if run.score is None else f", {run.score:.0%} found"
    return Card(
        name=f"{run.name}/{thing.instance}",
        title=f"{thing.verdict}: {shortened(caption, 40)}",
        whole=f"{thing.name}, {thing.verdict}: {caption}",
        line=f"{shortened(run.title, 50)}{score}",
        tags=[],
        problem=problem,
        picture=picture,
        address=navigation.address("run", run=run.name),
        starred=False,
        chosen_only=False,
    )


def _open() -> None:
    name = pressed(CARDS, "opened")
    st.session_state[OPENED] = name and name.split("/")[0]
