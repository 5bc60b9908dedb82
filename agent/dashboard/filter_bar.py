"""The search, filters, order and page of the list of runs. All of it stands in the address, and is read from there.

By hand: parameters that Streamlit binds to widgets cannot be taken along to the page of a run, from where the back
button is to lead to the same list.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TypeAlias

import streamlit as st

from agent.dashboard.run_index import ORDERS, STATES, Filter, Summary

ANY = "any"
VIEWS = ("all", "starred", "deleted")
Field: TypeAlias = str | int | list[str]
DEFAULTS: dict[str, Field] = {
    "q": "",
    "state": [],
    "sort": next(iter(ORDERS)),
    "show": "all",
    "thing": ANY,
    "tag": ANY,
    "planner": ANY,
    "engine": ANY,
    "found": 0,
    "rated": 0,
    "page": 1,
}
MORE = ("thing", "tag", "planner", "engine", "found", "rated")  # fields that are folded away until they are used
LARGEST = {"found": 100, "rated": 5, "page": 10**6}
KEY = "list-{}".format  # the state of a field
WRITTEN = "list-address"  # the address as this page knows it


def view() -> str:
    """Which runs are listed, one of `VIEWS`."""
    _read_address()
    return st.session_state[KEY("show")]


def show_filter(runs: list[Summary]) -> Filter:
    """The fields; the choices are what the runs have."""
    first = st.columns([4, 3, 2, 3])
    hint = "words of the prompt, a tag or the name"
    words = first[0].text_input("Search", key=KEY("q"), placeholder=hint, on_change=_to_first)
    states = first[1].multiselect("State", STATES, key=KEY("state"), placeholder=ANY, on_change=_to_first)
    first[2].selectbox("Order", list(ORDERS), key=KEY("sort"), on_change=_to_first)
    shown = first[3].segmented_control("Show", VIEWS, key=KEY("show"), required=True, on_change=_to_first)
    more = any(st.session_state[KEY(key)] != DEFAULTS[key] for key in MORE)
    second = st.expander("More filters", expanded=more).columns(6)
    thing = _one_of(second[0], "With", "thing", {thing for run in runs for thing in run.things})
    tag = _one_of(second[1], "Tag", "tag", {tag for run in runs for tag in run.tags})
    planner = _one_of(second[2], "Planner", "planner", {run.planner for run in runs if run.planner})
    engine = _one_of(second[3], "Engine", "engine", {run.engine for run in runs if run.engine})
    score = second[4].slider("Found at least, %", 0, 100, step=5, key=KEY("found"), on_change=_to_first)
    stars = second[5].slider("Rated at least", 0, 5, key=KEY("rated"), on_change=_to_first)
    is_starred = shown == "starred"
    return Filter(words, tuple(states), planner, engine, score / 100, thing, float(stars), tag, is_starred)


def page_of(place, count: int, per_page: int) -> int:
    """The number of the page that is shown, from 1; the address is written once all fields are read."""
    pages = max(-(-count // per_page), 1)
    st.session_state[KEY("page")] = min(st.session_state[KEY("page")], pages)
    if pages > 1:
        place.number_input(f"Page, of {pages}", 1, pages, key=KEY("page"), width=160)
    _write_address()
    return int(st.session_state[KEY("page")])


def parameters() -> dict[str, str | list[str]]:
    """What the fields hold that is not as at first, as parameters of an address."""
    asked = {key: st.session_state[KEY(key)] for key in DEFAULTS}
    changed = {key: value for key, value in asked.items() if value != DEFAULTS[key]}
    return {key: list(map(str, value)) if isinstance(value, list) else str(value) for key, value in changed.items()}


def _to_first() -> None:
    """Another list begins at its first page."""
    st.session_state[KEY("page")] = 1


def _one_of(place, label: str, key: str, values: set[str]) -> str | None:
    """One of the values, or None for any."""
    if st.session_state[KEY(key)] not in values:
        st.session_state[KEY(key)] = ANY
    chosen = place.selectbox(label, [ANY, *sorted(values)], key=KEY(key), on_change=_to_first)
    return None if chosen == ANY else chosen


def _address() -> dict[str, list[str]]:
    return {key: st.query_params.get_all(key) for key in DEFAULTS if key in st.query_params}


def _read_address() -> None:
    """Fill the fields where the page is entered, also by the back button; what no field can hold is passed over."""
    given = _address()
    is_filled = all(KEY(key) in st.session_state for key in DEFAULTS)  # Streamlit forgets fields of a page that is left
    if given == st.session_state.get(WRITTEN) and is_filled:
        return
    for key, default in DEFAULTS.items():
        st.session_state[KEY(key)] = _value(key, given.get(key, []), default)
    st.session_state[WRITTEN] = given


def _value(key: str, words: Sequence[str], default: Field) -> Field:
    if key == "state":
        return [word for word in words if word in STATES]
    if not words:
        return default
    word = words[-1]
    if key in LARGEST:
        with suppress(ValueError):
            number = max(int(word), 1 if key == "page" else 0)
            return min(number - number % 5 if key == "found" else number, LARGEST[key])
        return default
    choices = {"sort": tuple(ORDERS), "show": VIEWS}.get(key)
    return word if choices is None or word in choices else default


def _write_address() -> None:
    """Where the fields hold something else than the address, it follows."""
    asked = parameters()
    if {key: value if isinstance(value, list) else [value] for key, value in asked.items()} != _address():
        st.query_params.from_dict(asked)
    st.session_state[WRITTEN] = _address()
