"""Runs: all of them as cards, with a search, filters and an order that stand in the address, and acts on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st

from agent.dashboard import filter_bar, labels, navigation
from agent.dashboard.cards import Card, pressed, show_cards
from agent.dashboard.navigation import plain, shortened
from agent.dashboard.pictures import thumbnail
from agent.dashboard.run_index import ORDERS, Summary, run_folder, summaries
from instdiff.errors import BadInput, InstDiffError
from instdiff.settings import outputs_folder

PER_PAGE = 24
LETTERS = 60  # of a card's title
OPENED = "opened-run"
DELETED = "deleted-runs"  # what Undo puts back
CHOICES = "choices-made"  # each act starts a new choice of cards


def show() -> None:
    """The search, one page of cards, and what can be done with those that are chosen."""
    if name := st.session_state.pop(OPENED, None):
        navigation.go("run", **filter_bar.parameters(), run=name)
    st.header("Runs")
    _undo()
    view = filter_bar.view()
    runs = summaries(deleted=view == "deleted")
    if not runs and view == "all":
        st.text(f"There are no runs in {outputs_folder()} yet.")
        navigation.link("make", "Make a picture")
        return
    wanted = filter_bar.show_filter(runs)
    order = ORDERS[st.session_state[filter_bar.KEY("sort")]]
    matching = sorted((run for run in runs if wanted.passes(run)), key=order)
    bar = st.container(horizontal=True, vertical_alignment="bottom")
    bar.text(f"{len(matching)} of {len(runs)} runs")
    page = filter_bar.page_of(bar, len(matching), PER_PAGE)

    def ratings() -> str:
        return labels.ratings_csv(run_folder(run.name) for run in runs if run.is_open)

    with bar:
        navigation.link("grid", "Grids")
    bar.download_button("Ratings as CSV", ratings, "ratings.csv", "text/csv", on_click="ignore")
    acts = st.container(horizontal=True, vertical_alignment="center")
    if not matching:
        st.text("No run is like that. Take a word or a filter away." if runs else "There are none.")
    key = f"cards-{st.session_state.get(CHOICES, 0)}"
    cards = [_card(run, view == "deleted") for run in matching[(page - 1) * PER_PAGE : page * PER_PAGE]]
    chosen = show_cards(cards, key, partial(_open, key), partial(_star, key))
    with acts:
        _acts(chosen, view == "deleted", {run.name: run for run in runs})


def _card(run: Summary, is_deleted: bool) -> Card:
    """What a card shows of a run."""
    problem = run.problem
    picture = None
    root = labels.bin_folder() if is_deleted else outputs_folder()
    if run.is_open:
        try:
            picture = thumbnail(root / run.name / "best.png")
        except BadInput as error:
            problem = "; ".join(filter(None, (problem, str(error))))
    share = f", {run.score:.0%} found" if run.score is not None else ""
    return Card(
        name=run.name,
        title=shortened(("Edit: " if run.edited else "") + run.title, LETTERS),
        whole=run.title if run.title == run.prompt else f"{run.title}: {run.prompt}".rstrip(": "),
        line=f"{run.started:%d %b %Y %H:%M} {run.state}{share}{f', {run.planner}' if run.planner else ''}",
        tags=list(run.tags),
        problem=problem,
        picture=picture,
        address=navigation.address("run", run=run.name) if run.is_open and not is_deleted else None,
        starred=run.starred,
        chosen_only=is_deleted,
    )


def _open(key: str) -> None:
    st.session_state[OPENED] = pressed(key, "opened")


def _star(key: str) -> None:
    """Give a star or take it away."""
    if name := pressed(key, "star"):
        _each([name], lambda name: _turn_star(name))


def _turn_star(name: str) -> None:
    folder = run_folder(name)
    labels.relabel(folder, starred=not labels.label_of(folder).starred)


def _acts(names: list[str], is_deleted: bool, runs: dict[str, Summary]) -> None:
    """What can be done with the runs that are chosen."""
    if not names:
        st.caption("Choose runs at their upper left corner to sort, rename, delete or, two of them, compare them.")
        return
    st.text(f"{len(names)} chosen")
    if is_deleted:
        st.button("Put back", icon=":material/undo:", on_click=_each, args=(names, labels.put_back, True))
        return
    tagged = st.popover("Tags", icon=":material/label:")
    with tagged.form("tags", border=False):
        word = st.text_input("Tag", max_chars=40)
        added = st.form_submit_button("Add it")
        removed = st.form_submit_button("Take it off")
    if (added or removed) and word.strip():
        change = labels.tag if added else labels.untag
        _each(names, lambda name: change(run_folder(name), word.strip()), True)
        st.rerun()
    if len(names) == 2:
        navigation.link("compare", "Compare", left=names[0], right=names[1])
    if len(names) == 1:
        with st.popover("Rename", icon=":material/edit:").form("rename", border=False):
            title = st.text_input("Title", runs[names[0]].title, max_chars=200, help="Empty: what was asked for.")
            if st.form_submit_button("Keep it"):
                _each(names, lambda name: labels.relabel(run_folder(name), title=title.strip()), True)
                st.rerun()
    st.button("Delete", icon=":material/delete:", on_click=_delete, args=(names,))


def _delete(names: Sequence[str]) -> None:
    """Move runs into the bin; Undo puts back those that were moved."""
    st.session_state[DELETED] = _each(names, lambda name: labels.delete(run_folder(name)), True)


def _each(names: Sequence[str], act: Callable[[str], None], ends_choice: bool = False) -> list[str]:
    """Do something with each run; what cannot be done is said, and the names of the others come back."""
    done = []
    for name in names:
        try:
            act(name)
            done.append(name)
        except InstDiffError as error:
            st.toast(plain(str(error)))
    if ends_choice:
        st.session_state[CHOICES] = st.session_state.get(CHOICES, 0) + 1
    return done


def _undo() -> None:
    """What was deleted last in this window, and the way back."""
    names = st.session_state.get(DELETED)
    if not names:
        return
    bar = st.container(horizontal=True, vertical_alignment="center")
    what = names[0] if len(names) == 1 else f"{len(names)} runs"
    bar.text(f"Deleted: {what}")
    if bar.button("Undo", icon=":material/undo:"):
        _each(names, labels.put_back, True)
        st.session_state[DELETED] = []
        st.rerun()
