"""The search, filters, order and page of the list of runs. All of it stands in the address, and is read from there.

By hand: parameters that Streamlit binds to widgets cannot be taken along to the page of a run, from where the back
button is to lead to the same list.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TypeAlias

import streamlit as st

from agent.dashboard.navigation import VISIT
from agent.dashboard.run_index import FAILED, ORDERS, STATES, Filter, Summary

ANY = "any"
VIEWS = ("all", "starred", "deleted")
Field: TypeAlias = str | int | list[str] | None
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
    "kind": None,  # of failure
    "page": 1,
}
CHOICES = {"sort": tuple(ORDERS), "show": VIEWS, "kind": FAILED}
MORE = ("thing", "tag", "planner", "engine", "found", "rated")  # fields that are folded away until they are used
LARGEST = {"found": 100, "rated": 5, "page": 10**6}
KEY = "list-{}".format  # the state of a field
WRITTEN = "list-address"  # the visit of this page, and the address as it knows it


def view() -> str:
    """Which runs are listed, one of `VIEWS`."""
    _read_address()
    return st.session_state[KEY("show")]


def show_filter(runs: list[Summary], views: Sequence[str] = VIEWS) -> Filter:
    """The fields; the choices are what the runs have. What runs are ordered by is asked where all views are shown."""
    if st.session_state[KEY("show")] not in views:
        st.session_state[KEY("show")] = views[0]
    first = st.columns([4, 3, 2, 3])
    hint = "words of the prompt, a tag or the name"
    first[0].text_input("Search", key=KEY("q"), placeholder=hint, on_change=to_first)
    first[1].multiselect("State", STATES, key=KEY("state"), placeholder=ANY, on_change=to_first)
    if views == VIEWS:
        first[2].selectbox("Order", list(ORDERS), key=KEY("sort"), on_change=to_first)
    first[3].segmented_control("Show", views, key=KEY("show"), required=True, on_change=to_first)
    is_used = any(st.session_state[KEY(key)] != DEFAULTS[key] for key in MORE)
    more = st.expander("More filters", expanded=is_used, on_change="rerun", key=KEY("more"))
    if more.open:  # what is not seen costs the browser as much as what is
        _more(more, runs)
    asked = {key: st.session_state[KEY(key)] for key in DEFAULTS}
    thing, tag, planner, engine = (None if asked[key] == ANY else asked[key] for key in MORE[:4])
    numbers = (asked["found"] / 100, thing, float(asked["rated"]), tag, asked["show"] == "starred")
    return Filter(asked["q"], tuple(asked["state"]), planner, engine, *numbers)


def _more(place, runs: list[Summary]) -> None:
    """The fields that few people need."""
    columns = place.columns(len(MORE))
    _one_of(columns[0], "With", "thing", {thing for run in runs for thing in run.things})
    _one_of(columns[1], "Tag", "tag", {tag for run in runs for tag in run.tags})
    _one_of(columns[2], "Planner", "planner", {run.planner for run in runs if run.planner})
    _one_of(columns[3], "Engine", "engine", {run.engine for run in runs if run.engine})
    columns[4].slider("Found at least, %", 0, 100, step=5, key=KEY("found"), on_change=to_first)
    columns[5].slider("Rated at least", 0, 5, key=KEY("rated"), on_change=to_first)


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


def to_first() -> None:
    """Another list begins at its first page."""
    st.session_state[KEY("page")] = 1


def _one_of(place, label: str, key: str, values: set[str]) -> None:
    """A choice of one of the values, or of any."""
    if st.session_state[KEY(key)] not in values:
        st.session_state[KEY(key)] = ANY
    place.selectbox(label, [ANY, *sorted(values)], key=KEY(key), on_change=to_first)


def _address() -> dict[str, list[str]]:
    return {key: st.query_params.get_all(key) for key in DEFAULTS if key in st.query_params}


def _read_address() -> None:
    """Fill the fields where the page is entered, also by the back button; what no field can hold is passed over."""
    given = _address()
    visit = st.session_state.get(VISIT)  # fields that come back may hold what they held long ago
    is_other = (visit, given) != st.session_state.get(WRITTEN)
    for key, default in DEFAULTS.items():
        if is_other or KEY(key) not in st.session_state:  # Streamlit forgets fields that are not shown any more
            st.session_state[KEY(key)] = _value(key, given.get(key, []), default)
    st.session_state[WRITTEN] = (visit, given)


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
    return word if key not in CHOICES or word in CHOICES[key] else default


def _write_address() -> None:
    """Where the fields hold something else than the address, it follows."""
    asked = parameters()
    if {key: value if isinstance(value, list) else [value] for key, value in asked.items()} != _address():
        st.query_params.from_dict(asked)
    st.session_state[WRITTEN] = (st.session_state.get(VISIT), _address())
